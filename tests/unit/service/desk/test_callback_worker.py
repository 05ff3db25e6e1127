"""Callbacks are rung when due, once each, retried, closed or given up, and a broken promise is counted."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.access.sealing import OwnerOnly
from service.desk.callback import MOST_RINGS, CallbackBook, CallbackStatus, CallbackStore, RingOutcome
from service.desk.opening import promised_by
from service.desk.worker import CallbackWorker
from service.kit.aws.stores import CALLBACKS
from service.kit.frame.errors import StoreError
from service.kit.records.memory import RowsInMemory
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event
from service.kit.telemetry.log import _listeners as listeners

PHONE = "+447700900123"
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Weekdays:
    """Open from nine to five on weekdays, in UTC."""

    def closes(self, moment):
        return moment.replace(hour=17, minute=0) if moment.weekday() < 5 and 9 <= moment.hour < 17 else None

    def next_opening(self, moment):
        day = moment.replace(hour=9, minute=0)
        while day <= moment or day.weekday() > 4:
            day += DAY
        return day


class Telephone:
    """Answers rings with ``outcomes`` in order, the last one for ever, and remembers them."""

    def __init__(self, *outcomes, before=None):
        self.outcomes, self.rung, self.before = list(outcomes), [], before

    async def ring(self, ring):
        self.rung.append(ring)
        await asyncio.sleep(0)
        if self.before is not None:
            await self.before()
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


class World:
    def __init__(self, *outcomes, at=MONDAY, **telephone):
        self.at, self.store, self.phone = at, CallbackStore(RowsInMemory(CALLBACKS)), Telephone(*outcomes, **telephone)

    def now(self):
        return self.at

    def ask(self, callback_id="cb-1", **more):
        book = CallbackBook(store=self.store, sealer=OwnerOnly(), now=self.now)
        more.setdefault("promised", promised_by(Weekdays(), self.at))
        return book.request(callback_id, PHONE, contact_id="contact-1", **more)

    def worker(self, owner="w1", **more):
        fields = {"store": self.store, "sealer": OwnerOnly(), "dialer": self.phone, "hours": Weekdays()} | more
        return CallbackWorker(now=self.now, owner=owner, **fields)

    async def work(self):
        return await self.worker().work()

    @property
    def one(self):
        return self.store.get("cb-1")


@pytest.fixture
def events():
    found = []
    listener = lambda event, fields: found.append((event, dict(fields)))  # noqa: E731
    listeners.append(listener)
    yield found
    listeners.remove(listener)


def promises(events):
    return [fields["promise"] for event, fields in events if event is Event.CALLBACK_SETTLED and fields["promise"]]


@pytest.mark.acceptance("event.CALLBACK_SETTLED")
async def test_a_due_callback_is_rung_closed_and_its_number_forgotten(events):
    world = World(RingOutcome.REACHED)
    world.ask()
    tally = await world.work()
    assert [(ring.phone, ring.contact_id, ring.key) for ring in world.phone.rung] == [(PHONE, "contact-1", "cb-1-1")]
    assert (world.one.status, world.one.sealed_phone, world.one.rings) == (CallbackStatus.CLOSED, None, 1)
    assert tally.states == {"closed": 1}
    assert tally.waiting == tally.overdue == 0
    assert promises(events) == ["kept"]
    assert PHONE not in str(events)
    assert "447700" not in str(world.phone.rung)


def test_a_request_repeated_under_its_id_is_one_callback():
    world = World(RingOutcome.REACHED)
    first = world.ask()
    world.at += MINUTE
    assert world.ask() == first
    assert len(world.store.waiting()) == 1


@pytest.mark.parametrize(
    ("asked", "start", "due"),
    [
        (MONDAY, MONDAY, MONDAY + HOUR),
        (MONDAY.replace(hour=16, minute=0), MONDAY.replace(hour=16), MONDAY.replace(hour=17)),
        (MONDAY.replace(hour=16, minute=1), MONDAY.replace(hour=9) + DAY, MONDAY.replace(hour=10) + DAY),
        (MONDAY.replace(hour=7), MONDAY.replace(hour=9), MONDAY.replace(hour=10)),
        (MONDAY.replace(hour=20) - 3 * DAY, MONDAY.replace(hour=9), MONDAY.replace(hour=10)),
    ],
)
@pytest.mark.acceptance("connect-12")
def test_a_callback_is_promised_within_the_hour_or_at_the_next_opening(asked, start, due):
    made = World(RingOutcome.REACHED, at=asked).ask()
    assert (made.next_at, made.due_at) == (start, due)


async def test_nobody_is_rung_before_the_promised_time_or_while_it_is_closed():
    world = World(RingOutcome.REACHED)
    world.ask(promised=(MONDAY + 3 * HOUR, MONDAY + 4 * HOUR))
    await world.work()
    world.at = MONDAY.replace(hour=20)
    closed = await world.work()
    assert world.phone.rung == []
    assert closed.is_closed
    assert (closed.waiting, closed.overdue) == (1, 1)
    world.at = MONDAY.replace(hour=9) + DAY
    assert (await world.work()).states == {"closed": 1}


@pytest.mark.acceptance("handover-13")
async def test_an_unanswered_callback_is_retried_later_each_time_and_given_up_with_a_reason(events):
    world, gaps = World(RingOutcome.NO_ANSWER), []
    world.ask()
    while world.one.is_open:
        await world.work()
        gaps.append(world.one.next_at - world.at)
        assert len(world.phone.rung) == len(gaps), "not rung again before its time"
        world.at = world.one.next_at
    assert gaps[:3] == [10 * MINUTE, 30 * MINUTE, 2 * HOUR]
    assert len(gaps) == MOST_RINGS
    assert (world.one.status, world.one.reason) == (CallbackStatus.GIVEN_UP, "no_answer after 4 rings")
    assert world.one.sealed_phone is None
    assert len({ring.key for ring in world.phone.rung}) == MOST_RINGS
    assert promises(events) == ["kept"], "the customer was rung in time and did not answer"


async def test_a_retry_that_would_fall_after_closing_waits_for_the_next_opening():
    world = World(RingOutcome.BUSY, at=MONDAY.replace(hour=16, minute=55))
    world.ask(promised=(world.at, world.at + HOUR))
    await world.work()
    assert world.one.next_at == MONDAY.replace(hour=9) + DAY


async def test_a_wrong_number_is_given_up_at_once():
    world = World(RingOutcome.WRONG_NUMBER)
    world.ask()
    await world.work()
    assert (world.one.status, world.one.reason, world.one.rings) == (CallbackStatus.GIVEN_UP, "wrong_number", 1)


@pytest.mark.acceptance("event.CALLBACKS_CHECKED", "handover-13")
async def test_while_the_dialer_does_not_work_the_promise_is_overdue_and_the_ring_keeps_its_key(events):
    world = World(RingOutcome.FAILED, RingOutcome.REACHED)
    world.ask()
    assert (await world.work()).overdue == 0
    assert world.one.rings == 0
    world.at += 2 * HOUR
    world.phone.outcomes.insert(0, RingOutcome.FAILED)
    assert (await world.work()).overdue == 1
    assert [fields["overdue"] for event, fields in events if event is Event.CALLBACKS_CHECKED] == [0, 1]
    world.at += 5 * MINUTE
    assert (await world.work()).states == {"closed": 1}
    assert {ring.key for ring in world.phone.rung} == {"cb-1-1"}
    assert len(world.phone.rung) == 3
    assert promises(events) == ["broken"]


async def test_a_dialer_that_never_works_again_is_given_up_before_the_row_expires(events):
    world = World(RingOutcome.FAILED)
    made = world.ask()
    world.at = MONDAY + 7 * DAY
    await world.work()
    assert world.one.reason == "the dialer did not work"
    assert world.one.ended_at < made.expires_at + DAY
    assert promises(events) == ["broken"]


async def test_two_workers_never_ring_one_customer_twice():
    world = World(RingOutcome.REACHED)
    for number in range(40):
        world.ask(f"cb-{number}")
    tallies = await asyncio.gather(*(world.worker(f"w{number}").work() for number in range(4)))
    assert sorted(ring.callback_id for ring in world.phone.rung) == sorted(f"cb-{number}" for number in range(40))
    assert sum(tally.states["closed"] for tally in tallies) == 40


async def test_a_callback_of_a_worker_that_died_is_rung_after_its_lease_under_the_same_key():
    world = World(RingOutcome.REACHED)
    dead = world.worker("dead")
    world.store.put(world.ask().taken("dead", world.at, dead.lease))
    assert (await world.work()).states == {}
    world.at += dead.lease
    assert (await world.work()).states == {"closed": 1}
    assert [ring.key for ring in world.phone.rung] == ["cb-1-1"]


async def test_a_ring_without_end_is_cut_and_tried_again():
    world = World(RingOutcome.REACHED, before=lambda: asyncio.sleep(3600))
    world.ask()
    tally = await world.worker(ring_s=0.01).work()
    assert tally.states == {"retried": 1}
    assert world.one.status is CallbackStatus.PENDING


@pytest.mark.acceptance("handover-12")
async def test_urgent_callbacks_are_rung_first():
    world = World(RingOutcome.REACHED)
    world.ask("normal")
    world.ask("urgent", priority="HIGH")
    await world.worker(at_once=1).work()
    assert [ring.callback_id for ring in world.phone.rung] == ["urgent", "normal"]


async def test_a_number_that_cannot_be_opened_is_given_up_and_stops_no_other():
    world = World(RingOutcome.REACHED)
    world.ask("cb-2")
    made = world.ask()
    world.store.put(replace(made, sealed_phone="kms:x"))
    assert (await world.work()).states == {"closed": 1, "given_up": 1}
    assert world.one.reason == "the number cannot be opened"


@pytest.mark.acceptance("event.CALLBACKS_UNREADABLE", "figure.omni_worker_rounds")
async def test_a_following_worker_waits_for_a_store_that_is_down_and_finishes_when_it_is_stopped(events):
    world, stop, said = World(RingOutcome.REACHED), asyncio.Event(), []
    world.ask()
    due, downs = world.store.due, [StoreError("down")]

    def flaky(now, *, most):
        if downs:
            raise downs.pop()
        return due(now, most=most)

    world.store.due = flaky

    def say(tally):
        said.append(tally)
        stop.set()

    rounds = metrics.total(metrics.WORKER_ROUNDS, worker="callbacks")
    await world.worker().follow(stop, every_s=0.001, say=say)
    assert metrics.total(metrics.WORKER_ROUNDS, worker="callbacks") == rounds + 2  # also while the store is down
    assert [tally.states for tally in said] == [{"closed": 1}]
    assert any(event is Event.CALLBACKS_UNREADABLE for event, _ in events)
