"""The properties of routing that seed 004 asks for, on the raw urgency where a clamp would hide a difference."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from service.core.tasks.route import TASK
from service.core.tasks.route.policy import policy_of
from service.core.tasks.route.routing import decided
from service.core.tasks.route.situation import AgentState, AlreadyWaiting, PastContact, RouteInputs

POLICY = policy_of()
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOPICS = ("billing", "repairs", "technical", "refunds", "weather")
WORDS = (
    "hello",
    "my bill",
    "urgent",
    "not urgent",
    "it leaks",
    "thanks",
    "speak to Ann, a human",
    "can I please have, hm, a real person",
    "dzień dobry",
    "",
)
AGENTS = st.builds(
    AgentState,
    id=st.sampled_from([f"agent-{letter}" for letter in "abcdefgh"]),
    languages=st.lists(st.sampled_from(["en", "es", "pl"]), min_size=1, max_size=3, unique=True),
    skills=st.lists(st.sampled_from(["billing", "repairs", "technical"]), max_size=3, unique=True),
    status=st.sampled_from(["available", "busy", "offline"]),
    workload=st.integers(0, 8),
    max_workload=st.none() | st.integers(0, 8),
    performance=st.none() | st.floats(0, 1),
)
SITUATIONS = st.builds(
    RouteInputs,
    tenant=st.just("hearthline"),
    conversation_id=st.just("c-1"),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)),
    message=st.fixed_dictionaries(
        {
            "channel": st.sampled_from(["chat", "email", "social", "voice"]),
            "language": st.sampled_from(["en", "es", "pl", "de"]),
            "text": st.lists(st.sampled_from(WORDS), max_size=4).map(". ".join),
            "category": st.sampled_from(["inquiry", "complaint", "request", "feedback", "escalation"]),
            "confidence": st.floats(0, 1),
            "sentiment": st.floats(-1, 1),
            "topic": st.none() | st.sampled_from(TOPICS),
            "pattern": st.none() | st.just("known"),
        }
    ),
    customer=st.fixed_dictionaries(
        {
            "tier": st.sampled_from(["low", "medium", "high", "vip"]),
            "contacts": st.lists(
                st.builds(
                    PastContact,
                    at=st.integers(0, 60).map(lambda days: NOON - timedelta(days=days)),
                    topic=st.sampled_from(TOPICS),
                ),
                max_size=3,
            ),
            "last_agent": st.none() | st.sampled_from(["agent-a", "agent-b"]),
        }
    ),
    failed_attempts=st.integers(0, 5),
    agents=st.lists(AGENTS, max_size=6, unique_by=lambda agent: agent.id),
    waiting=st.lists(
        st.builds(
            AlreadyWaiting,
            urgency=st.integers(1, 18),
            language=st.sampled_from(["en", "es"]),
            skill=st.none() | st.sampled_from(["billing", "repairs"]),
        ),
        max_size=5,
    ),
)
# Somebody has to answer, so that a person is chosen or the customer waits.
FOR_PEOPLE = SITUATIONS.map(lambda one: one.model_copy(update={"failed_attempts": 3}))
EXAMPLES = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def route(situation):
    return decided(situation, POLICY)


def message(situation, **fields):
    return situation.model_copy(update={"message": situation.message.model_copy(update=fields)})


def customer(situation, **fields):
    return situation.model_copy(update={"customer": situation.customer.model_copy(update=fields)})


@pytest.mark.acceptance("route-01")
@given(SITUATIONS)
@EXAMPLES
def test_urgency_is_shown_from_1_to_10_and_adds_up(situation):
    # Feature: omnichannel-cx-platform, Property 15: Urgency Score Range
    found = route(situation)
    assert 1 <= found.urgency <= 10
    assert found.urgency_raw == sum(factor.points for factor in found.factors)
    assert found.urgency == max(1, min(10, found.urgency_raw))
    assert found.reasons
    assert all(found.reasons)


@given(SITUATIONS, st.floats(-1, -0.500001), st.floats(-0.3, 0.5))
@EXAMPLES
def test_a_very_negative_message_is_more_urgent(situation, negative, neutral):
    # Feature: omnichannel-cx-platform, Property 8: Negative Sentiment Urgency Boost
    angry, calm = (route(message(situation, sentiment=value)) for value in (negative, neutral))
    assert angry.urgency_raw == calm.urgency_raw + 2


@pytest.mark.acceptance("route-02")
@given(SITUATIONS)
@EXAMPLES
def test_each_factor_changes_the_score(situation):
    # Feature: omnichannel-cx-platform, Property 16: Multi-Factor Urgency Calculation
    plain = customer(message(situation, sentiment=0.0, category="inquiry", text="x"), tier="low", contacts=())
    plain = plain.model_copy(update={"at": NOON})
    topic = {"topic": "billing"}
    base = route(message(plain, **topic)).urgency_raw
    contact = (PastContact(at=NOON - timedelta(days=6), topic="billing"),)
    changed = [
        message(plain, **topic, sentiment=-0.4),
        message(plain, **topic, category="complaint"),
        message(plain, **topic, text="this is urgent", language="en"),
        customer(message(plain, **topic), tier="high"),
        customer(message(plain, **topic), contacts=contact),
        message(plain, **topic).model_copy(update={"at": NOON.replace(hour=22)}),
    ]
    assert all(route(one).urgency_raw > base for one in changed)
    assert route(message(plain, **topic, sentiment=0.9)).urgency_raw < base


@pytest.mark.acceptance("route-03")
@given(SITUATIONS)
@EXAMPLES
def test_an_urgent_message_is_never_automated(situation):
    # Feature: omnichannel-cx-platform, Property 17: High Urgency Agent Routing
    found = route(situation)
    if found.urgency_raw >= 8:
        assert found.destination != "automation"


@given(SITUATIONS, st.integers(0, 6), st.integers(31, 300))
@EXAMPLES
def test_who_comes_again_within_a_week_is_more_urgent(situation, lately, long_ago):
    # Feature: omnichannel-cx-platform, Property 18: Repeat Contact Urgency Increase
    situation = message(situation, topic="repairs")

    def after(days):
        contact = PastContact(at=situation.at - timedelta(days=days, minutes=1), topic="repairs")
        return route(customer(situation, contacts=(contact,))).urgency_raw

    assert after(lately) == after(long_ago) + 2


@given(SITUATIONS)
@EXAMPLES
def test_a_vip_is_at_least_two_points_more_urgent(situation):
    # Feature: omnichannel-cx-platform, Property 19: VIP Customer Urgency Boost
    vip, other = (route(customer(situation, tier=tier)) for tier in ("vip", "medium"))
    assert vip.urgency_raw >= other.urgency_raw + 2


@pytest.mark.acceptance("route-04")
@given(FOR_PEOPLE)
@EXAMPLES
def test_whoever_gets_a_conversation_is_able_and_free(situation):
    # Feature: omnichannel-cx-platform, Property 20: Agent Skill Matching; Property 22: Agent Workload Limit
    found = route(situation)
    assume(found.destination == "agent")
    agent = next(one for one in situation.agents if one.id == found.agent)
    assert agent.status == "available"
    assert agent.workload < 5
    assert agent.max_workload is None or agent.workload < agent.max_workload
    assert found.skill is None or found.skill in agent.skills
    spoken = {language for one in situation.agents if one.status != "offline" for language in one.languages}
    assert situation.message.language in agent.languages or situation.message.language not in spoken


@pytest.mark.acceptance("route-05")
@given(FOR_PEOPLE)
@EXAMPLES
def test_the_agent_who_knows_the_customer_comes_first(situation):
    # Feature: omnichannel-cx-platform, Property 23: Agent Continuity Preference
    found = route(situation)
    assume(found.destination == "agent")
    for agent in situation.agents:
        again = route(customer(situation, last_agent=agent.id))
        able = route(situation.model_copy(update={"agents": (agent,), "waiting": ()})).destination == "agent"
        if able and situation.message.language in agent.languages:
            assert again.agent == agent.id


@pytest.mark.acceptance("route-06")
@given(SITUATIONS)
@EXAMPLES
def test_certain_and_known_and_calm_is_automated(situation):
    # Feature: omnichannel-cx-platform, Property 24: High Confidence Automation
    situation = message(situation, confidence=0.9, pattern="known", text="hello").model_copy(
        update={"failed_attempts": 0}
    )
    found = route(situation)
    assert (found.destination == "automation") == (found.urgency_raw < 8)


@pytest.mark.acceptance("route-07")
@given(SITUATIONS, st.sampled_from(["speak to a human", "let me talk to an agent", "escalate this"]))
@EXAMPLES
def test_whoever_asks_for_a_person_gets_one(situation, words):
    # Feature: omnichannel-cx-platform, Property 36: Explicit Escalation Request
    found = route(message(situation, text=f"hello. {words}"))
    assert found.destination != "automation"
    assert "asks for a person" in found.reasons[0]


@given(SITUATIONS, st.integers(3, 9))
@EXAMPLES
def test_after_three_failures_a_person_answers(situation, failures):
    # Feature: omnichannel-cx-platform, Property 37: Automatic Escalation Threshold
    assert route(situation.model_copy(update={"failed_attempts": failures})).destination != "automation"


@pytest.mark.acceptance("route-08")
@given(FOR_PEOPLE)
@EXAMPLES
def test_the_queue_is_ordered_by_raw_urgency_and_says_how_long(situation):
    # Feature: omnichannel-cx-platform, Property 21: Queue Ordering by Urgency; Property 39: Wait Time Notification;
    # Property 45: Queue Urgency Ordering
    found = route(situation)
    assume(found.destination == "queue")
    assert found.place is not None
    assert found.place <= 1 + sum(one.urgency >= found.urgency_raw for one in situation.waiting)
    longest = tuple(one.model_copy(update={"urgency": 99}) for one in situation.waiting)
    assert (route(situation.model_copy(update={"waiting": longest})).place or 1) >= found.place
    somebody_could = not any("nobody on duty has" in reason for reason in found.reasons)
    assert (found.wait_minutes or 1) >= 1
    assert found.wait_minutes is not None or found.opens_at is not None or not somebody_could


@given(SITUATIONS)
@EXAMPLES
def test_the_same_situation_is_decided_alike(situation):
    again = RouteInputs.model_validate_json(situation.model_dump_json())
    assert route(situation) == route(again)


@given(SITUATIONS)
@EXAMPLES
def test_what_is_kept_is_decided_alike(situation):
    kept = TASK.without_ids(situation, lambda text: text)
    assert route(kept) == route(situation)
