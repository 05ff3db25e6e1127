"""Two simulated weeks against the real service, real stores and the real loop; killed in the middle and resumed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pytest
import warm

from eval.instruments.traffic.plan import TrafficOptions
from eval.instruments.traffic.releases import FIRST, SECOND
from eval.instruments.traffic.run import plan_traffic
from service.kit.aws.clients import client
from service.kit.settings import Settings
from service.local import aws

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
OPTIONS = TrafficOptions(until=date(2026, 11, 16), weeks=2, per_day=6, seed=3)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def settings(tmp_path):
    base = Settings(state_dir=tmp_path, registry_uri=f"sqlite:///{tmp_path}/mlflow.db", local_aws_port=free_port())
    yield base
    aws.ministack(base).stop()


@pytest.fixture
def start(settings):
    """Starts `omni traffic` with a state; at the end, stops processes that still run, with their children."""
    started = []

    def begin(*arguments, state=settings):
        started.append(_start(state, *arguments))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def _start(settings, *arguments):
    environment = os.environ | {
        "OMNI_STATE_DIR": str(settings.state_dir),
        "OMNI_REGISTRY_URI": settings.registry.uri,
        "OMNI_LOCAL_AWS_PORT": str(settings.local.aws_port),
        "PYTHONPATH": str(ROOT),
    }
    given = ("--weeks", "2", "--per-day", "6", "--seed", "3", "--until", "2026-W46", *arguments)
    line = [sys.executable, "-m", "omni", "traffic", "--no-load", *given]
    return subprocess.Popen(
        line,
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in a shell's background ignores Ctrl-C, and its children inherit this.
        preexec_fn=warm.interruptible,
    )


def objects(settings):
    s3 = client("s3", settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)}))
    found = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=settings.stores.archive_bucket):
        for item in page.get("Contents", []):
            body = s3.get_object(Bucket=settings.stores.archive_bucket, Key=item["Key"])["Body"].read()
            found.append((item["Key"], json.loads(body)))
    s3.close()
    return found


def test_weeks_are_simulated_in_minutes_and_a_kill_loses_at_most_one_hour(settings, start):
    journal = settings.state_dir / "traffic" / "journal.jsonl"
    first = start()
    deadline = time.monotonic() + 900  # two evaluations on the gate set; a bound, no measurement
    while first.poll() is None and (not journal.exists() or len(journal.read_text().splitlines()) < 12):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 2, err
    assert "run the same command again" in err

    second = start()
    _, err = second.communicate(timeout=900)
    releases = settings.state_dir / "traffic" / "releases.log"
    assert second.returncode == 0, err + releases.read_text(encoding="utf-8")[-4000:]
    plan = plan_traffic(OPTIONS, settings)
    contacts = {contact.contact_id: contact for contact in plan.contacts}
    found = objects(settings)
    records = [body for key, body in found if "/processed/" in key]
    counts = Counter(body["contact_id"] for body in records)
    transfers = {f"{contact.contact_id}-2" for contact in plan.contacts if contact.transfer}
    assert set(counts) == set(contacts) | transfers
    # Requests in flight when it was stopped may have been sent twice.
    assert sum(counts.values()) <= len(counts) + 16

    for key, body in found:
        if "/processed/" not in key or body["contact_id"] in transfers:
            continue
        contact, at = contacts[body["contact_id"]], datetime.fromisoformat(body["generated_at"])
        assert at == contact.at
        assert f"/day={at:%d}/hour={at:%H}/" in key
        assert body["pair"] == (SECOND if at > OPTIONS.released_at else FIRST)
        assert body["interactions_considered"] == len(plan.episodes[contact.episode].visible)
    assert {body["client"] for body in records} <= {"agent-desktop", "salesforce", "chat-console"}
    verdicts = [body for key, body in found if "/feedback/" in key]
    assert verdicts
    assert all(body["feedback_timestamp"] > body["generated_at"] for body in verdicts)

    third = start("--noise", "0.2")
    _, err = third.communicate(timeout=60)
    assert third.returncode == 2
    assert "other options" in err


def test_a_registry_outside_the_state_folder_is_left_alone(tmp_path, start):
    (tmp_path / "mlflow.db").write_text("", encoding="utf-8")
    process = start(state=Settings(state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/mlflow.db"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "OMNI_STATE_DIR and OMNI_REGISTRY_URI" in err
    assert not (tmp_path / "state").exists()
