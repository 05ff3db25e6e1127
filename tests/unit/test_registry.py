import json
import sqlite3
from types import SimpleNamespace

import pytest

from service.errors import RegistryError
from service.pair import Message, OutputRules, Pair, Sampling, ServingPolicy
from service.registry import RegistryPairSource, check_store, served_pair, verify_version
from service.registry_record import from_registry, to_registry
from service.release import DIGEST_TAG, Release, newest_release
from service.settings import Settings


def make_pair(text="Summarise <history>."):
    return Pair(
        name="p",
        task="demo",
        version="1.0.0",
        model="m",
        backup="b",
        sampling=Sampling(max_output_tokens=100),
        output=OutputRules(schema="s", max_words=90),
        serving=ServingPolicy(),
        messages=(Message(role="system", content=text), Message(role="user", content="<history>{{history}}</history>")),
        variables=("history",),
    )


def make_release(pair, sequence=1, **changes):
    fields = {
        "task": "demo",
        "sequence": sequence,
        "kind": "promote",
        "registry_version": 3,
        "pair_name": "p",
        "pair_digest": pair.digest,
        "from_digest": None,
        "gate_run_id": "r",
        "who": "me",
        "why": "because",
        "at": "2026-11-21T00:00:00+00:00",
        "environment": "local",
    }
    return Release(**fields | changes)


def version(pair=None, release=None, **changes):
    pair = pair or make_pair()
    template, config = to_registry(pair)
    release = release or make_release(pair)
    fields = {
        "version": 3,
        "template": template,
        "model_config": config,
        "tags": {DIGEST_TAG: pair.digest, release.tag: release.to_json()},
    }
    return SimpleNamespace(**fields | changes)


def test_what_is_written_reads_back_equal():
    template, config = to_registry(make_pair())
    config = json.loads(json.dumps(config))
    config["omni_pair"]["sampling"]["temperature"] = 0.0  # as MLflow returns it
    assert from_registry(template, config, {DIGEST_TAG: make_pair().digest}, "here").digest == make_pair().digest


def test_a_released_version_is_served():
    served = verify_version("demo", version(), "local")
    assert (served.pair, served.registry_version, served.sequence, served.source) == (make_pair(), 3, 1, "registry")


def _edited():
    changed = version()
    changed.template[0]["content"] += " Promise a refund."
    return changed


def _with_config(key, value):
    changed = version()
    changed.model_config = changed.model_config | {key: value}
    return changed


OTHER = make_pair("Other text <history>.")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (_edited(), "changed after it was registered"),
        (_with_config("omni_pair", {"name": "x"}), "changed in the registry"),
        (_with_config("model_name", "dear-model"), "model_name in its model config was changed"),
        (version(model_config={"model_name": "m"}), "holds no pair"),
        (version(template="plain text"), "not written by"),
        (version(tags={DIGEST_TAG: make_pair().digest}), "never released"),
        (version(release=make_release(OTHER)), "release of another pair"),
        (version(version=4), "release of another pair"),
        (version(release=make_release(make_pair(), environment="aws")), "evidence from 'aws'"),
        (version(tags={DIGEST_TAG: make_pair().digest, "omni.release.000001": "{"}), "cannot be read"),
    ],
)
def test_everything_that_was_not_earned_is_refused(found, message):
    with pytest.raises(RegistryError, match=message):
        verify_version("demo", found, "local")


def test_the_newest_release_of_a_version_counts():
    releases = [make_release(make_pair(), sequence=n) for n in (2, 10, 9)]
    assert newest_release({r.tag: r.to_json() for r in releases}).sequence == 10


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/none.db")


class Script:
    """A fetch that gives or raises what it is told."""

    def __init__(self, step):
        self.step = step

    def __call__(self):
        if isinstance(self.step, Exception):
            raise self.step
        return self.step


def served(pair, sequence):
    return served_pair(pair, make_release(pair, sequence))


def test_a_refused_newcomer_leaves_the_last_good_pair_in_place(settings):
    fetch = Script(served(make_pair(), 1))
    source = RegistryPairSource("demo", settings, fetch=fetch)
    source.refresh()
    fetch.step = RegistryError("version 4 was changed")
    source.refresh()
    assert source.current().pair == make_pair()
    assert source.status().last_error == "version 4 was changed"
    fetch.step = served(OTHER, 2)
    source.refresh()
    assert (source.current().pair, source.status().last_error) == (OTHER, None)


def test_an_older_release_is_refused(settings):
    fetch = Script(served(OTHER, 5))
    source = RegistryPairSource("demo", settings, fetch=fetch)
    source.refresh()
    fetch.step = served(make_pair(), 4)
    source.refresh()
    assert source.current().pair == OTHER
    assert "older than release 5" in source.status().last_error


def test_a_cold_start_without_a_registry_serves_the_last_known_good(settings):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    source = RegistryPairSource("demo", settings, fetch=Script(RegistryError("down")))
    source.refresh()
    assert (source.current().pair, source.current().source, source.current().sequence) == (
        make_pair(),
        "last_known_good",
        7,
    )
    assert source.status().last_error == "down"


def test_a_last_known_good_file_that_was_edited_is_not_served(settings):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    path = settings.state_dir / "served" / "demo.json"
    path.write_text(path.read_text(encoding="utf-8").replace("Summarise", "Invent"), encoding="utf-8")
    with pytest.raises(RegistryError, match="no verified pair"):
        RegistryPairSource("demo", settings, fetch=Script(RegistryError("down"))).current()


def test_evidence_of_one_environment_is_not_served_in_the_other(settings):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    aws = Settings(state_dir=settings.state_dir, environment="aws")
    with pytest.raises(RegistryError):
        RegistryPairSource("demo", aws, fetch=Script(RegistryError("down"))).current()


def test_nothing_to_serve_says_why(settings):
    source = RegistryPairSource("demo", settings, fetch=Script(RegistryError("no alias: run `make promote`")))
    with pytest.raises(RegistryError, match="not answered yet"):
        source.current()
    source.refresh()
    with pytest.raises(RegistryError, match="run `make promote`"):
        source.current()


def test_a_missing_store_is_not_created_by_looking(tmp_path):
    path = tmp_path / "mlflow.db"
    with pytest.raises(RegistryError, match="does not exist"):
        check_store(f"sqlite:///{path}")
    assert not path.exists()


def test_a_store_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("not sqlite, whatever its name says", encoding="utf-8")
    with pytest.raises(RegistryError, match="cannot be read"):
        check_store(f"sqlite:///{path}")


def test_a_locked_store_is_named(tmp_path):
    path = tmp_path / "mlflow.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("create table alembic_version (version_num text)")
    holder.execute("begin exclusive")
    try:
        with pytest.raises(RegistryError, match=r"cannot be read .*locked"):
            check_store(f"sqlite:///{path}")
    finally:
        holder.close()
