"""Customers in the queue: who left, who came back, who was taken while their page wrote, and what is counted of it."""

from datetime import UTC, datetime, timedelta

import pytest

from service.desk.handover import CustomerHandover, HandoverStore, HandoverSummary
from service.desk.queue import HandoverQueue, HandoverWatch
from service.kit.aws.stores import HANDOVERS
from service.kit.frame.errors import StoreError
from service.kit.records.memory import RowsInMemory
from service.kit.records.table import RecordChanged
from service.kit.telemetry import log as log_module
from service.kit.telemetry import metrics
from service.kit.telemetry.event_metrics import record
from service.kit.telemetry.log import Event

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Clock:
    at = AT

    def __call__(self):
        return self.at


@pytest.fixture
def queue():
    return HandoverQueue(store=HandoverStore(RowsInMemory(HANDOVERS)), now=Clock())


@pytest.fixture
def events(monkeypatch):
    """What is logged, which also becomes metrics."""
    heard = []
    listeners = [lambda event, fields: heard.append((event, dict(fields))), record]
    monkeypatch.setattr(log_module, "_listeners", listeners)
    return heard


@pytest.fixture
def counted(events):
    """Say by how much figures have changed since the test began."""

    def value(name):
        found = metrics.REGISTRY.get_sample_value
        return tuple(found(f"{name}_{part}") or 0 for part in ("sum", "count"))

    before = {}
    names = ("omni_abandonment", "omni_callback_request", "omni_service_level", "omni_queue_size", "omni_queue_time_ms")
    for name in names:
        before[name] = value(name)
    return lambda name: tuple(now - then for now, then in zip(value(name), before[name], strict=True))


def enter(queue, name, *, seen=True, owner="", reason="explicit_request"):
    now = queue.now()
    summary = HandoverSummary(customer_query="q", conversation_turns=1, handover_reason=reason, timestamp=now)
    made = CustomerHandover(
        handover_id=name,
        conversation_id=name,
        task="parcels",
        owner=owner,
        reason=reason,
        summary=summary,
        requested_at=now,
        seen_at=now if seen else None,
    )
    return queue.enter(made)


@pytest.mark.acceptance("event.HANDOVER_ENDED")
def test_who_closes_the_page_is_abandoned_and_who_stays_is_not(queue, events):
    enter(queue, "gone")
    enter(queue, "there")
    for _ in range(4):
        queue.now.at += 60 * SECOND
        queue.see("there", again_after=10 * SECOND)
    assert [one.handover_id for one in queue.look()] == ["there"]
    gone = queue.store.get("gone")
    assert (gone.state, gone.ended, gone.summary) == ("closed", "abandoned", None)
    ended = [fields for event, fields in events if event is Event.HANDOVER_ENDED]
    assert [(each["outcome"], each["state"], each["latency_ms"]) for each in ended] == [
        ("abandoned", "waiting", 240_000)
    ]


def test_a_caller_s_line_cannot_be_seen_so_only_the_hour_counts(queue):
    enter(queue, "caller", seen=False)
    queue.now.at += timedelta(minutes=50)
    assert len(queue.look()) == 1
    queue.now.at += timedelta(minutes=11)
    assert queue.look() == []


def test_who_comes_back_waits_anew(queue, events):
    enter(queue, "a")
    queue.now.at += 600 * SECOND
    queue.look()
    again = enter(queue, "a")
    assert (again.state, again.requested_at, again.summary.customer_query) == ("waiting", queue.now.at, "q")
    assert queue.place("a").position == 1
    assert sum(event is Event.HANDOVER_ENTERED for event, _ in events) == 2
    queue.now.at += SECOND
    assert enter(queue, "a") == again
    assert sum(event is Event.HANDOVER_ENTERED for event, _ in events) == 2


def test_who_was_helped_does_not_enter_again(queue):
    enter(queue, "a")
    queue.take("a", "anna")
    queue.close("a", "resolved")
    queue.now.at += SECOND
    assert enter(queue, "a").state == "closed"


def test_being_seen_is_written_now_and_then_only(queue):
    enter(queue, "a")
    version = queue.see("a", again_after=10 * SECOND).version
    queue.now.at += 11 * SECOND
    assert queue.see("a", again_after=10 * SECOND).version == version + 1
    assert queue.see("nobody", again_after=SECOND) is None


def test_a_page_that_writes_meanwhile_keeps_no_agent_from_taking(queue):
    enter(queue, "a")
    store, put = queue.store, queue.store.put
    raced = []

    def racing(handover):
        if not raced:
            raced.append(put(store.get("a").seen(queue.now())))
        return put(handover)

    store.put = racing
    assert queue.take("a", "anna").taken_by == "anna"
    assert raced
    assert queue.take("a", "anna").taken_by == "anna"  # asked again after a broken connection
    with pytest.raises(RecordChanged, match="take the next one"):
        queue.take("a", "bert")


def test_each_tenant_s_customers_have_places_of_their_own(queue):
    for name, owner in (("a", "tenant:x"), ("b", "tenant:y"), ("c", "tenant:x"), ("d", "client:lex")):
        enter(queue, name, owner=owner)
        queue.now.at += SECOND
    assert [queue.place(name).position for name in "abcd"] == [1, 1, 2, 1]
    assert queue.place_of_next("x").position == 3
    assert queue.place_of_next(None).position == 2


@pytest.mark.acceptance(
    "event.HANDOVER_TAKEN",
    "figure.omni_queue_time_ms",
    "figure.omni_abandonment",
    "figure.omni_callback_request",
    "figure.omni_service_level",
    "audit-09",
)
def test_the_figures_of_the_queue(queue, counted, events):
    for name in ("quick", "slow", "left", "hurried", "called"):
        enter(queue, name)
    queue.take("quick", "anna")
    queue.now.at += 20 * SECOND
    queue.close("hurried", "abandoned")
    queue.now.at += 40 * SECOND
    queue.take("slow", "anna")
    queue.close("left", "abandoned")
    queue.close("quick", "resolved")
    queue.close("slow", "abandoned")  # an agent spoke with the customer: not one who left the queue
    queue.close("called", "callback")
    assert [each["latency_ms"] for event, each in events if event is Event.HANDOVER_TAKEN] == [0, 60_000]
    assert counted("omni_queue_time_ms") == (60_000, 2)
    assert counted("omni_service_level") == (1, 3)  # of quick, slow and left; the hurried one says nothing
    assert counted("omni_abandonment") == (2, 5)
    assert counted("omni_callback_request") == (1, 5)


@pytest.mark.acceptance("event.HANDOVER_ENTERED", "audit-09")
def test_reasons_are_counted_by_known_names(queue, events):
    before = (
        metrics.total(metrics.HANDOVERS, reason="other"),
        metrics.total(metrics.HANDOVERS, reason="sensitive_topic"),
    )
    enter(queue, "a", reason="a customer called Jane Doe asked")
    enter(queue, "b", reason="sensitive_topic")
    after = metrics.total(metrics.HANDOVERS, reason="other"), metrics.total(metrics.HANDOVERS, reason="sensitive_topic")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)
    assert "Jane" not in str(events)


@pytest.mark.acceptance("event.HANDOVERS_CHECKED", "event.HANDOVERS_UNREADABLE", "figure.omni_queue_size", "audit-09")
def test_a_look_counts_the_queue_and_survives_a_store_that_is_down(queue, counted, events):
    enter(queue, "a")
    enter(queue, "b")
    watch = HandoverWatch(queue)
    watch.look()
    assert counted("omni_queue_size") == (2, 1)
    assert events[-1] == (Event.HANDOVERS_CHECKED, {"waiting": 2})

    def down():
        raise StoreError("down")

    queue.store.waiting = down
    watch.look()
    assert events[-1] == (Event.HANDOVERS_UNREADABLE, {"error": "StoreError"})


def test_overdue_callbacks_are_counted_without_their_worker(queue, events):
    class Promised:
        is_overdue = staticmethod(lambda now: True)

    class Callbacks:
        waiting = staticmethod(lambda: [Promised(), Promised()])

    HandoverWatch(queue, Callbacks()).look()
    assert events[-1] == (Event.CALLBACKS_CHECKED, {"waiting": 2, "overdue": 2})
