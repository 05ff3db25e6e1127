"""The loader against a local AWS (ministack: S3, its notifications, SQS) and a DuckDB file: nothing lost, nothing double."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import loadable
import pytest

from service.aws.clients import client
from service.aws.event_queue import EventQueue, create_queue
from service.events import EVENTS
from service.loading.balance import balance
from service.loading.build import build_loader
from service.loading.dead_letters import DEAD_PREFIX
from service.loading.loader import Loader
from service.loading.objects import DeadReason
from service.settings import REPO_ROOT, Settings
from service.summaries.archive import Archive, create_bucket
from service.summaries.record import FEEDBACK_PREFIX, PROCESSED_PREFIX, RELEASES_PREFIX, utc_text
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")

PREFIXES = (PROCESSED_PREFIX, FEEDBACK_PREFIX, RELEASES_PREFIX)


@pytest.fixture(scope="module")
def stack(local_aws: Any) -> Settings:
    made: Settings = local_aws(store_timeout_s=20.0)
    return made


@dataclass
class Place:
    """A bucket with its queue, and a warehouse, that no other test uses."""

    settings: Settings
    loader: Loader
    archive: Archive
    s3: Any
    sqs: Any

    @property
    def queue(self) -> EventQueue:
        assert self.loader.queue is not None
        return self.loader.queue

    def put(self, *records: Any) -> None:
        for record in records:
            self.archive.put_json(record.object_key, record.model_dump_json())

    def open(self) -> DuckWarehouse:
        return DuckWarehouse(self.settings.warehouse_file, wait_s=10)

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        warehouse = self.open()
        found = [tuple(row) for row in warehouse.query(select).itertuples(index=False)]
        warehouse.close()
        return found

    def tables(self) -> dict[str, str]:
        """Return the tables in a fixed order; loads without the time at which they were made."""
        warehouse = self.open()
        found = {
            event.table: warehouse.query(
                f"SELECT {', '.join(event.model_fields)} FROM {event.table} ORDER BY {', '.join(event.key)}"
            ).to_csv(index=False)
            for event in EVENTS
        }
        loads = "SELECT object_key, etag, kind, outcome, reason, row_count FROM omni_loads ORDER BY object_key, etag"
        found["omni_loads"] = warehouse.query(loads).to_csv(index=False)
        warehouse.close()
        return found

    def balanced(self, **changes: Any) -> Any:
        warehouse = self.open()
        try:
            return balance(self.archive, warehouse, **{"since": None, "now": datetime.now(UTC)} | changes)
        finally:
            warehouse.close()

    def dead_letters(self) -> dict[str, dict[str, Any]]:
        found = {}
        for page in self.archive.listed(DEAD_PREFIX):
            for item in page:
                stored = self.archive.read(item.key, most_bytes=100_000)
                assert stored is not None
                assert stored.body is not None
                found[item.key] = json.loads(stored.body)
        return found


def _place(stack: Settings, folder: Path, name: str) -> Place:
    settings = stack.model_copy(
        update={
            "archive_bucket": f"bucket-{name}",
            "events_queue": f"queue-{name}",
            "warehouse_path": folder / "w.duckdb",
        }
    )
    s3, sqs = client("s3", settings), client("sqs", settings)
    create_bucket(s3, settings.stores.archive_bucket)
    for _ in range(2):  # safe to repeat
        create_queue(sqs, s3, settings.stores.events_queue, bucket=settings.stores.archive_bucket, prefixes=PREFIXES)
    loader, archive = build_loader(settings)
    loader = replace(loader, visible_after_s=30, report=lambda tally: None)
    loader.prepare_warehouse()
    return Place(settings, loader, archive, s3, sqs)


@pytest.fixture
def place(stack: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    made = _place(stack, tmp_path, f"{abs(hash(request.node.nodeid)) % 10**10}")
    yield made
    made.s3.close()
    made.sqs.close()


def test_what_s3_announces_is_loaded_once_and_its_messages_go(place: Place) -> None:
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


def test_a_message_that_comes_again_changes_nothing(place: Place) -> None:
    place.put(loadable.summary())
    impatient = replace(place.loader, visible_after_s=1, queue=_Forgetful(place.queue))
    impatient._load_messages(impatient._collect(5))
    before = place.tables()
    tally = place.loader.drain(wait_s=3)
    assert (tally.loaded, tally.known) == (0, 1)
    assert place.tables() == before


class _Forgetful:
    """A queue whose deletes are lost on the way."""

    def __init__(self, queue: EventQueue) -> None:
        self.receive = queue.receive

    def delete(self, receipts: list[str]) -> None:
        pass


def test_what_the_queue_never_named_is_found_by_looking(place: Place) -> None:
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


def test_a_late_object_of_an_old_hour_is_found_since_then(place: Place) -> None:
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


def test_bad_objects_are_dead_with_key_reason_and_time_and_load_after_a_fix(place: Place) -> None:
    good = loadable.summary(1)
    whole = loadable.summary(2)
    half = whole.to_json()[:200]
    awkward = "omni-channel/processed/year=2025/month=11/day=21/hour=11/a b+ü&=.json"
    place.put(good)
    for key, text in ((whole.object_key, half), (awkward, "[]"), ("omni-channel/feedback/huge", " " * 1_100_000)):
        place.archive.put_json(key, text)
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


def test_an_object_that_is_gone_by_then_is_dead_and_not_in_the_way(place: Place) -> None:
    place.put(loadable.summary(1), loadable.summary(2))
    place.archive.delete([loadable.summary(1).object_key])
    tally = place.loader.drain()
    assert (tally.loaded, dict(tally.dead)) == (1, {"gone": 1})
    assert place.balanced().balanced


def test_a_message_that_is_no_event_goes_and_is_counted(place: Place) -> None:
    url = place.sqs.get_queue_url(QueueName=place.settings.stores.events_queue)["QueueUrl"]
    for body in ("not json", "{}", '{"Records": [{"s3": 4}]}', '{"Records": 7}'):
        place.sqs.send_message(QueueUrl=url, MessageBody=body)
    assert place.loader.drain().foreign == 4
    assert place.queue.waiting() == (0, 0)


def test_a_lost_row_is_noticed(place: Place) -> None:
    place.put(loadable.summary(1), loadable.summary(2))
    place.loader.drain()
    warehouse = place.open()
    warehouse._connection.execute("DELETE FROM omni_summaries WHERE request_id = 'req-000002'")
    warehouse.close()
    assert not place.balanced().balanced


def _load_command(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    names = ("aws_endpoint", "archive_bucket", "events_queue", "state_dir", "local_aws_port", "warehouse_path")
    env = {f"OMNI_{name.upper()}": str(place.settings.flat()[name]) for name in names}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "service", "load-events", *arguments],
        cwd=REPO_ROOT, env={"PYTHONPATH": str(REPO_ROOT), "PATH": "/usr/bin:/bin", "OMNI_STORE_TIMEOUT_S": "20"} | env,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_loads_checks_and_replays(place: Place) -> None:
    place.put(loadable.summary(1), loadable.feedback(1))
    place.archive.put_json("omni-channel/processed/x", "{")
    done = _load_command(place)
    assert done.returncode == 0, done.stderr
    assert "2 objects loaded, 4 rows new or changed; 1 verdicts joined" in done.stdout
    assert "1 dead: not_json" in done.stdout
    done = _load_command(place, "--check")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "balanced")
    done = _load_command(place, "--replay", "not_json")
    assert "0 objects loaded" in done.stdout
    done = _load_command(place, "--since", "last week")
    assert (done.returncode, "no ISO 8601 time" in done.stderr) == (2, True)


# Kills itself with SIGKILL, as nothing can be caught, at the chosen call of one of the steps, before or after its effect.
_KILLED = """
import os, signal, sys
from dataclasses import replace
from service.loading.build import build_loader
from service.loading import merging
from service.access.control import account_key
from service.telemetry.fields import set_account_key
from service.settings import Settings
from service.summaries.archive import Archive
from service.aws.event_queue import EventQueue
from service.warehouse.duck import DuckWarehouse

step, when, left = sys.argv[1], sys.argv[2], int(sys.argv[3])

def deadly(owner, name):
    real = getattr(owner, name)
    def wrapped(*args, **kwargs):
        global left
        mine = name == step
        left -= mine
        if mine and left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if mine and left == 0 and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, wrapped)

for owner, name in ((Archive, "read"), (Archive, "put_json"), (DuckWarehouse, "merge"), (DuckWarehouse, "close"),
                    (EventQueue, "delete"), (EventQueue, "receive")):
    deadly(owner, name)
settings = Settings()
set_account_key(account_key(settings))
loader, _ = build_loader(settings)
loader = replace(loader, visible_after_s=2, report=lambda tally: None)
loader.prepare_warehouse()
print(loader.drain(wait_s=4))
"""
# Calls of each step in one undisturbed run over the objects below, in a batch of 30 messages.
_STEPS = {"read": 30, "put_json": 3, "merge": 6, "close": 4, "delete": 1, "receive": 3}


@pytest.mark.slow
def test_killed_at_ten_points_of_a_batch_nothing_is_lost_and_nothing_double(stack: Settings, tmp_path: Path) -> None:
    reference: dict[str, str] | None = None
    rng = random.Random(20261121)
    steps = list(_STEPS) * 2
    killed = 0
    for number, step in enumerate([None, *steps[:10]]):
        folder = tmp_path / str(number)
        place = _place(stack, folder, f"kill-{number}")
        summaries = [loadable.summary(n) for n in range(20)]
        place.put(*summaries, *(loadable.feedback(n, of=summaries[n]) for n in range(6)), loadable.release())
        for name in ("a", "b", "c"):
            place.archive.put_json(f"omni-channel/processed/{name}", '{"cut')
        plan = ("none", "before", "0") if step is None else (
            step, rng.choice(("before", "after")), str(rng.randint(1, _STEPS[step]))
        )  # fmt: skip
        killed += _run_to_the_end(place, plan)
        found = place.tables()
        reference = reference or found
        assert found == reference, f"killed {plan}"
        assert place.balanced().balanced
        assert len(place.dead_letters()) == 3
        assert place.queue.waiting() == (0, 0)
        place.s3.close()
        place.sqs.close()
    assert killed == 10
    assert reference is not None
    assert len(reference["omni_summaries"].splitlines()) == 21


def _run_to_the_end(place: Place, plan: tuple[str, str, str]) -> int:
    """Run the loader with a kill in it, and again until it ends by itself; return how often it was killed."""
    names = ("aws_endpoint", "archive_bucket", "events_queue", "state_dir", "local_aws_port", "warehouse_path")
    env = {f"OMNI_{name.upper()}": str(place.settings.flat()[name]) for name in names}
    env |= {"PYTHONPATH": str(REPO_ROOT), "PATH": "/usr/bin:/bin", "OMNI_STORE_TIMEOUT_S": "20"}
    codes = []
    for one in (plan, ("none", "before", "0")):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _KILLED, *one], cwd=REPO_ROOT, env=env, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        codes.append(done.returncode)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert codes[-1] == 0
    return codes.count(-signal.SIGKILL)
