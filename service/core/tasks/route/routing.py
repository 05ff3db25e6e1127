"""The routing rules: a pure function of a situation and a policy.

Whether a person answers is decided by the first of these that holds: the customer asks for one, automation has failed too often,
the message is urgent, the understanding is not certain, no automation is known. Then the person is chosen.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.core.tasks.route.decision import RouteDecision
from service.core.tasks.route.policy import AgentRules, PersonWords, RoutingPolicy
from service.core.tasks.route.situation import AgentState, AlreadyWaiting, RouteInputs
from service.core.tasks.route.urgency import negated, phrase_pattern, shown, urgency_factors

_BETWEEN_ASKING_AND_PERSON, _BETWEEN_PERSON_AND_SIGN = 5, 1  # words
_SHORT = 3  # words of a message that names a person and nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class _Needs:
    """What an agent must have for a conversation; ``skill`` None: nothing beyond the language."""

    language: str
    skill: str | None

    def met_by(self, agent: AgentState) -> bool:
        return self.language in agent.languages and (self.skill is None or self.skill in agent.skills)

    def shared_with(self, waiting: AlreadyWaiting, agents: Sequence[AgentState]) -> bool:
        """Return whether some agent could serve both."""
        other = _Needs(language=waiting.language, skill=waiting.skill)
        return any(self.met_by(agent) and other.met_by(agent) for agent in agents)


def decided(situation: RouteInputs, policy: RoutingPolicy) -> RouteDecision:
    """Return where the message goes, with every reason in words."""
    factors = urgency_factors(situation, policy)
    raw = sum(factor.points for factor in factors)
    person = person_because(situation, policy, raw)
    message = situation.message
    common = {
        "urgency_raw": raw,
        "urgency": shown(raw),
        "factors": factors,
        "language": message.language,
        "skill": policy.agents.skills.get(message.topic or ""),
        "doubtful": message.confidence < policy.automation.flagged_below,
        "policy": policy.version,
        **dict.fromkeys(("agent", "place", "wait_minutes", "opens_at")),
    }
    if person is None:
        reason = (
            f"confidence {message.confidence:.2f} is above {policy.automation.above:.2f}, urgency {raw} is below "
            f"{policy.automation.person_at}, and {message.pattern} answers such messages"
        )
        return RouteDecision.model_validate({**common, "destination": "automation", "reasons": (reason,)})
    reasons = [person]
    chosen = _assigned(situation, policy, raw, reasons)
    return RouteDecision.model_validate({**common, **chosen, "reasons": reasons})


def person_because(situation: RouteInputs, policy: RoutingPolicy, raw: int) -> str | None:
    """Return why a person has to answer, the strongest reason; None if automation may."""
    rules, message = policy.automation, situation.message
    if asked := asked_for_person(message.text, message.language, policy):
        return f"the customer asks for a person: {asked!r}"
    if situation.failed_attempts >= rules.failures:
        return f"{situation.failed_attempts} automated answers did not help: after {rules.failures} a person answers"
    if raw >= rules.person_at:
        return f"urgency {raw}: from {rules.person_at} a person answers"
    if message.confidence <= rules.above:
        return f"confidence {message.confidence:.2f} is not above {rules.above:.2f}: a person answers"
    if message.pattern is None:
        return "no automation is known for such a message: a person answers"
    return None


def asked_for_person(text: str, language: str, policy: RoutingPolicy) -> str | None:
    """Return the policy's words with which a customer asks for a person, in their language or in English; None if they do not."""
    for code in dict.fromkeys((language, "en")):
        if (words := policy.person.get(code)) is None:
            continue
        for start, said in _wishes(text, words):
            if not negated(text[:start], words.negations):
                return said
    return None


def _wishes(text: str, words: PersonWords) -> Iterator[tuple[int, str]]:
    """Yield where the text may ask for a person, and the policy's words there: nothing else that the customer wrote."""
    for verb in phrase_pattern(words.verbs).finditer(text):
        person = phrase_pattern(words.people).search(text, verb.end())
        if person is not None and _close(text[verb.end() : person.start()], _BETWEEN_ASKING_AND_PERSON):
            yield verb.start(), f"{verb.group()} … {person.group()}"
    short = len(text.split()) <= _SHORT
    for human in phrase_pattern(words.humans).finditer(text):
        if short:
            yield human.start(), human.group()
        for sign in phrase_pattern(words.signs).finditer(text):
            first, second = sorted((human, sign), key=lambda found: found.start())
            if first.end() <= second.start() and _close(text[first.end() : second.start()], _BETWEEN_PERSON_AND_SIGN):
                yield first.start(), f"{first.group()} … {second.group()}"
    for phrase in phrase_pattern(words.phrases).finditer(text):
        yield phrase.start(), phrase.group()


def _close(between: str, most: int) -> bool:
    return len(between.split()) <= most and not any(end in between for end in ".!?;")


def _assigned(situation: RouteInputs, policy: RoutingPolicy, raw: int, reasons: list[str]) -> dict[str, object]:
    """Return the agent who gets the conversation, or the place in the queue; add why to ``reasons``."""
    rules = policy.agents
    needs = _needs(situation, policy, reasons)
    on_duty = [agent for agent in situation.agents if agent.status != "offline" and needs.met_by(agent)]
    free = [agent for agent in on_duty if agent.status == "available" and agent.workload < _bound(agent, rules)]
    ahead = sum(one.urgency >= raw and needs.shared_with(one, on_duty) for one in situation.waiting)
    if free and not ahead:
        agent, why = _best(free, situation, policy)
        reasons.append(why)
        return {"destination": "agent", "agent": agent.id}
    if ahead:
        reasons.append(f"{ahead} who {'waits' if ahead == 1 else 'wait'} for the same people came first")
    elif on_duty:
        reasons.append(f"all {len(on_duty)} who could answer are busy or have as many conversations as they may")
    else:
        what = f"{needs.language} and {needs.skill}" if needs.skill else needs.language
        reasons.append(f"nobody on duty has {what}")
    return {"destination": "queue", "place": 1 + ahead, **_wait(situation, policy, 1 + ahead, on_duty)}


def _bound(agent: AgentState, rules: AgentRules) -> int:
    return rules.most_conversations if agent.max_workload is None else min(agent.max_workload, rules.most_conversations)


def _needs(situation: RouteInputs, policy: RoutingPolicy, reasons: list[str]) -> _Needs:
    """Return what the conversation needs; a second language counts where nobody on duty has the customer's own."""
    message, rules = situation.message, policy.agents
    skill = rules.skills.get(message.topic or "")
    spoken = {language for agent in situation.agents if agent.status != "offline" for language in agent.languages}
    if message.language not in spoken:
        for second in rules.second_languages:
            if second in spoken:
                reasons.append(f"nobody on duty speaks {message.language}: {second} is tried")
                return _Needs(language=second, skill=skill)
    return _Needs(language=message.language, skill=skill)


def _best(free: Sequence[AgentState], situation: RouteInputs, policy: RoutingPolicy) -> tuple[AgentState, str]:
    last = situation.customer.last_agent
    if policy.agents.continuity and (known := next((agent for agent in free if agent.id == last), None)):
        return known, f"{known.id} last spoke with the customer"
    best = min(free, key=lambda agent: (agent.workload, -(agent.performance or 0.0), agent.id))
    return best, f"of {len(free)} who could answer {best.id} has the fewest conversations ({best.workload})"


def _wait(
    situation: RouteInputs, policy: RoutingPolicy, place: int, on_duty: Sequence[AgentState]
) -> dict[str, object]:
    calendar = policy.calendar
    if not calendar.is_open(situation.at):
        return {"opens_at": calendar.next_opening(situation.at).isoformat()}
    if not on_duty:
        return {}
    minutes = situation.handling_minutes or policy.agents.handling_minutes
    # Each agent has several conversations at a time, so one of them ends this often.
    ends_every = minutes / max(1, sum(_bound(agent, policy.agents) for agent in on_duty))
    return {"wait_minutes": max(1, math.ceil(place * ends_every))}
