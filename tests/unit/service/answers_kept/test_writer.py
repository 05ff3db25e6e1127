"""Spool and writer: nothing accepted gets lost without a word, whatever fails."""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.answers_kept.record import SummaryRecord
from service.answers_kept.writer import AnswerWriter, answer_spool, answer_writer
from service.kit.aws.bounded import RecordRefused, StoreThrottled
from service.kit.delivery.spool import SpoolError
from service.kit.frame.errors import StoreError
from service.kit.telemetry import metrics


def _record(number: int = 1, **changes: Any) -> SummaryRecord:
    required = [name for name, field in SummaryRecord.model_fields.items() if field.is_required()]
    fields: dict[str, Any] = dict.fromkeys(required, "x") | {
        "request_id": f"req-{number:012d}",
        "arm": "primary",
        "cache_hit": False,
        "prompt_cache_read_tokens": 0,
        "latency_ms": 1,
        "generated_at": f"2026-11-21T12:00:{number % 60:02d}.000Z",
        "max_history_days": 90,
        "max_interactions": 10,
        "channel_filter": None,
        "registry_version": 1,
        "degraded": False,
        "interactions_considered": 0,
        "interactions": (),
    }
    return SummaryRecord.model_validate(fields | changes)


class Store:
    """Keeps records by id; fails while ``error`` is set."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.kept: dict[str, SummaryRecord] = {}
        self.puts = 0
        self.hold: threading.Event | None = None

    def put(self, record: SummaryRecord) -> str:
        self.puts += 1
        if self.hold is not None:
            self.hold.wait(10)
        if self.error is not None:
            raise self.error
        self.kept[record.request_id] = record
        return "written"


class Fixture:
    def __init__(self, folder: Path, max_bytes: int = 10**6) -> None:
        self.table, self.archive = Store(), Store()
        self.spool = answer_spool(folder, max_bytes=max_bytes)
        self.now = 0.0
        self.writer = self.new_writer()

    def new_writer(self) -> AnswerWriter:
        return answer_writer(
            self.table, self.archive, self.spool, replay_every_s=0.01, others_after_s=0.0, clock=lambda: self.now
        )

    def settle(self) -> None:
        _until(lambda: self.writer.snapshot()["in_flight"] == 0)

    def waiting(self) -> set[str]:
        return self.spool.ids()[0]


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("did not happen within 5 s")


@pytest.fixture
def fixture(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = Fixture(tmp_path / "spool")
    yield made
    made.writer.close(drain_s=1.0)


def test_a_file_is_whole_when_the_system_takes_it_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, body: whole(descriptor, bytes(body)[:100]))
    spool = answer_spool(tmp_path, max_bytes=10_000)
    path = spool.add(_record(interactions=()))
    monkeypatch.undo()
    assert path.stat().st_size > 200
    assert spool.read(path) == _record()


def test_a_record_reaches_both_stores_and_leaves_the_disk(fixture: Fixture) -> None:
    fixture.writer.keep(_record())
    fixture.settle()
    assert set(fixture.table.kept) == set(fixture.archive.kept) == {"req-000000000001"}
    assert fixture.waiting() == set()
    assert fixture.writer.snapshot()["written"] == 1


@pytest.mark.acceptance("promise-07")
def test_keep_does_not_wait_for_the_stores_and_the_record_is_on_disk_meanwhile(fixture: Fixture) -> None:
    fixture.table.hold = fixture.archive.hold = threading.Event()
    fixture.writer.keep(_record())
    assert fixture.waiting() == {"req-000000000001"}
    assert fixture.table.kept == {}
    fixture.table.hold.set()
    fixture.settle()
    assert fixture.waiting() == set()


@pytest.mark.parametrize("broken", ["table", "archive"])
@pytest.mark.acceptance("event.SUMMARY_WRITE_FAILURE", "event.SUMMARY_REPLAYED")
def test_a_store_that_fails_leaves_the_record_on_disk_until_it_is_back(fixture: Fixture, broken: str) -> None:
    store: Store = getattr(fixture, broken)
    store.error = StoreError("down")
    with capture_logs() as logs:
        fixture.writer.keep(_record())
        fixture.settle()
    assert [entry["event"] for entry in logs] == ["SUMMARY_WRITE_FAILURE"]
    assert fixture.waiting() == {"req-000000000001"}
    assert fixture.writer.replay() == 0
    store.error = None
    with capture_logs() as logs:
        assert fixture.writer.replay() == 1
    assert [(entry["event"], entry["request_id"]) for entry in logs] == [("SUMMARY_REPLAYED", "req-000000000001")]
    assert set(fixture.table.kept) == set(fixture.archive.kept) == {"req-000000000001"}
    assert fixture.waiting() == set()


def test_a_store_that_is_down_is_not_asked_for_every_record_and_the_other_one_is(fixture: Fixture) -> None:
    fixture.archive.error = StoreError("down")
    fixture.writer.keep(_record(1))
    fixture.settle()
    for number in range(2, 50):
        fixture.writer.keep(_record(number))
    fixture.settle()
    assert fixture.archive.puts == 1
    assert len(fixture.table.kept) == 49  # feedback and reuse go on
    assert len(fixture.waiting()) == 49
    fixture.archive.error, fixture.now = None, 1000.0
    assert fixture.writer.replay() == 49
    assert len(fixture.archive.kept) == 49
    assert fixture.archive.puts == 50


@pytest.mark.acceptance("figure.omni_spooled")
def test_while_both_are_down_records_go_to_disk_alone(fixture: Fixture) -> None:
    before = metrics.total(metrics.SPOOLED)
    fixture.table.error = fixture.archive.error = StoreError("down")
    fixture.writer.keep(_record(1))
    fixture.settle()
    for number in range(2, 50):
        fixture.writer.keep(_record(number))
    assert (fixture.table.puts, fixture.archive.puts) == (1, 1)
    assert len(fixture.waiting()) == 49
    assert fixture.writer.replay() == 0
    fixture.table.error = fixture.archive.error = None
    assert fixture.writer.replay() == 49
    assert metrics.total(metrics.SPOOLED) - before == 49  # each record once, however often it is tried


def test_a_throttled_store_is_asked_again_at_once(fixture: Fixture) -> None:
    class Hot(Store):
        def put(self, record: SummaryRecord) -> str:
            if self.puts < 2:
                self.puts += 1
                raise StoreThrottled("hot")
            return super().put(record)

    hot = Hot()
    writer = answer_writer(hot, fixture.archive, fixture.spool, clock=lambda: 0.0)
    with capture_logs() as logs:
        writer.keep(_record())
        _until(lambda: bool(hot.kept))
        writer.close()
    assert logs == []
    assert fixture.waiting() == set()


def test_the_replay_thread_does_it_by_itself(fixture: Fixture) -> None:
    fixture.archive.error = StoreError("down")
    fixture.writer.keep(_record())
    fixture.settle()
    fixture.writer.start()
    fixture.archive.error, fixture.now = None, 1000.0
    _until(lambda: fixture.waiting() == set())
    assert fixture.writer.snapshot()["replayed"] == 1


@pytest.mark.acceptance("event.SUMMARY_SPOOL_FAILURE")
def test_a_full_disk_or_spool_is_logged_and_the_record_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixture = Fixture(tmp_path / "spool", max_bytes=10)
    with capture_logs() as logs:
        fixture.writer.keep(_record())
        fixture.settle()
    assert [entry["event"] for entry in logs] == ["SUMMARY_SPOOL_FAILURE"]
    assert "full" in logs[0]["error"]
    assert len(fixture.table.kept) == 1
    fixture.writer.close()

    def no_space(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = answer_spool(tmp_path / "other", max_bytes=len(_record().to_json()) + 10)
    monkeypatch.setattr(os, "write", no_space)
    with pytest.raises(SpoolError, match="No space left"):
        spool.add(_record())
    monkeypatch.undo()
    nowhere = answer_spool(Path("/dev/full/spool"), max_bytes=10**6)
    with pytest.raises(SpoolError, match="Not a directory"):
        nowhere.add(_record())
    assert (nowhere.waiting(), nowhere.ids()) == ([], (set(), set()))
    assert list((tmp_path / "other").iterdir()) == []
    spool.add(_record())  # what failed takes no room


@pytest.mark.acceptance("event.SUMMARY_LOST")
def test_without_disk_and_stores_records_stay_in_memory_until_they_are_logged_as_lost(tmp_path: Path) -> None:
    fixture = Fixture(tmp_path / "spool", max_bytes=10)
    fixture.table.error = StoreError("down")
    fixture.writer.keep(_record(1))
    fixture.settle()
    fixture.writer.keep(_record(2))
    fixture.settle()
    assert fixture.writer.snapshot()["homeless"] == 2
    fixture.table.error = None
    assert fixture.writer.replay() == 2
    assert len(fixture.archive.kept) == 2
    fixture.table.error = StoreError("down")
    fixture.writer.keep(_record(3))
    fixture.settle()
    with capture_logs() as logs:
        fixture.writer.close()
    assert [(entry["event"], entry["request_id"]) for entry in logs] == [("SUMMARY_LOST", "req-000000000003")]
    assert fixture.writer.snapshot()["lost"] == 1


@pytest.mark.acceptance("event.SUMMARY_REFUSED")
def test_a_permanently_refused_record_is_set_aside(fixture: Fixture) -> None:
    fixture.table.error = RecordRefused("item too large")
    with capture_logs() as logs:
        fixture.writer.keep(_record())
        fixture.settle()
    assert [entry["event"] for entry in logs] == ["SUMMARY_REFUSED"]
    assert fixture.spool.ids() == (set(), {"req-000000000001"})
    assert "req-000000000001" in fixture.archive.kept
    assert fixture.writer.replay() == 0


def test_a_refusal_waits_for_the_other_store(fixture: Fixture) -> None:
    fixture.table.error, fixture.archive.error = RecordRefused("too large"), StoreError("down")
    fixture.writer.keep(_record())
    fixture.settle()
    assert fixture.waiting() == {"req-000000000001"}


def test_a_bug_in_a_store_loses_nothing(fixture: Fixture) -> None:
    fixture.table.error = KeyError("x")
    fixture.writer.keep(_record())
    fixture.settle()
    assert fixture.waiting() == {"req-000000000001"}


def test_closing_drains_and_what_is_not_drained_stays_on_disk(tmp_path: Path) -> None:
    fixture = Fixture(tmp_path / "spool")
    for number in range(200):
        fixture.writer.keep(_record(number))
    fixture.writer.close(drain_s=10.0)
    assert len(fixture.table.kept) == 200
    fixture = Fixture(tmp_path / "spool")
    fixture.table.hold = threading.Event()
    for number in range(20):
        fixture.writer.keep(_record(number))
    fixture.writer.close(drain_s=0.05)
    assert len(fixture.waiting()) == 20
    fixture.table.hold.set()


def test_a_damaged_file_is_logged_and_named_for_the_reconciliation(tmp_path: Path) -> None:
    spool = answer_spool(tmp_path, max_bytes=10_000)
    path = spool.add(_record(7))
    path.write_bytes(b"{")
    (tmp_path / "stray.json").write_bytes(b"\xff")
    with capture_logs() as logs:
        assert [spool.read(found) for found in spool.waiting()] == [None, None]
    refused = {entry["request_id"]: entry["error"] for entry in logs if entry["event"] == "SUMMARY_REFUSED"}
    assert refused == {"req-000000000007": "DamagedSpoolFile", "stray": "DamagedSpoolFile"}
    assert spool.ids() == (set(), {"req-000000000007", "stray"})


def test_damaged_files_are_put_aside_and_half_written_ones_deleted(tmp_path: Path) -> None:
    spool = answer_spool(tmp_path, max_bytes=10**6)
    path = spool.add(_record())
    path.write_text(path.read_text()[:40])
    (tmp_path / "2026-req-9.123.tmp").write_text("half")
    assert spool.read(path) is None
    assert spool.ids() == (set(), {"req-000000000001"})
    os.utime(tmp_path / "2026-req-9.123.tmp", (0, 0))
    assert spool.waiting(older_than_s=10.0) == []
    assert not (tmp_path / "2026-req-9.123.tmp").exists()


def test_files_are_for_their_owner_alone_and_young_ones_of_others_are_left(tmp_path: Path) -> None:
    spool = answer_spool(tmp_path / "spool", max_bytes=10**6)
    path = spool.add(_record())
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert spool.waiting(older_than_s=60.0) == []
    assert spool.waiting() == [path]
    assert spool.read(path) == _record()


def test_the_size_limit_counts_existing_and_deleted_files(tmp_path: Path) -> None:
    size = len(_record().to_json())
    first = answer_spool(tmp_path, max_bytes=10 * size)
    paths = [first.add(_record(number)) for number in range(2)]
    second = answer_spool(tmp_path, max_bytes=3 * size)
    second.add(_record(3))
    with pytest.raises(SpoolError, match="full"):
        second.add(_record(4))
    second.remove(paths[0])
    second.remove(paths[0])
    second.add(_record(4))
