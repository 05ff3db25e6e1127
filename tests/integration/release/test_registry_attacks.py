"""A stranger with write access to MLflow, our statements and a real sqlite store: what he writes is refused and named."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from builders import make_pair
from notary import Notary

from eval.release.audit import Audit
from eval.release.ledger import Ledger
from eval.tracking.lock import name_lock
from eval.tracking.store import Tracking
from service.core.release.ledger_copy import ledger_copy
from service.core.release.registry import RegistryPairSource
from service.core.release.release import ALIAS
from service.core.release.released import released_pairs
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
_NAMES = count(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def notary(store):
    notary = Notary()
    (store / "trusted.pem").write_text(notary.public_pem(), encoding="utf-8")
    return notary


@pytest.fixture(scope="module")
def tracking(store, notary):
    return Tracking(f"sqlite:///{store}/mlflow.db", trusted_keys=store / "trusted.pem")


@pytest.fixture
def settings(store, tmp_path):
    return Settings(registry_uri=f"sqlite:///{store}/mlflow.db", state_dir=tmp_path, trusted_keys=store / "trusted.pem")


@pytest.fixture
def task():
    """A task of its own per test: they share one store."""
    return f"task{next(_NAMES)}"


@pytest.fixture
def publish(tracking, settings, notary, task):
    def publish(name, kind="promote"):
        pair, ledger = make_pair(task, name), Ledger(task, tracking, settings, notary.keys)
        releases = ledger.releases()
        before = releases[0].pair_digest if releases else None
        now = datetime.now(UTC)
        evidence = notary.attestation(pair, baseline_digest=before, issued_at=now, expires_at=now + timedelta(days=1))
        return ledger.publish(
            pair,
            tracking.register(pair),
            kind=kind,
            gate_run_id="0" * 32,
            attestation=notary.sign(evidence),
            why="w",
            from_digest=before,
            after=releases[0].sequence if releases else 0,
            signer=notary.signer,
        )

    return publish


def point(tracking, task, version):
    tracking._client.set_prompt_alias(task, ALIAS, version)


def broken(task, settings):
    """Return what ``verify`` names; these releases were made without a run, so its artifacts are left aside."""
    items = Audit(task, settings).items()
    return {item.name: item.problem for item in items if item.problem and not item.name.endswith(".json")}


def bury(tracking, task, number):
    """Register ``number`` empty versions, so that those with releases are on a later page."""
    for _ in range(number):
        tracking._client.register_prompt(task, "x")


def test_releases_buried_under_a_hundred_versions_are_found(tracking, settings, publish, task, tmp_path):
    publish("one")
    publish("two")
    bury(tracking, task, 101)
    assert [version for version, _ in tracking.version_tags(task)][-2:] == [2, 1]
    assert tracking.register(make_pair(task, "two")) == 2
    point(tracking, task, 1)
    source = RegistryPairSource(task, settings.model_copy(update={"state_dir": tmp_path / "new"}))
    source.refresh()
    with pytest.raises(RegistryError, match="release 2 is newer: the alias was moved by hand"):
        source.current()


def test_a_service_that_is_behind_is_not_led_to_a_release_that_was_rolled_back(tracking, settings, publish, task):
    publish("one")
    running = RegistryPairSource(task, settings)
    running.refresh()
    publish("bad")
    publish("one", "rollback")
    point(tracking, task, 2)  # release 2: genuine, newer than what the service knows, and rolled back since
    restarted = RegistryPairSource(task, settings)
    for source in (running, restarted):
        source.refresh()
        assert source.current().pair.name == "one"
        assert "release 3 is newer: the alias was moved by hand" in source.status().last_error
    point(tracking, task, 1)
    for source in (running, restarted):
        source.refresh()
        assert (source.current().sequence, source.status().last_error) == (3, None)


def test_a_restarted_service_says_that_it_is_held_back(tracking, settings, publish, task):
    publish("one")
    RegistryPairSource(task, settings).refresh()
    publish("two")
    point(tracking, task, 1)
    source = RegistryPairSource(task, settings)
    source.refresh()
    assert source.current().sequence == 1
    assert "release 2 is newer" in source.status().last_error


@pytest.mark.parametrize("damage", ["remove", "add a signature", "empty", "brackets"])
def test_what_the_service_refuses_is_named_by_verify(tracking, settings, publish, task, damage, monkeypatch):
    publish("one")
    assert broken(task, settings) == {}
    ((_, tags),) = tracking.version_tags(task)
    name = next(tag for tag in tags if tag.startswith("omni.attestation."))
    tracking._client.delete_prompt_version_tag(task, 1, name)
    if damage != "remove":
        envelope = json.loads(tags[name])
        envelope["signatures"].append({"keyid": "x", "sig": ""})
        text = {"add a signature": json.dumps(envelope), "empty": " ", "brackets": "[" * 20_000}[damage]
        tracking._client.set_prompt_version_tag(task, 1, name, text)
    source = RegistryPairSource(task, settings)
    source.refresh()
    with pytest.raises(RegistryError, match="gate attestation"):
        source.current()
    # One copy is left in the run of a real release; `verify` must not be content with it.
    monkeypatch.setattr(Tracking, "run_attestation", lambda self, run_id: tags[name])
    problem = broken(task, settings)["alias"]
    assert "services refuse it" in problem
    assert "omni promote" in problem


def test_rubbish_beside_a_release_does_not_stop_verify_or_the_next_release(tracking, settings, publish, task):
    publish("one")
    for number, text in (
        (7, '{"payload": "", "payloadType": 5, "signatures": []}'),
        (8, "[" * 20_000),
        (9, '"\\ud800"'),
    ):
        tracking._client.set_prompt_version_tag(task, 1, f"omni.release.00000{number}", text)
    problems = broken(task, settings)
    for number in (7, 8, 9):
        assert "no signed statement" in problems[f"release {number} at version 1"]
    assert "services refuse it" in problems["alias"]
    assert publish("one", "restore").sequence == 2  # under a clean version
    source = RegistryPairSource(task, settings)
    source.refresh()
    assert (source.current().sequence, source.current().registry_version) == (2, 2)


def test_a_signature_added_in_the_registry_does_not_double_the_ledger(tracking, settings, publish, task):
    publish("one")
    ((_, tags),) = tracking.version_tags(task)
    envelope = json.loads(tags["omni.release.000001"])
    envelope["signatures"].append({"keyid": "x", "sig": ""})
    changed = json.dumps(envelope, sort_keys=True, separators=(",", ":"))
    tracking._client.set_prompt_version_tag(task, 1, "omni.release.000001", changed)
    assert "not in the form that we write" in broken(task, settings)["release 1 at version 1"]
    assert publish("one", "restore").sequence == 2
    assert not any("two different" in problem for problem in broken(task, settings).values())


def test_a_lock_that_was_taken_over_is_left_to_its_new_holder(tracking):
    client, name = tracking._client, "omni-release-lock.taken"
    with name_lock(client, name):
        client.delete_registered_model(name)
        client.create_registered_model(name, tags={"omni.owner": "other:1", "omni.at": "0"})
    assert client.get_registered_model(name).tags["omni.owner"] == "other:1"
    client.delete_registered_model(name)
    with name_lock(client, name):
        client.delete_registered_model(name)  # gone altogether: what was done under it is done


def remove_release(tracking, task, release):
    tracking._client.delete_prompt_version_tag(task, str(release.registry_version), release.tag)


def test_a_release_removed_from_the_registry_is_noticed_by_a_cold_start(tracking, settings, publish, task, tmp_path):
    first = publish("bad")
    second = publish("good")
    remove_release(tracking, task, second)
    point(tracking, task, first.registry_version)
    cold = settings.model_copy(update={"state_dir": tmp_path / "new"})
    source = RegistryPairSource(task, cold)
    source.refresh()
    with pytest.raises(RegistryError, match="the ledger holds release 2: it was removed from the registry"):
        source.current()


def test_a_ledger_that_cannot_be_read_is_no_empty_one(settings, publish, task):
    publish("one")
    ledger_copy(task, settings).write_bytes(b"\xff\xfe")
    source = RegistryPairSource(task, settings)
    source.refresh()
    assert "cannot be read (UnicodeDecodeError)" in source.status().last_error


def test_a_complete_chain_of_a_stranger_s_key_releases_nothing(tracking, settings, publish, task, tmp_path):
    publish("one")
    stranger, pair = Notary(), make_pair(task, "evil")
    theirs = settings.model_copy(update={"state_dir": tmp_path / "theirs", "ledger_dir": tmp_path / "theirs"})
    now = datetime.now(UTC)
    evidence = stranger.attestation(pair, baseline_digest=None, issued_at=now, expires_at=now + timedelta(days=1))
    Ledger(task, tracking, theirs, stranger.keys).publish(
        pair,
        tracking.register(pair),
        kind="promote",
        gate_run_id="0" * 32,
        attestation=stranger.sign(evidence),
        why="w",
        from_digest=None,
        after=0,
        signer=stranger.signer,
    )
    for state in ("warm", "cold"):
        source = RegistryPairSource(task, settings.model_copy(update={"state_dir": tmp_path / state}))
        source.refresh()
        with pytest.raises(RegistryError, match="not by a key trusted in"):
            source.current()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"null", b"[" * 100_000, b'{"environment": "local"}'])
def test_a_corrupt_last_known_good_pair_is_named_and_replaced(settings, publish, task, content):
    publish("one")
    RegistryPairSource(task, settings).refresh()
    path = settings.state_dir / "served" / f"{task}.json"
    path.write_bytes(content)
    source = RegistryPairSource(task, settings)
    assert source.status().served is None
    assert "last known good pair on disk is damaged" in source.status().last_error
    source.refresh()
    assert source.current().pair.name == "one"
    assert RegistryPairSource(task, settings).current().pair.name == "one"


@pytest.mark.parametrize(
    "key", ["mlflow.prompt.text", "_mlflow_prompt_type", "_mlflow_prompt_model_config", "omni.pair_digest"]
)
def test_an_empty_value_in_the_store_is_named_and_the_last_pair_stays(store, settings, publish, task, key):
    publish("one")
    source = RegistryPairSource(task, settings)
    source.refresh()
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        emptied = database.execute("update model_version_tags set value = null where name = ? and key = ?", (task, key))
    source.refresh()
    assert source.current().pair.name == "one"
    error = source.status().last_error
    assert emptied.rowcount == 1
    assert any(word in error for word in ("damaged row", "was changed", "holds no pair")), error


def test_a_tenant_may_choose_among_released_pairs_alone_and_among_none_that_was_taken_back(
    tracking, settings, publish, task
):
    def named():
        return [(served.pair.name, served.sequence) for served in released_pairs(task, settings)]

    publish("one")
    publish("two")
    assert named() == [("two", 2), ("one", 1)]
    forged = tracking.register(make_pair(task, "forged"))
    assert named() == [("two", 2), ("one", 1)]
    ((_, tags),) = [found for found in tracking.version_tags(task) if found[0] == 2]
    for name, text in tags.items():
        tracking._client.set_prompt_version_tag(task, str(forged), name, text)  # the release of another version
    assert named() == [("two", 2), ("one", 1)]
    publish("one", "rollback")
    assert named() == [("one", 3)]
    publish("two")
    assert named() == [("two", 4), ("one", 3)]
