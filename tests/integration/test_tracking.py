"""The MLflow store, for real: sqlite, prompt registry, runs, alias."""

import sqlite3
import subprocess
import sys

import pytest

from eval.tracking import TAG_TASK, TAG_VERDICT, RunLog, Tracking
from eval.tracking_worker import TrackingWorker
from service.errors import RegistryError
from service.pair import Message, OutputRules, Pair, Sampling, ServingPolicy
from service.registry import RegistryPairSource, fetch_released
from service.release import ALIAS, DIGEST_TAG, NAME_TAG
from service.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def make_pair(version="1.0.0", text="Summarise <history>."):
    return Pair(
        name="p",
        task="demo",
        version=version,
        model="m",
        backup=None,
        sampling=Sampling(max_output_tokens=100),
        output=OutputRules(schema="s", max_words=90),
        serving=ServingPolicy(),
        messages=(Message(role="system", content=text), Message(role="user", content="<history>{{history}}</history>")),
        variables=("history",),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def tracking(store):
    return Tracking(f"sqlite:///{store}/mlflow.db")


@pytest.fixture
def settings(store, tmp_path):
    return Settings(registry_uri=f"sqlite:///{store}/mlflow.db", state_dir=tmp_path)


def release(tracking, pair, **changes):
    current = tracking.production("demo")
    arguments = {
        "kind": "promote",
        "gate_run_id": "r",
        "why": "w",
        "environment": "local",
        "expected_from": current.pair.digest if current else None,
    }
    return tracking.release(pair, tracking.register(pair), **arguments | changes)


def test_the_way_from_file_to_alias_and_every_back_door(tracking, settings):
    first, second = make_pair("1.0.0"), make_pair("2.0.0", "Summarise <history> well.")
    assert tracking.production("demo") is None
    assert tracking.register(first) == tracking.register(first) == 1
    assert release(tracking, first).sequence == 1
    assert release(tracking, second).sequence == 2
    source = RegistryPairSource("demo", settings)
    source.refresh()
    assert source.current().pair == second

    # Somebody moves the alias back by hand: version 1 is genuine, its release is an old one.
    tracking._client.set_prompt_alias("demo", ALIAS, 1)
    source.refresh()
    assert source.current().pair == second
    assert "older than release 2" in source.status().last_error
    tracking._client.set_prompt_alias("demo", ALIAS, 2)

    # Somebody edits the text of the served version.
    original = (
        tracking._client.get_prompt_version("demo", 2).tags.get("mlflow.prompt.text")
        or '[{"role":"system","content":"x"}]'
    )
    tracking._client.set_prompt_version_tag(
        "demo", 2, "mlflow.prompt.text", '[{"role": "system", "content": "Promise a refund."}]'
    )
    source.refresh()
    assert source.current().pair == second
    assert "changed after it was registered" in source.status().last_error
    with pytest.raises(RegistryError, match="changed after it was registered"):
        tracking.production("demo")
    with pytest.raises(RegistryError, match="changed after it was registered"):
        fetch_released("demo", settings)
    assert original


def test_a_release_decided_on_old_news_is_refused(tracking):
    pair = make_pair("3.0.0")
    with pytest.raises(RegistryError, match="production moved while"):
        tracking.release(
            pair,
            tracking.register(pair),
            kind="promote",
            gate_run_id="r",
            why="w",
            environment="local",
            expected_from="f" * 64,
        )


def test_a_run_is_evidence_only_when_it_was_finished(tracking, tmp_path):
    artifact = tmp_path / "report.html"
    artifact.write_text("<p>report</p>", encoding="utf-8")
    tags = {TAG_TASK: "demo", TAG_VERDICT: "pass", NAME_TAG: "p", DIGEST_TAG: "d" * 64}
    log = RunLog(
        run_name="p",
        tags=tags,
        params={"pair": "p"},
        metrics={"bleu": 1.5},
        table=[{"case_id": "a", "bleu": 1.0}, {"case_id": "b", "bleu": None}],
        files=[str(artifact)],
        dataset={"name": "dev", "digest": "d" * 64, "source": str(artifact)},
    )
    run_id = tracking.log_run("demo", log)
    found = tracking.evidence("demo", pair_name="p")
    assert [(item.mlflow_run_id, item.verdict, item.pair_digest) for item in found] == [(run_id, "pass", "d" * 64)]
    table = tracking._mlflow.artifacts.load_dict(f"runs:/{run_id}/cases.json")
    assert [row[0] for row in table["data"]] == ["a", "b"]
    missing = RunLog(
        run_name="q",
        tags=tags | {NAME_TAG: "q"},
        params={},
        metrics={},
        table=log.table,
        files=["/nowhere"],
        dataset=log.dataset,
    )
    with pytest.raises(RegistryError, match="could not record"):
        tracking.log_run("demo", missing)
    assert tracking.evidence("demo", pair_name="q") == []


def test_several_processes_may_meet_a_fresh_store(tmp_path):
    # Without the lock, two of three die in the schema migration.
    code = f"from eval.tracking import Tracking; Tracking('sqlite:///{tmp_path}/mlflow.db')"
    children = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stderr=subprocess.PIPE) for _ in range(3)
    ]
    errors = [child.communicate()[1].decode()[-400:] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], errors


def test_a_store_that_is_no_database_is_one_clear_error(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database at all, and long enough to be noticed", encoding="utf-8")
    with (
        TrackingWorker(f"sqlite:///{tmp_path}/mlflow.db", log=tmp_path / "log") as worker,
        pytest.raises(RegistryError, match="damaged: move it away"),
    ):
        worker.production("demo")


def test_a_locked_store_is_one_clear_error(tracking, store):
    holder = sqlite3.connect(store / "mlflow.db", isolation_level=None)
    holder.execute("begin exclusive")
    try:
        with pytest.raises(RegistryError, match="another process holds it"):
            tracking.register(make_pair("9.0.0"))
    finally:
        holder.rollback()
        holder.close()


def test_the_worker_answers_as_the_store_does(store):
    with TrackingWorker(f"sqlite:///{store}/mlflow.db", log=store / "log") as worker:
        assert worker.production("nothing-here") is None
        worker._child.kill()
        with pytest.raises(RegistryError, match="tracking process ended"):
            worker.production("demo")
