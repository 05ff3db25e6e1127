"""The MLflow store, for real: sqlite, prompt registry, runs, alias."""

import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy
from builders import make_pair
from notary import Notary

from eval.release.ledger import Ledger
from eval.tracking.lock import STALE_AFTER_S, name_lock
from eval.tracking.store import TAG_TASK, TAG_VERDICT, RunLog, Tracking
from eval.tracking.worker import TrackingWorker
from service.core.release.registry import RegistryPairSource, fetch_released
from service.core.release.release import ALIAS, DIGEST_TAG, NAME_TAG
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ASKED = "Summarise <history>."


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


def release(tracking, notary, settings, pair):
    current = tracking.production("demo")
    baseline = current.pair.digest if current else None
    now = datetime.now(UTC)
    evidence = notary.attestation(pair, baseline_digest=baseline, issued_at=now, expires_at=now + timedelta(days=1))
    ledger = Ledger("demo", tracking, settings, notary.keys)
    return ledger.publish(
        pair,
        tracking.register(pair),
        kind="promote",
        gate_run_id="0" * 32,
        attestation=notary.sign(evidence),
        why="w",
        from_digest=baseline,
        after=len(ledger.releases()),
        signer=notary.signer,
    )


def test_the_way_from_file_to_alias_and_every_back_door(tracking, settings, notary, tmp_path):
    first, second = make_pair(system=ASKED), make_pair(version="2.0.0", system="Summarise <history> well.")
    client = tracking._client
    assert tracking.production("demo") is None
    assert tracking.register(first) == tracking.register(first) == 1
    assert release(tracking, notary, settings, first).sequence == 1
    assert release(tracking, notary, settings, second).sequence == 2
    source = RegistryPairSource("demo", settings)
    source.refresh()
    assert source.current().pair == second

    # Somebody moves the alias back by hand: version 1 is genuine, its release is an old one.
    client.set_prompt_alias("demo", ALIAS, 1)
    source.refresh()
    assert source.current().pair == second
    assert "older than release 2" in source.status().last_error
    # A service that has never served anything finds the newer release in the registry.
    newcomer = RegistryPairSource("demo", settings.model_copy(update={"state_dir": tmp_path / "new"}))
    newcomer.refresh()
    with pytest.raises(RegistryError, match="release 2 is newer: the alias was moved by hand"):
        newcomer.current()
    client.set_prompt_alias("demo", ALIAS, 2)

    # Somebody writes a release without our key, then takes it away again.
    forged = notary.release(second, 3, registry_version=2)
    client.set_prompt_version_tag("demo", 2, forged.tag, type(notary)().sign(forged))
    source.refresh()
    assert source.current().sequence == 2
    assert "release 3 of version 2 of prompt 'demo' is signed by" in source.status().last_error
    assert tracking.register(second) == 3  # a clean version, to release it again
    client.delete_prompt_version_tag("demo", 2, forged.tag)
    source.refresh()
    assert source.status().last_error is None

    # Somebody edits the text of the served version.
    client.set_prompt_version_tag(
        "demo", 2, "mlflow.prompt.text", '[{"role": "system", "content": "Promise a refund."}]'
    )
    source.refresh()
    assert source.current().pair == second
    assert "changed after it was registered" in source.status().last_error
    with pytest.raises(RegistryError, match="changed after it was registered"):
        tracking.production("demo")
    with pytest.raises(RegistryError, match="changed after it was registered"):
        fetch_released("demo", settings)


def test_an_alias_that_was_only_ever_set_by_hand_is_no_production(tracking):
    pair = replace(make_pair(system=ASKED), task="byhand")
    version = tracking.register(pair)
    tracking._client.set_prompt_alias("byhand", ALIAS, version)
    assert tracking.production("byhand") is None


def test_a_release_decided_on_old_news_is_refused(tracking, settings, notary):
    pair = replace(make_pair(system=ASKED), task="moved")
    ledger = Ledger("moved", tracking, settings, notary.keys)
    with pytest.raises(RegistryError, match="production changed while"):
        ledger.publish(
            pair,
            tracking.register(pair),
            kind="promote",
            gate_run_id="r",
            attestation=notary.sign(notary.attestation(pair)),
            why="w",
            from_digest=None,
            after=1,  # of which the ledger holds nothing
            signer=notary.signer,
        )


def test_a_remote_stores_lock_is_held_by_one_and_taken_over_from_the_dead(tracking):
    client, name = tracking._client, "omni-release-lock.demo"
    busy = pytest.raises(RegistryError, match="somebody else is releasing right now")
    with name_lock(client, name), busy, name_lock(client, name):
        pytest.fail("two at once")
    with name_lock(client, name):
        pass  # it was given back
    client.create_registered_model(name, tags={"omni.owner": "dead:1", "omni.at": "1000"})
    with pytest.raises(RegistryError, match="dead:1"), name_lock(client, name, now=1000 + STALE_AFTER_S / 2):
        pytest.fail("it may live")
    with name_lock(client, name, now=1000 + STALE_AFTER_S * 2):
        pass


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
    found = tracking.records("demo", "p")
    assert [(item.mlflow_run_id, item.verdict, item.attestation) for item in found] == [(run_id, "pass", None)]
    experiment = tracking._client.get_run(run_id).info.experiment_id
    table = json.loads(tracking.artifact(run_id, "cases.json"))
    assert table == {"columns": ["case_id", "bleu"], "data": [["a", 1], ["b", None]]}
    assert list(tracking._client.load_table(experiment, "cases.json", run_ids=[run_id])["case_id"]) == ["a", "b"]
    assert tracking.artifact(run_id, "nothing.json") is None
    assert tracking.run_attestation("0" * 32) is None
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
    assert tracking.records("demo", "q") == []


def test_several_processes_may_meet_a_fresh_store(tmp_path):
    # Without the lock, two of three die in the schema migration.
    code = f"from eval.tracking.store import Tracking; Tracking('sqlite:///{tmp_path}/mlflow.db')"
    children = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stderr=subprocess.PIPE) for _ in range(3)
    ]
    errors = [child.communicate()[1].decode()[-400:] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], errors


def test_a_store_that_is_no_database_is_one_clear_error(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database at all, and long enough to be noticed", encoding="utf-8")
    with (
        TrackingWorker(f"sqlite:///{tmp_path}/mlflow.db", log=tmp_path / "log", prompts=tmp_path) as worker,
        pytest.raises(RegistryError, match="damaged: move it away"),
    ):
        worker.production("demo")


@pytest.fixture
def short_wait():
    """Let sqlite wait 0.1 s for a lock where mlflow says 20 s."""

    def shorter(connection, cursor, statement, parameters, context, executemany):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", shorter, retval=True)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", shorter)


def test_a_locked_store_is_one_clear_error(tracking, store, short_wait):
    holder = sqlite3.connect(store / "mlflow.db", isolation_level=None)
    holder.execute("begin exclusive")
    try:
        with pytest.raises(RegistryError, match="another process holds it"):
            tracking.register(make_pair(version="9.0.0", system=ASKED))
    finally:
        holder.rollback()
        holder.close()


def test_the_worker_answers_as_the_store_does(store):
    with TrackingWorker(f"sqlite:///{store}/mlflow.db", log=store / "log", prompts=store) as worker:
        assert worker.production("nothing-here") is None
        worker._child.kill()
        with pytest.raises(RegistryError, match="tracking process ended"):
            worker.production("demo")


def test_a_store_whose_making_was_interrupted_is_made_again(tmp_path):
    path = tmp_path / "mlflow.db"
    code = f"from eval.tracking.store import Tracking; Tracking('sqlite:///{path}')"
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code])
    unfinished = tmp_path / ".mlflow.db.new"
    while not (unfinished.exists() and unfinished.stat().st_size):
        assert child.poll() is None
        time.sleep(0.005)
    child.kill()
    child.wait()
    assert not path.exists()
    tracking = Tracking(f"sqlite:///{path}")
    tracking.register(make_pair(system=ASKED))
    assert not unfinished.exists()
