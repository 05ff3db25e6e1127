"""Good routing decisions, and ways to spoil one: each leaves a decision that explains itself and is wrong."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eval.selftest.mutant import Doctor
from eval.spine.cases import Case
from eval.suites.route.labels import RouteExpectations, labels_of
from service.core.tasks.route.decision import RouteDecision
from service.core.tasks.route.policy import policy_of
from service.core.tasks.route.routing import decided
from service.core.tasks.route.situation import AgentState, RouteInputs
from service.core.tasks.route.urgency import shown

_QUEUED = {"destination": "queue", "agent": None, "place": 1, "wait_minutes": 3}
_AUTOMATED = {"destination": "automation", "agent": None, "place": None, "wait_minutes": None, "opens_at": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodRoute:
    """One decision with the situation and its labels."""

    decision: RouteDecision
    inputs: RouteInputs
    labels: RouteExpectations


# Returns the fields to change; none where the fault does not show in the situation.
EditDecision = Callable[[GoodRoute, random.Random], Mapping[str, Any]]


def good_decision(text: str, case: Case, draws: random.Random) -> str:
    """Return the decision as labelled, by the task's own policy as far as the labels leave it open."""
    return _as_labelled(case, draws).decision.model_dump_json()


def drawn(case: Case, draws: random.Random, *, slip: float) -> str:
    """Draw the decision of a floor that differs from the labels in a share ``slip`` of the situations."""
    good = _as_labelled(case, draws)
    other = _another_step(good) if draws.random() < slip else {}
    return good.decision.model_copy(update=dict(other)).model_dump_json()


def _as_labelled(case: Case, draws: random.Random) -> GoodRoute:
    inputs, labels = RouteInputs.model_validate(case.inputs), labels_of(case)
    found = decided(inputs, policy_of())
    least, most = labels.urgency
    fields: dict[str, Any] = {"destination": labels.destination, "place": labels.place}
    if not least <= found.urgency_raw <= most:
        fields |= _by(found, draws.randint(least, most) - found.urgency_raw)
    if labels.destination == "agent":
        fields["agent"] = found.agent if found.agent in labels.agents else draws.choice(labels.agents)
    else:
        fields["agent"] = None
    return GoodRoute(decision=found.model_copy(update=fields), inputs=inputs, labels=labels)


def _another_step(good: GoodRoute) -> Mapping[str, Any]:
    """Return what a system that differs now and then decides instead: a person for what a machine could answer, or the queue."""
    if good.decision.destination == "automation":
        return _QUEUED
    return _QUEUED if good.decision.destination == "agent" else {"place": (good.decision.place or 1) + 1}


def spoilt(edit: EditDecision) -> Doctor:
    """Return a doctor that makes the edit's changes to a decision."""

    def doctor(text: str, case: Case, draws: random.Random) -> str:
        decision = RouteDecision.model_validate_json(text)
        good = GoodRoute(decision=decision, inputs=RouteInputs.model_validate(case.inputs), labels=labels_of(case))
        return decision.model_copy(update=dict(edit(good, draws))).model_dump_json()

    return doctor


def _by(decision: RouteDecision, points: int) -> dict[str, Any]:
    """Return the urgency changed by ``points``, told as the base's, so that the figures still add up."""
    base, *others = decision.factors
    raw = decision.urgency_raw + points
    changed = base.model_copy(update={"points": base.points + points})
    return {"urgency_raw": raw, "urgency": shown(raw), "factors": (changed, *others)}


def _without(factor: str) -> EditDecision:
    """Return an edit that forgets one factor; where a person was asked for by urgency alone, automation may answer then."""

    def edit(good: GoodRoute, draws: random.Random) -> Mapping[str, Any]:
        lost = sum(one.points for one in good.decision.factors if one.name == factor)
        if not lost:
            return {}
        kept = tuple(one for one in good.decision.factors if one.name != factor)
        raw = good.decision.urgency_raw - lost
        fields: dict[str, Any] = {"factors": kept, "urgency_raw": raw, "urgency": shown(raw)}
        message = good.inputs.message
        certain = message.confidence > 0.85 and message.pattern is not None
        if certain and raw < 8 and not good.labels.asks_for_person and good.inputs.failed_attempts < 3:
            fields |= _AUTOMATED
        return fields

    return edit


def _to(fits: Callable[[AgentState, GoodRoute], bool]) -> EditDecision:
    """Return an edit that gives the conversation to another agent, one who ``fits``."""

    def edit(good: GoodRoute, draws: random.Random) -> Mapping[str, Any]:
        wrong = [agent for agent in good.inputs.agents if agent.id not in good.labels.agents and fits(agent, good)]
        if good.decision.destination == "automation" or not wrong:
            return {}
        return {
            "destination": "agent",
            "agent": draws.choice(wrong).id,
            "place": None,
            "wait_minutes": None,
            "opens_at": None,
        }

    return edit


def _where(holds: Callable[[GoodRoute], bool], fields: Mapping[str, Any]) -> EditDecision:
    return lambda good, draws: fields if holds(good) else {}


FAULTS: Mapping[str, tuple[str, tuple[str, ...], EditDecision]] = {
    "asked_in_vain": (
        "automation answers whoever asks for a person",
        ("person_given", "destination_right"),
        _where(lambda good: good.labels.asks_for_person, _AUTOMATED),
    ),
    "failures_forgotten": (
        "automation goes on after three answers that did not help",
        ("person_given", "destination_right"),
        _where(lambda good: good.inputs.failed_attempts >= 3, _AUTOMATED),
    ),
    "urgent_automated": (
        "automation answers urgent messages",
        ("person_given", "destination_right"),
        _where(lambda good: good.labels.urgency[0] >= 8, _AUTOMATED),
    ),
    "unsure_automated": (
        "automation answers what was hardly understood",
        ("destination_right",),
        _where(lambda good: good.inputs.message.confidence <= 0.85, _AUTOMATED),
    ),
    "nothing_automated": (
        "everybody waits for a person",
        ("automated", "destination_right"),
        _where(lambda good: good.decision.destination == "automation", _QUEUED),
    ),
    "vip_ignored": (
        "a customer's value counts for nothing",
        ("urgency_right", "destination_right", "person_given"),
        _without("tier"),
    ),
    "repeat_ignored": (
        "who comes again is treated as new",
        ("urgency_right", "destination_right", "person_given"),
        _without("repeat"),
    ),
    "sentiment_ignored": (
        "anger counts for nothing",
        ("urgency_right", "destination_right", "person_given"),
        _without("sentiment"),
    ),
    "complaint_as_inquiry": (
        "what kind of message it is counts for nothing",
        ("urgency_right", "destination_right", "person_given"),
        _without("category"),
    ),
    "words_unread": (
        "words such as emergency count for nothing",
        ("urgency_right", "destination_right", "person_given"),
        _without("words"),
    ),
    "skill_ignored": (
        "the conversation goes to somebody without the skill",
        ("agent_right", "destination_right", "agent_able"),
        _to(lambda agent, good: good.decision.skill is not None and good.decision.skill not in agent.skills),
    ),
    "language_ignored": (
        "the conversation goes to somebody who does not speak the language",
        ("agent_right", "destination_right", "agent_able"),
        _to(lambda agent, good: good.inputs.message.language not in agent.languages),
    ),
    "sixth_conversation": (
        "the conversation goes to somebody who has five",
        ("agent_right", "destination_right", "agent_able"),
        _to(lambda agent, good: agent.workload >= 5),
    ),
    "absent_agent": (
        "the conversation goes to somebody who is busy or away",
        ("agent_right", "destination_right", "agent_able"),
        _to(lambda agent, good: agent.status != "available"),
    ),
    "history_ignored": (
        "the agent who knows the customer is passed over",
        ("agent_right",),
        lambda good, draws: _passed_over(good, draws),
    ),
    "pushes_in": (
        "who has just come is served before those who wait",
        ("destination_right", "place_right"),
        lambda good, draws: _pushed_in(good, draws),
    ),
    "unexplained": (
        "the figures do not add up to the urgency",
        ("explained",),
        lambda good, draws: {"factors": good.decision.factors[:-1]} if len(good.decision.factors) > 1 else {},
    ),
}


def _passed_over(good: GoodRoute, draws: random.Random) -> Mapping[str, Any]:
    last = good.inputs.customer.last_agent
    others = [agent.id for agent in good.inputs.agents if agent.id != last and agent.status == "available"]
    return {"agent": draws.choice(others)} if last in good.labels.agents and others else {}


def _pushed_in(good: GoodRoute, draws: random.Random) -> Mapping[str, Any]:
    if good.decision.destination != "queue" or not good.inputs.waiting:
        return {}
    free = [agent.id for agent in good.inputs.agents if agent.status == "available" and agent.workload < 5]
    return (
        {"destination": "agent", "agent": draws.choice(free), "place": None, "wait_minutes": None}
        if free
        else {"place": 1}
    )


def chatty(text: str, case: Case, draws: random.Random) -> str:
    """Return prose in place of a decision."""
    return "I think somebody from billing should look at this one."
