"""The outbox: an answer waits for it a moment and no longer, and what another process left there is written."""

import asyncio
from pathlib import Path

import pytest
from builders import summary_record
from structlog.testing import capture_logs

from service.answers_kept.record import SummaryRecord
from service.answers_kept.store import Summaries
from service.answers_kept.writer import ANSWERS, answer_spool
from service.kit.aws.bounded import RecordRefused, StoreDropped
from service.kit.delivery.memory import OutboxInMemory
from service.kit.delivery.outbox import Outbox, Sweep
from service.kit.delivery.outbox_table import OutboxTable
from service.kit.delivery.writer import SpooledWriter
from service.kit.frame.errors import StoreError

NEVER_S = 30.0


class Puts:
    """Keeps items by request id; ``errors`` come first, then a put waits while ``hold`` is not set."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.hold = None
        self.items = {}
        self.calls = 0

    async def put(self, **arguments):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.hold is not None:
            await self.hold.wait()
        self.items[arguments["Item"]["request_id"]["S"]] = arguments["Item"]


def _records(count):
    return [summary_record(request_id=f"req-{number:012d}", unique_process_id=f"p{number}") for number in range(count)]


def _outbox(puts, **more):
    table = OutboxTable(None, "outbox", "request_id", ANSWERS)
    return Outbox(table.put_by(puts), ANSWERS, why_off="OMNI_KEEP_WAIT_MS is 0", **more)


def _keep(puts, *, wait_s=NEVER_S, patience_s=NEVER_S, clock=lambda: 0.0, count=1):
    async def run():
        outbox = _outbox(puts, wait_s=wait_s, clock=clock)
        return [await outbox.keep(record, patience_s=patience_s) for record in _records(count)]

    with capture_logs() as logs:
        return asyncio.run(run()), [entry["reason"] for entry in logs if entry["event"] == "SUMMARY_UNKEPT"]


@pytest.mark.acceptance("answer.kept")
def test_a_confirmed_answer_is_kept_whole():
    puts = Puts()
    assert _keep(puts) == ([True], [])
    (item,) = puts.items.values()
    assert SummaryRecord.model_validate_json(item["record"]["S"]) == _records(1)[0]


def test_a_dropped_connection_is_tried_once_more():
    assert _keep(Puts(StoreDropped("closed"))) == ([True], [])
    assert _keep(Puts(StoreDropped("closed"), StoreDropped("closed again"))) == ([False], ["closed again"])


@pytest.mark.acceptance("answer.kept", "event.SUMMARY_UNKEPT")
def test_an_answer_waits_no_longer_than_its_bound_and_the_late_put_still_arrives():
    async def run():
        puts = Puts()
        puts.hold = asyncio.Event()
        outbox = _outbox(puts, wait_s=0.01)
        kept = await outbox.keep(_records(1)[0], patience_s=NEVER_S)
        before = dict(puts.items)
        puts.hold.set()
        await asyncio.sleep(0.01)
        return kept, before, puts.items

    with capture_logs() as logs:
        kept, before, after = asyncio.run(run())
    assert (kept, before, set(after)) == (False, {}, {"req-000000000000"})
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("SUMMARY_UNKEPT", "no answer within 10 ms")]


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"patience_s": 0.0}, "no time left"), ({"wait_s": 0.0}, "OMNI_KEEP_WAIT_MS is 0")],
)
def test_without_time_the_store_is_not_asked(given, reason):
    puts = Puts()
    assert _keep(puts, **given) == ([False], [reason])
    assert puts.calls == 0


def test_a_store_that_is_down_is_asked_ever_more_rarely_until_it_is_back():
    now = [0.0]
    puts = Puts(*[StoreError("down")] * 5)

    async def run():
        outbox, kept = _outbox(puts, wait_s=NEVER_S, clock=lambda: now[0]), []
        # Three failures end the waiting for 1 s, then each further failure for twice as long.
        for now[0] in (0.0, 0.0, 0.0, 0.5, 1.0, 2.9, 3.0, 6.9, 7.0, 7.0):
            kept.append((await outbox.keep(_records(1)[0], patience_s=NEVER_S), puts.calls))
        return kept

    assert asyncio.run(run()) == [
        (False, 1), (False, 2), (False, 3), (False, 3), (False, 4), (False, 4), (False, 5), (False, 5), (True, 6),
        (True, 7),
    ]  # fmt: skip


class Stores:
    """Table and bucket in one; both fail while ``error`` is set."""

    def __init__(self):
        self.error, self.written = None, []

    def put(self, record):
        if self.error is not None:
            raise self.error
        self.written.append(record.request_id)
        return "written"


class LeftBehind(OutboxInMemory):
    """The twin, of which every call fails while ``error`` is set."""

    error = None

    def __getattribute__(self, name):
        error = object.__getattribute__(self, "error")
        if error is not None and name in ("lease", "waiting", "remove", "set_aside"):
            raise error
        return object.__getattribute__(self, name)


def _left(count):
    return LeftBehind(ANSWERS, _records(count), wall_clock=lambda: 0.0)


def _writer(folder: Path, outbox, stores, *, max_bytes=10**7, now=lambda: 0.0):
    spool, sweep = answer_spool(folder, max_bytes=max_bytes), Sweep(outbox, ANSWERS, older_than_s=0.0, clock=now)
    return SpooledWriter({"table": stores, "archive": stores}, spool, sweep=sweep, clock=now)


def test_what_another_process_left_reaches_both_stores_and_leaves_the_outbox(tmp_path):
    outbox, stores = _left(3), Stores()
    writer = _writer(tmp_path, outbox, stores)
    assert writer.sweep() == 3
    assert (sorted(stores.written), outbox.kept) == (sorted(2 * [f"req-{n:012d}" for n in range(3)]), {})
    writer.close()


def test_only_the_holder_of_the_lease_looks_and_not_all_the_time(tmp_path):
    now = [0.0]
    outbox, stores = _left(1), Stores()
    holder, other = (_writer(tmp_path, outbox, stores, now=lambda: now[0]) for _ in range(2))
    outbox.held = ("a third", 1.0)
    assert (holder.sweep(), other.sweep()) == (0, 0)
    outbox.held, now[0] = ("a third", -1.0), 4.9
    assert holder.sweep() == 0  # not due
    now[0] = 5.0
    assert holder.sweep() == 1
    assert other.sweep() == 0
    holder.close()
    other.close()


def test_an_answer_of_ones_own_leaves_the_outbox_when_both_stores_hold_it(tmp_path):
    outbox, stores = _left(1), Stores()
    outbox.held = ("another", 1.0)
    writer = _writer(tmp_path, outbox, stores)
    writer.keep(_records(1)[0], kept=True)
    writer.close()
    assert (len(stores.written), outbox.kept) == (2, {})


def test_while_a_store_fails_the_answer_stays_in_the_outbox_and_not_in_memory(tmp_path):
    outbox, stores = _left(1), Stores()
    stores.error = StoreError("down")
    now = [0.0]
    writer = _writer(tmp_path, outbox, stores, max_bytes=1, now=lambda: now[0])
    with capture_logs() as logs:
        writer.keep(_records(1)[0], kept=True)
        assert writer.sweep() == 0
    assert (set(outbox.kept), writer.snapshot()["homeless"]) == ({"req-000000000000"}, 0)
    stores.error, now[0] = None, 100.0
    assert writer.sweep() == 1
    with capture_logs() as after:
        writer.close()
    assert outbox.kept == {}
    assert "SUMMARY_LOST" not in {entry["event"] for entry in logs + after}


def test_a_record_that_a_store_refuses_for_good_is_left_to_a_person(tmp_path):
    outbox, stores = _left(1), Stores()
    stores.error = RecordRefused("too large")
    now = [0.0]
    writer = _writer(tmp_path, outbox, stores, now=lambda: now[0])
    writer.sweep()
    assert outbox.aside == {"req-000000000000": "too large"}
    now[0] = 100.0
    assert writer.sweep() == 0
    writer.close()


def test_an_outbox_that_cannot_be_cleared_is_cleared_later(tmp_path):
    outbox, stores = _left(1), Stores()
    writer = _writer(tmp_path, outbox, stores)
    outbox.error = StoreError("down")
    writer.keep(_records(1)[0], kept=True)
    while writer.snapshot()["in_flight"]:
        pass
    with capture_logs() as logs, pytest.raises(StoreError):
        writer.sweep()
    assert [entry["event"] for entry in logs] == ["SUMMARY_WRITE_FAILURE"]
    outbox.error = None
    writer.close()
    assert outbox.kept == {}


def test_an_answer_that_was_written_twice_does_not_keep_the_outbox_from_being_cleared(tmp_path):
    outbox, stores = _left(1), Stores()
    writer = _writer(tmp_path, outbox, stores)
    remove, outbox.remove = outbox.remove, lambda names: (_ for _ in ()).throw(StoreError("throttled"))
    with capture_logs():
        writer.sweep()  # written, and not deleted
    outbox.remove = remove
    writer.keep(_records(1)[0], kept=True)
    while writer.snapshot()["in_flight"]:
        pass
    with capture_logs() as logs:
        writer.close()
    assert (outbox.kept, logs) == ({}, [])


def test_an_answer_whose_client_has_gone_is_still_written(tmp_path):
    class Keeper:
        def __init__(self):
            self.kept = []

        def keep(self, record, *, kept):
            self.kept.append((record.request_id, kept))

    async def run(keeper):
        puts = Puts()
        puts.hold = asyncio.Event()
        summaries = Summaries(writer=keeper, outbox=_outbox(puts, wait_s=NEVER_S))
        asking = asyncio.create_task(summaries.keep(_records(1)[0], patience_s=NEVER_S))
        await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        puts.hold.set()

    keeper = Keeper()
    asyncio.run(run(keeper))
    assert keeper.kept == [("req-000000000000", False)]
