"""The loader against a local AWS (ministack: S3, its notifications, SQS) and a DuckDB file: nothing is lost or doubled."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import loadable
import pytest
from load_place import LoadPlace, make_place

from service.answers_kept.record import utc_text
from service.kit.aws.event_queue import EventQueue
from service.kit.settings import REPO_ROOT, Settings
from service.loading.objects import DeadReason

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")


@pytest.fixture(scope="module")
def stack(local_aws: Any) -> Settings:
    made: Settings = local_aws(store_timeout_s=20.0)
    return made


@pytest.fixture
def place(stack: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LoadPlace]:
    made = make_place(stack, tmp_path, f"{abs(hash(request.node.nodeid)) % 10**10}")
    yield made
    made.close()


@pytest.mark.acceptance("operation-27")
def test_announced_objects_are_loaded_once_and_their_messages_deleted(place: LoadPlace) -> None:
    summaries = [loadable.summary(n) for n in range(15)]
    place.put(*summaries, loadable.feedback(3, of=summaries[3]), loadable.release())
    tally = place.loader.drain()
    assert (tally.loaded, tally.dead.total()) == (17, 0)
    assert place.rows("SELECT COUNT(*) FROM omni_summaries") == [(15,)]
    assert place.rows("SELECT request_id FROM omni_summaries WHERE helpful_feedback = 'helpful'") == [("req-000003",)]
    assert place.rows("SELECT metric, n FROM omni_promises") == [("supported", 200)]
    assert place.queue.waiting() == (0, 0)
    assert place.loader.drain().objects == 0
    assert place.balanced().balanced


def test_a_repeated_message_changes_nothing(place: LoadPlace) -> None:
    place.put(loadable.summary())
    impatient = replace(place.loader, visible_after_s=1, queue=_Forgetful(place.queue))
    impatient._load_messages(impatient._collect(1))
    before = place.tables()
    tally = place.loader.drain()
    assert (tally.loaded, tally.known) == (0, 1)
    assert place.tables() == before


class _Forgetful:
    """A queue whose deletes get lost."""

    def __init__(self, queue: EventQueue) -> None:
        self.receive = queue.receive

    def delete(self, receipts: list[str]) -> None:
        pass


def test_a_scan_finds_objects_that_the_queue_never_named(place: LoadPlace) -> None:
    place.put(*(loadable.summary(n) for n in range(5)))
    place.sqs.purge_queue(QueueUrl=place.sqs.get_queue_url(QueueName=place.settings.stores.events_queue)["QueueUrl"])
    assert place.loader.drain().objects == 0
    lost = place.balanced(now=datetime.now(UTC) + timedelta(hours=1))
    assert not lost.balanced
    assert "missing: omni-channel/processed/year=2025/month=11/day=21/hour=11/req-000000.json" in "\n".join(
        lost.lines()
    )
    assert place.loader.scan().loaded == 5
    assert place.balanced().balanced
    assert place.loader.scan().objects == 0


def test_a_late_object_of_an_old_hour_is_found_with_since(place: LoadPlace) -> None:
    place.put(loadable.summary(1))
    place.loader.drain()
    old = loadable.NOW - timedelta(days=30)
    seen = [{"channel": "ivr", "timestamp": utc_text(old), "intent": "billing"}]
    late = loadable.summary(2, generated_at=utc_text(old), interactions=seen, interactions_considered=1)
    place.put(late)
    place.sqs.purge_queue(QueueUrl=place.sqs.get_queue_url(QueueName=place.settings.stores.events_queue)["QueueUrl"])
    assert place.loader.scan().loaded == 0  # two days before the newest are looked at by default
    assert place.loader.scan(old).loaded == 1
    assert place.loader.scan(everything=True).objects == 0


@pytest.mark.acceptance("operation-27")
def test_bad_objects_are_dead_with_key_reason_and_time_and_load_after_a_fix(place: LoadPlace) -> None:
    good = loadable.summary(1)
    whole = loadable.summary(2)
    half = whole.to_json()[:200]
    awkward = "omni-channel/processed/year=2025/month=11/day=21/hour=11/a b+ü&=.json"
    place.put(good)
    for key, text in ((whole.object_key, half), (awkward, "[]"), ("omni-channel/feedback/huge", " " * 1_100_000)):
        place.put_text(key, text)
    tally = place.loader.drain()
    assert (tally.loaded, dict(tally.dead)) == (1, {"not_json": 1, "wrong_schema": 1, "too_large": 1})
    letters = place.dead_letters()
    assert {letter["object_key"]: letter["reason"] for letter in letters.values()} == {
        whole.object_key: "not_json",
        awkward: "wrong_schema",
        "omni-channel/feedback/huge": "too_large",
    }
    assert all(datetime.fromisoformat(letter["at"]).tzinfo for letter in letters.values())
    assert "Marchetti" not in json.dumps(letters)
    assert place.balanced().dead == {"not_json": 1, "wrong_schema": 1, "too_large": 1}
    assert place.balanced().balanced

    assert place.loader.replay().loaded == 0
    assert place.dead_letters() == letters  # the first time stays
    place.s3.put_object(
        Bucket=place.settings.stores.archive_bucket, Key=whole.object_key, Body=whole.to_json().encode()
    )
    assert place.loader.replay(DeadReason.TOO_LARGE).loaded == 0
    assert place.loader.replay(DeadReason.NOT_JSON).loaded == 1
    assert {letter["reason"] for letter in place.dead_letters().values()} == {"wrong_schema", "too_large"}
    assert place.rows("SELECT request_id FROM omni_summaries ORDER BY 1") == [("req-000001",), ("req-000002",)]
    assert place.balanced().balanced


def test_a_deleted_object_is_dead_and_does_not_block_others(place: LoadPlace) -> None:
    place.put(loadable.summary(1), loadable.summary(2))
    place.archive.delete([loadable.summary(1).object_key])
    tally = place.loader.drain()
    assert (tally.loaded, dict(tally.dead)) == (1, {"gone": 1})
    assert place.balanced().balanced


def test_a_message_that_is_no_event_is_deleted_and_counted(place: LoadPlace) -> None:
    url = place.sqs.get_queue_url(QueueName=place.settings.stores.events_queue)["QueueUrl"]
    for body in ("not json", "{}", '{"Records": [{"s3": 4}]}', '{"Records": 7}'):
        place.sqs.send_message(QueueUrl=url, MessageBody=body)
    assert place.loader.drain().foreign == 4
    assert place.queue.waiting() == (0, 0)


def test_a_lost_row_is_detected(place: LoadPlace) -> None:
    place.put(loadable.summary(1), loadable.summary(2))
    place.loader.drain()
    warehouse = place.open()
    warehouse._connection.execute("DELETE FROM omni_summaries WHERE request_id = 'req-000002'")
    warehouse.close()
    assert not place.balanced().balanced


def _load_command(place: LoadPlace, *arguments: str) -> subprocess.CompletedProcess[str]:
    names = (
        "aws_endpoint",
        "archive_bucket",
        "events_queue",
        "state_dir",
        "local_aws_port",
        "warehouse_path",
        "warehouse_redactor",
    )
    env = {f"OMNI_{name.upper()}": str(place.settings.flat()[name]) for name in names}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "service", "load-events", *arguments],
        cwd=REPO_ROOT, env={"PYTHONPATH": str(REPO_ROOT), "PATH": "/usr/bin:/bin", "OMNI_STORE_TIMEOUT_S": "20"} | env,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.cold
def test_the_command_loads_checks_and_replays(place: LoadPlace) -> None:
    place.put(loadable.summary(1), loadable.feedback(1))
    place.put_text("omni-channel/processed/x", "{")
    done = _load_command(place)
    assert done.returncode == 0, done.stderr
    assert "2 objects loaded, 4 rows new or changed; 1 verdicts joined" in done.stdout
    assert "1 dead: not_json" in done.stdout
    done = _load_command(place, "--check")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "balanced")
    done = _load_command(place, "--replay", "not_json")
    assert "0 objects loaded" in done.stdout
    done = _load_command(place, "--since", "last week")
    assert (done.returncode, "is not an ISO 8601 time" in done.stderr) == (2, True)
