"""The queue of handovers, in memory and in a real table: order, places, waits, and one agent for each customer."""

import contextlib
import threading
from datetime import UTC, datetime, timedelta

import pytest

from service.desk.handover import CustomerHandover, HandoverStore, HandoverSummary
from service.desk.queue import HandoverQueue
from service.kit.aws.clients import client
from service.kit.aws.stores import HANDOVERS
from service.kit.records.dynamo import DynamoRows
from service.kit.records.memory import RowsInMemory
from service.kit.records.table import RecordChanged

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def settings(local_aws):
    pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
    return local_aws()


@pytest.fixture(params=["memory", "table"])
def queue(request):
    """An empty queue with a clock of its own, ``queue.now.at``."""

    class Clock:
        at = AT

        def __call__(self):
            return self.at

    if request.param == "memory":
        return HandoverQueue(store=HandoverStore(RowsInMemory(HANDOVERS)), now=Clock())
    settings, scope = request.getfixturevalue("settings"), request.node.name
    store = HandoverStore(
        DynamoRows(client("dynamodb", settings), HANDOVERS, settings.stores.handovers_table, timeout_s=10.0),
        scope=scope,
    )
    return HandoverQueue(store=store, now=Clock())


def enter(queue, name, reason="explicit_request"):
    summary = HandoverSummary(
        customer_query="I lost my card",
        conversation_turns=3,
        information_collected={"card_type": "standard"},
        handover_reason=reason,
        timestamp=queue.now(),
    )
    made = CustomerHandover(
        handover_id=name,
        conversation_id=f"conv-{name}",
        reason=reason,
        summary=summary,
        context={"channel": "voice"},
        requested_at=queue.now(),
    )
    queue.now.at += timedelta(seconds=1)
    return queue.enter(made)


def places(queue, *names):
    return [place and place.position for place in map(queue.place, names)]


@pytest.mark.acceptance("handover-12")
def test_urgent_reasons_come_first_and_others_in_the_order_of_their_arrival(queue):
    for name, reason in (("a", "explicit_request"), ("b", "complex_scenario"), ("c", "customer_frustration")):
        enter(queue, name, reason)
    assert places(queue, "c", "a", "b") == [1, 2, 3]
    enter(queue, "d", "sensitive_topic")
    assert places(queue, "d", "c", "a", "b") == [1, 2, 3, 4]
    assert [one.handover_id for one in queue.store.waiting()] == ["d", "c", "a", "b"]
    assert (queue.place_of_next().position, queue.place_of_next().waiting) == (5, 4)


def test_entering_twice_is_one_place(queue):
    first = enter(queue, "a")
    assert enter(queue, "a") == first
    assert queue.place("a").waiting == 1


def test_taking_gives_summary_and_context_and_moves_the_others_up(queue):
    enter(queue, "a")
    enter(queue, "b")
    taken = queue.take("a", "agent-1")
    assert (taken.summary.customer_query, taken.context) == ("I lost my card", {"channel": "voice"})
    assert places(queue, "a", "b") == [None, 1]
    with pytest.raises(RecordChanged, match="nobody waits"):
        queue.take("a", "agent-2")


def test_two_agents_never_take_one_customer(queue):
    enter(queue, "a")
    took, start = [], threading.Barrier(6)

    def take(agent):
        start.wait()
        with contextlib.suppress(RecordChanged):
            took.append(queue.take("a", agent).taken_by)

    threads = [threading.Thread(target=take, args=(f"agent-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert took == [queue.store.get("a").taken_by]


def test_what_the_customer_told_is_forgotten_when_the_handover_ends(queue):
    enter(queue, "a")
    queue.take("a", "agent-1")
    queue.close("a", "resolved")
    ended = queue.close("a", "abandoned")
    assert (ended.state, ended.ended, ended.summary, ended.context) == ("closed", "resolved", None, {})
    assert queue.store.get("a") == ended


@pytest.mark.acceptance("connect-10")
def test_the_wait_is_estimated_from_recent_handling_times_and_the_agents_at_work(queue):
    enter(queue, "w1")
    enter(queue, "w2")
    assert queue.place("w2").estimated_wait_minutes == 6, "three minutes each until there are figures"
    for number in range(5):
        name = f"done-{number}"
        enter(queue, name, "sensitive_topic")
        queue.take(name, "agent-1")
        queue.now.at += (8 + number) * MINUTE
        queue.close(name, "resolved")
    enter(queue, "left")
    queue.close("left", "abandoned")
    found = queue.place("w2")
    assert (found.position, found.estimated_wait_minutes, found.handled) == (2, 20, 5)
    for name, agent in (("x", "agent-1"), ("y", "agent-2")):
        enter(queue, name, "sensitive_topic")
        queue.take(name, agent)
    assert queue.place("w2").estimated_wait_minutes == 10
    queue.now.at += timedelta(hours=3)
    assert queue.place("w2").estimated_wait_minutes == 20, "an agent who never came back counts no more"


def test_nobody_waits_under_an_unknown_id(queue):
    assert queue.place("nobody") is None
    with pytest.raises(RecordChanged, match="no handover 'nobody'"):
        queue.close("nobody", "resolved")
