import base64
import hashlib
import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.core.release.registry import CandidateReader, RegistryPairSource
from service.core.release.registry_record import from_registry, to_registry
from service.core.release.registry_store import check_store
from service.core.release.registry_version import verify_version
from service.core.release.release import DIGEST_TAG
from service.core.release.rollout import RolloutCandidate
from service.core.release.statements import TrustedKeys, envelope_digest
from service.core.release.unseen import UnseenPolicy
from service.core.release.verification import newest_sequence
from service.core.unit.pair import Artifact, OutputRules, Pair, PromptMessage, Sampling, ServingPolicy, ToolSpec
from service.kit.frame.errors import RegistryError, ToolsDiffer
from service.kit.settings import Settings
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event

LOCAL = UnseenPolicy(stage="local", takes=True)


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
        messages=(
            PromptMessage(role="system", content=text),
            PromptMessage(role="user", content="<history>{{history}}</history>"),
        ),
        variables=("history",),
    )


def version(notary, pair=None, tags=None, **changes):
    pair = pair or make_pair()
    template, config = to_registry(pair)
    fields = {"version": 3, "template": template, "model_config": config, "tags": tags or notary.tags(pair)}
    return SimpleNamespace(**fields | changes)


def test_what_is_written_reads_back_equal():
    template, config = to_registry(make_pair())
    config = json.loads(json.dumps(config))
    config["omni_pair"]["sampling"]["temperature"] = 0.0  # as MLflow returns it
    assert from_registry(template, config, {DIGEST_TAG: make_pair().digest}, "here").digest == make_pair().digest


def test_a_released_version_is_served(notary):
    served = verify_version("demo", version(notary), "local", notary.keys, LOCAL)
    assert (served.pair, served.registry_version, served.sequence, served.source) == (make_pair(), 3, 1, "registry")


def _edited(notary):
    changed = version(notary)
    changed.template[0]["content"] += " Promise a refund."
    return changed


def _with_config(notary, key, value):
    changed = version(notary)
    changed.model_config = changed.model_config | {key: value}
    return changed


def _with_digest_too(notary):
    changed = version(notary, OTHER)
    changed.tags = notary.tags(make_pair()) | {DIGEST_TAG: OTHER.digest}
    return changed


OTHER = make_pair("Other text <history>.")
LATER = {"issued_at": datetime(2026, 11, 22, tzinfo=UTC)}


def _on(notary, **changes):
    """A version released on an attestation with ``changes``: everything is signed and everything is consistent."""
    return version(notary, tags=notary.tags(make_pair(), attestation=notary.attestation(make_pair(), **changes)))


def _as(notary, **changes):
    return version(notary, tags=notary.tags(make_pair(), release=notary.release(make_pair(), **changes)))


def _without(notary, prefix):
    tags = notary.tags(make_pair())
    return version(notary, tags={name: value for name, value in tags.items() if not name.startswith(prefix)})


def _with_tag(notary, name, value):
    return version(notary, tags=notary.tags(make_pair()) | {name: value})


def _against_itself(notary):
    evidence = notary.attestation(make_pair(), baseline_digest=make_pair().digest)
    digest = envelope_digest(notary.sign(evidence), "it")
    release = notary.release(make_pair(), from_digest="b" * 64, attestation=digest)
    return version(notary, tags=notary.tags(make_pair(), release=release, attestation=evidence))


def _renamed(notary):
    # The highest number wins: an old release copied under a new name must not.
    tags = notary.tags(make_pair())
    return version(notary, tags=tags | {"omni.release.000009": tags["omni.release.000001"]})


ATTACKS = {
    "text edited": (_edited, "changed after it was registered"),
    "text edited with its digest tag": (_with_digest_too, "release of another pair"),
    "config replaced": (lambda n: _with_config(n, "omni_pair", {"name": "x"}), "changed in the registry"),
    "model edited": (
        lambda n: _with_config(n, "model_name", "dear-model"),
        "model_name in its model config was changed",
    ),
    "config removed": (lambda n: version(n, model_config={"model_name": "m"}), "holds no pair"),
    "not ours": (lambda n: version(n, template="plain text"), "not written by"),
    "alias moved to an unreleased version": (lambda n: _without(n, "omni.release."), "never released"),
    "release copied to another version": (lambda n: version(n, version=4), "release of another pair or version"),
    "release of another task": (lambda n: _as(n, task="other"), "release of another pair or version"),
    "release of another pair": (
        lambda n: version(n, tags=n.tags(OTHER) | {DIGEST_TAG: make_pair().digest}),
        "release of another pair or version",
    ),
    "release under a new number": (_renamed, "is a copy of release 1"),
    "release of the other environment": (
        lambda n: _as(n, environment="aws"),
        "is for 'aws', where its evidence is from",
    ),
    "unsigned release": (lambda n: _with_tag(n, "omni.release.000002", '{"task": "demo"}'), "is no signed statement"),
    "half a release": (lambda n: _with_tag(n, "omni.release.000002", "{"), "is no signed statement"),
    "attestation removed": (lambda n: _without(n, "omni.attestation."), "has no gate attestation"),
    "release without its evidence": (lambda n: _as(n, attestation="0" * 64), "is not the one it was released on"),
    "gate failed": (lambda n: _on(n, verdict="fail"), "the gate's verdict was 'fail'"),
    "gate inconclusive": (lambda n: _on(n, verdict="inconclusive"), "the gate's verdict was 'inconclusive'"),
    "judged on something else": (
        lambda n: _on(n, scope="other", dataset_name="dev[39]"),
        "not the suite's whole gate set",
    ),
    "evidence of the other environment": (lambda n: _on(n, environment="aws"), "its evidence is from 'aws'"),
    "evidence of another pair": (lambda n: _on(n, pair_digest=OTHER.digest), "its attestation is about"),
    "evidence expired before the release": (
        lambda n: _on(n, expires_at=datetime(2026, 11, 20, 12, tzinfo=UTC)),
        "its attestation had expired",
    ),
    "released before it was judged": (lambda n: _on(n, **LATER), "before its attestation"),
    "compared with itself": (_against_itself, "not compared with the pair that it replaced"),
    "compared with something else": (
        lambda n: _on(n, baseline_digest="b" * 64),
        "not compared with the pair that it replaced",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.acceptance("promise-11")
def test_every_release_without_valid_evidence_is_refused(notary, name):
    attack, message = ATTACKS[name]
    with pytest.raises(RegistryError, match=message):
        verify_version("demo", attack(notary), "local", notary.keys, LOCAL)


def test_valid_statements_signed_with_an_untrusted_key_are_refused(notary):
    stranger = type(notary)()
    with pytest.raises(RegistryError, match=r"is signed by .*, not by a key trusted in trusted\.pem"):
        verify_version("demo", version(stranger), "local", notary.keys, LOCAL)


def test_a_foreign_signature_under_our_key_id_is_refused(notary):
    tags = notary.tags(make_pair())
    forged = json.loads(type(notary)().sign(notary.release(make_pair())))
    forged["signatures"][0]["keyid"] = notary.signer.public_key.keyid
    with pytest.raises(RegistryError, match="changed after it was signed"):
        verify_version(
            "demo",
            version(notary, tags=tags | {"omni.release.000001": json.dumps(forged)}),
            "local",
            notary.keys,
            LOCAL,
        )


def test_a_changed_payload_is_refused(notary):
    tags = notary.tags(make_pair())
    envelope = json.loads(tags["omni.release.000001"])
    payload = base64.b64decode(envelope["payload"]).replace(b'"why":"because"', b'"why":"why not"')
    envelope["payload"] = base64.b64encode(payload).decode()
    tags["omni.release.000001"] = json.dumps(envelope)
    with pytest.raises(RegistryError, match="changed after it was signed"):
        verify_version("demo", version(notary, tags=tags), "local", notary.keys, LOCAL)


def test_an_attestation_in_the_place_of_another_is_refused(notary):
    tags = notary.tags(make_pair())
    name = next(tag for tag in tags if tag.startswith("omni.attestation."))
    better = notary.sign(notary.attestation(make_pair(), case_count=200))
    with pytest.raises(RegistryError, match="is not the one it was released on"):
        verify_version("demo", version(notary, tags=tags | {name: better}), "local", notary.keys, LOCAL)


def test_a_release_in_the_place_of_an_attestation_is_refused(notary):
    tags = notary.tags(make_pair())
    name = next(tag for tag in tags if tag.startswith("omni.attestation."))
    with pytest.raises(RegistryError, match=r"is a statement of type .*release/v1"):
        verify_version(
            "demo", version(notary, tags=tags | {name: tags["omni.release.000001"]}), "local", notary.keys, LOCAL
        )


def test_expired_evidence_allows_serving_and_rollback(notary):
    old = {"issued_at": datetime(2026, 9, 1, tzinfo=UTC), "expires_at": datetime(2026, 10, 1, tzinfo=UTC)}
    evidence = notary.attestation(make_pair(), **old)
    digest = envelope_digest(notary.sign(evidence), "it")
    for kind, at in (("promote", "2026-09-02T00:00:00+00:00"), ("rollback", "2026-11-21T00:00:00+00:00")):
        release = notary.release(make_pair(), kind=kind, at=at, attestation=digest)
        found = version(notary, tags=notary.tags(make_pair(), release=release, attestation=evidence))
        assert verify_version("demo", found, "local", notary.keys, LOCAL).pair == make_pair()


def test_both_keys_are_trusted_during_a_rotation(notary):
    new = type(notary)()
    both = TrustedKeys(path=Path("trusted.pem"), keys={**notary.keys.keys, **new.keys.keys})
    for signed_by in (notary, new):
        assert verify_version("demo", version(signed_by), "local", both, LOCAL).sequence == 1


def test_the_newest_release_of_a_version_counts(notary):
    tags = notary.tags(make_pair())
    for number in (2, 10, 9):
        release = notary.release(make_pair(), number)
        tags[release.tag] = notary.sign(release)
    assert verify_version("demo", version(notary, tags=tags), "local", notary.keys, LOCAL).sequence == 10


@pytest.fixture
def settings(tmp_path, notary):
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(notary.public_pem(), encoding="utf-8")
    registry = f"sqlite:///{tmp_path}/none.db"
    return Settings(root=tmp_path, state_dir=tmp_path / "state", registry_uri=registry, trusted_keys=trusted)


class Script:
    """A fetch that gives or raises what it is told."""

    def __init__(self, step):
        self.step = step

    def __call__(self):
        if isinstance(self.step, Exception):
            raise self.step
        return self.step


@pytest.fixture
def served(notary):
    def make(pair, sequence):
        tags = notary.tags(pair, release=notary.release(pair, sequence))
        return verify_version("demo", version(notary, pair, tags), "local", notary.keys, LOCAL)

    return make


def test_a_refused_release_leaves_the_last_good_pair_in_place(settings, served):
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


@pytest.mark.acceptance("event.REGISTRY_UNREADABLE", "figure.omni_registry_looks")
def test_an_outage_is_logged_once_and_every_look_is_counted(settings, served, monkeypatch):
    logged = []
    monkeypatch.setattr("service.core.release.registry.log", lambda event, **fields: logged.append((event, fields)))
    before = {failed: metrics.total(metrics.REGISTRY_LOOKS, failed=failed) for failed in ("true", "false")}
    fetch = Script(RegistryError("down"))
    source = RegistryPairSource("demo", settings, fetch=fetch)
    for step in (RegistryError("down"), RegistryError("down"), served(make_pair(), 1), KeyError("odd")):
        fetch.step = step
        source.refresh()
    assert logged == [
        (Event.REGISTRY_UNREADABLE, {"task": "demo", "reason": "RegistryError"}),
        (Event.REGISTRY_UNREADABLE, {"task": "demo", "reason": "KeyError"}),
    ]
    looks = {failed: metrics.total(metrics.REGISTRY_LOOKS, failed=failed) - before[failed] for failed in before}
    assert looks == {"true": 3, "false": 1}


def test_an_older_release_is_refused(settings, served):
    fetch = Script(served(OTHER, 5))
    source = RegistryPairSource("demo", settings, fetch=fetch)
    source.refresh()
    fetch.step = served(make_pair(), 4)
    source.refresh()
    assert source.current().pair == OTHER
    assert "older than release 5" in source.status().last_error


@pytest.mark.acceptance("promise-11")
def test_a_cold_start_without_a_registry_serves_the_last_known_good(settings, served):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    source = RegistryPairSource("demo", settings, fetch=Script(RegistryError("down")))
    source.refresh()
    assert (source.current().pair, source.current().source, source.current().sequence) == (
        make_pair(),
        "last_known_good",
        7,
    )
    assert source.status().last_error == "down"


def test_a_last_known_good_file_that_was_edited_is_not_served(settings, served):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    path = settings.state_dir / "served" / "demo.json"
    path.write_text(path.read_text(encoding="utf-8").replace("Summarise", "Invent"), encoding="utf-8")
    with pytest.raises(RegistryError, match="no verified pair"):
        RegistryPairSource("demo", settings, fetch=Script(RegistryError("down"))).current()


def test_a_last_known_good_pair_needs_its_signatures(settings, served):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    path = settings.state_dir / "served" / "demo.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["pair"]["messages"][0]["content"] = "Promise a refund."
    for changed in (content, content | {"release": "{}"}, {"environment": "local"}):
        path.write_text(json.dumps(changed), encoding="utf-8")
        source = RegistryPairSource("demo", settings, fetch=Script(RegistryError("down")))
        assert "last known good pair on disk" in source.status().last_error
        with pytest.raises(RegistryError, match="no verified pair"):
            source.current()


def test_a_cold_start_remembers_the_last_sequence(settings, served):
    RegistryPairSource("demo", settings, fetch=Script(served(OTHER, 7))).refresh()
    source = RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 6)))
    source.refresh()
    assert source.current().pair == OTHER
    assert "older than release 7" in source.status().last_error


def test_a_second_release_of_the_same_number_is_refused(settings, served):
    fetch = Script(served(OTHER, 5))
    source = RegistryPairSource("demo", settings, fetch=fetch)
    source.refresh()
    fetch.step = served(make_pair(), 5)
    source.refresh()
    assert source.current().pair == OTHER
    assert "two different releases 5" in source.status().last_error


def test_without_trusted_keys_nothing_is_served_and_the_error_says_what_to_set(settings, served):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    settings.release.trusted_keys.unlink()
    source = RegistryPairSource("demo", settings)
    source.refresh()
    with pytest.raises(RegistryError, match="set OMNI_TRUSTED_KEYS"):
        source.current()


def test_releases_of_a_key_that_is_no_longer_trusted_are_refused(settings, served, notary):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    settings.release.trusted_keys.write_text(type(notary)().public_pem(), encoding="utf-8")
    with pytest.raises(RegistryError, match="not by a key trusted"):
        RegistryPairSource("demo", settings, fetch=Script(RegistryError("down"))).current()


def test_only_verified_releases_count_as_the_newest(notary):
    tags = [notary.tags(make_pair()), notary.tags(OTHER, release=notary.release(OTHER, 4))]
    forged = {"omni.release.000009": type(notary)().sign(notary.release(OTHER, 9))}
    assert newest_sequence("demo", [*tags, forged], notary.keys) == 4
    assert newest_sequence("other", tags, notary.keys) == 0


def test_evidence_of_one_environment_is_not_served_in_the_other(settings, served):
    RegistryPairSource("demo", settings, fetch=Script(served(make_pair(), 7))).refresh()
    aws = settings.model_copy(update={"environment": "aws"})
    with pytest.raises(RegistryError):
        RegistryPairSource("demo", aws, fetch=Script(RegistryError("down"))).current()


def test_nothing_to_serve_says_why(settings):
    source = RegistryPairSource("demo", settings, fetch=Script(RegistryError("no alias: run `omni promote`")))
    with pytest.raises(RegistryError, match="not answered yet"):
        source.current()
    source.refresh()
    with pytest.raises(RegistryError, match="run `omni promote`"):
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


class Fitting:
    """Says of each pair's digest what it is told to raise."""

    def __init__(self):
        self.faults = {}

    def __call__(self, pair):
        if (fault := self.faults.get(pair.digest)) is not None:
            raise fault


WITH_TOOLS = replace(make_pair(), tools=(ToolSpec(name="find", description="Find.", arguments={"type": "object"}),))


def test_a_pair_with_other_tools_than_there_are_is_not_served_and_the_last_good_one_stays(settings, served):
    fits, fetch = Fitting(), Script(served(make_pair(), 1))
    source = RegistryPairSource("demo", settings, fetch=fetch, fits=fits)
    source.refresh()
    fits.faults[WITH_TOOLS.digest], fetch.step = ToolsDiffer("'find' is missing"), served(WITH_TOOLS, 2)
    source.refresh()
    assert (source.current().pair, source.status().last_error) == (make_pair(), "'find' is missing")
    assert source.status().refused == "p"
    fits.faults.clear()
    source.refresh()
    assert (source.current().pair, source.status().last_error) == (WITH_TOOLS, None)
    assert source.status().refused is None


@pytest.mark.parametrize("registry_is_up", [True, False])
def test_a_pair_whose_tools_change_under_it_is_served_no_longer(settings, served, registry_is_up):
    fits, fetch = Fitting(), Script(served(WITH_TOOLS, 1))
    source = RegistryPairSource("demo", settings, fetch=fetch, fits=fits)
    source.refresh()
    fits.faults[WITH_TOOLS.digest] = ToolsDiffer("'find' is missing")
    if not registry_is_up:
        fetch.step = RegistryError("down")
    source.refresh()
    assert source.status().served is None
    with pytest.raises(RegistryError, match="'find' is missing"):
        source.current()
    fits.faults.clear()
    source.refresh()
    assert source.current().pair == WITH_TOOLS


def test_while_nobody_can_say_whether_the_tools_fit_the_served_pair_stays_and_no_new_one_comes(settings, served):
    fits, fetch = Fitting(), Script(served(WITH_TOOLS, 1))
    source = RegistryPairSource("demo", settings, fetch=fetch, fits=fits)
    source.refresh()
    new = replace(WITH_TOOLS, version="2.0.0")
    fits.faults |= dict.fromkeys((WITH_TOOLS.digest, new.digest), RegistryError("the tools are down"))
    fetch.step = served(new, 2)
    source.refresh()
    assert (source.current().pair, source.status().last_error) == (WITH_TOOLS, "the tools are down")


def test_a_pair_from_disk_is_served_when_its_tools_are_known_to_fit(settings, served):
    RegistryPairSource("demo", settings, fetch=Script(served(WITH_TOOLS, 7))).refresh()
    fits = Fitting()
    fits.faults[WITH_TOOLS.digest] = RegistryError("the tools are down")
    source = RegistryPairSource("demo", settings, fetch=Script(RegistryError("down")), fits=fits)
    assert source.status().served is None
    source.refresh()
    assert (source.status().served, source.status().last_error) == (None, "down; the tools are down")
    fits.faults.clear()
    source.refresh()
    assert (source.current().pair, source.current().sequence) == (WITH_TOOLS, 7)


def test_an_older_release_than_that_on_disk_is_refused_before_its_tools_are_known(settings, served):
    RegistryPairSource("demo", settings, fetch=Script(served(WITH_TOOLS, 7))).refresh()
    source = RegistryPairSource("demo", settings, fetch=Script(served(OTHER, 6)))
    source.refresh()
    assert source.current().sequence == 7
    assert "older than release 7" in source.status().last_error


WEIGHED = replace(OTHER, artifacts=(Artifact(name="w", file="w.json", sha256=hashlib.sha256(b"weights").hexdigest()),))


@pytest.fixture
def weights(settings):
    path = settings.prompts_dir / "demo" / "w.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return path


def test_a_release_is_not_served_where_its_artifact_is_another_one(settings, served, weights):
    fetch = Script(served(make_pair(), 1))
    source = RegistryPairSource("demo", settings, fetch=fetch)
    source.refresh()
    weights.write_bytes(b"Weights")
    fetch.step = served(WEIGHED, 2)
    source.refresh()
    assert source.current().pair == make_pair()
    wrong = hashlib.sha256(b"Weights").hexdigest()
    assert f"release 2 is not served: pair {OTHER.name!r} of task 'demo'" in source.status().last_error
    assert f"{WEIGHED.artifacts[0].sha256}, and {weights} has SHA-256 {wrong}" in source.status().last_error
    weights.write_bytes(b"weights")
    source.refresh()
    assert (source.current().pair, source.status().last_error) == (WEIGHED, None)
    assert source.current().pair.artifact("w") == b"weights"


def test_a_file_that_changes_under_a_running_service_changes_nothing(settings, served, weights):
    source = RegistryPairSource("demo", settings, fetch=Script(served(WEIGHED, 1)))
    source.refresh()
    first = source.current().pair.artifact("w")
    for damage in (lambda: weights.write_bytes(b"Weights"), weights.unlink):
        damage()
        source.refresh()
        assert source.status().last_error is None
        assert source.current().pair.artifact("w") is first


def test_the_last_known_good_pair_is_served_with_its_artifact_or_not_at_all(settings, served, weights):
    down = Script(RegistryError("the registry does not answer"))
    RegistryPairSource("demo", settings, fetch=Script(served(WEIGHED, 1))).refresh()
    assert RegistryPairSource("demo", settings, fetch=down).current().pair.artifact("w") == b"weights"
    weights.write_bytes(b"Weights")
    source = RegistryPairSource("demo", settings, fetch=down)
    source.refresh()
    with pytest.raises(RegistryError, match="no verified pair to serve"):
        source.current()
    assert "release 1 is not served" in RegistryPairSource("demo", settings, fetch=down).status().last_error


def test_a_candidate_is_taken_with_its_artifact_or_not_at_all(settings, served, weights, monkeypatch):
    candidate = RolloutCandidate(served=served(WEIGHED, 1), rollout=SimpleNamespace(sequence=1), envelope="")
    monkeypatch.setattr("service.core.release.registry.fetch_candidate", lambda *_, **__: candidate)
    reader = CandidateReader("demo", settings)
    assert reader().served.pair.artifact("w") == b"weights"
    weights.unlink()
    assert reader().served.pair.artifact("w") == b"weights"
    with pytest.raises(RegistryError, match="does not exist"):
        CandidateReader("demo", settings)()
