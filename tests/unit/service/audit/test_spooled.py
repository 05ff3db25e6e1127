"""Audit records wait on disk while a store is down, and reach it afterwards, also by another process."""

import shutil
from datetime import UTC, datetime

import pytest

from service.audit.record import AuditRecord
from service.audit.stores import Spooled
from service.kit.frame.errors import StoreError


class Store:
    name = "bucket"

    def __init__(self):
        self.down, self.taken = False, []

    def put(self, record):
        if self.down:
            raise StoreError("down")
        self.taken.append(record.audit_id)


def record(number):
    return AuditRecord(
        audit_id=f"req-{number}", recorded_at=datetime(2026, 11, 22, tzinfo=UTC), events=(), schema_version=1
    )


@pytest.mark.acceptance("validation-18")
def test_what_a_store_did_not_take_reaches_it_when_it_is_back(tmp_path):
    store, seconds = Store(), [100.0]
    spooled = Spooled(store, tmp_path / "audit", clock=lambda: seconds[0])
    store.down = True
    for number in (1, 2):
        with pytest.raises(StoreError):
            spooled.put(record(number))
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "audit").iterdir()] == [0o600, 0o600]
    assert spooled.replay() == 0  # still down
    store.down = False
    seconds[0] += 11
    spooled.put(record(3))
    assert sorted(store.taken) == ["req-1", "req-2", "req-3"]
    assert list((tmp_path / "audit").iterdir()) == []


def test_another_process_writes_what_a_killed_one_left(tmp_path):
    store = Store()
    store.down = True
    with pytest.raises(StoreError):
        Spooled(store, tmp_path).put(record(1))
    store.down = False
    assert Spooled(store, tmp_path).replay() == 1
    assert store.taken == ["req-1"]


def test_a_file_that_cannot_be_read_is_set_aside(tmp_path):
    (tmp_path / "req-0.json").write_text("{")
    store = Store()
    Spooled(store, tmp_path).put(record(1))
    assert store.taken == ["req-1"]
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")] == ["aside/req-0.json"]


def test_a_record_that_the_store_never_takes_holds_up_no_other(tmp_path):
    class Choosy(Store):
        def put(self, record):
            if record.audit_id == "req-1":
                raise StoreError("too large")
            super().put(record)

    down, seconds = Store(), [100.0]
    down.down = True
    for number in (1, 2, 3):
        with pytest.raises(StoreError):
            Spooled(down, tmp_path).put(record(number))
    store = Choosy()
    spooled = Spooled(store, tmp_path, clock=lambda: seconds[0])
    for _ in range(2):
        spooled.replay()
        seconds[0] += 11
    assert sorted(store.taken) == ["req-2", "req-3"]
    assert [path.name for path in tmp_path.iterdir()] == ["req-1.json"]


def test_a_folder_that_somebody_removes_is_made_again(tmp_path):
    store, seconds = Store(), [100.0]
    spooled = Spooled(store, tmp_path / "audit", clock=lambda: seconds[0])
    store.down = True
    with pytest.raises(StoreError):
        spooled.put(record(1))
    shutil.rmtree(tmp_path / "audit")
    with pytest.raises(StoreError):
        spooled.put(record(2))
    store.down = False
    seconds[0] += 11
    assert spooled.replay() == 1
    assert store.taken == ["req-2"]
