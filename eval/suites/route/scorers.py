"""Scores of one routing decision: where it goes, to whom, how urgent it is, and whether it explains itself."""

from collections.abc import Iterator

from eval.spine.results import Score
from eval.spine.scorer import ScorerContext
from eval.suites.route.labels import labels_of
from service.core.tasks.route.decision import RouteDecision
from service.core.tasks.route.situation import RouteInputs

PERSON_AT = 8  # from this urgency on a person answers, whatever a policy says
_MOST_CONVERSATIONS = 5


class DestinationScorer:
    """Whether the message went where it should, as labelled.

    ``destination_right``: automation, an agent or the queue. ``agent_right``: an accepted agent; ``place_right``: the place in
    the queue; ``urgency_right``: a raw urgency within the label. ``person_given``: 1 unless automation answers somebody who asks
    for a person, whose message is urgent, or whom automation has failed three times. ``automated``: 1 if automation answers what
    needs nobody.
    """

    name = "destination"
    scores = ("destination_right", "agent_right", "place_right", "urgency_right", "person_given", "automated")
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return those that apply to the case."""
        answer, labels, inputs = context.parsed(RouteDecision), labels_of(context.case), inputs_of(context)
        went = f"{answer.agent or answer.destination} ({answer.reasons[0]})"
        right = answer.destination == labels.destination
        found = {"destination_right": _met(right, f"goes to {went}, and {labels.destination} is right")}
        if labels.destination == "agent":
            accepted = " or ".join(labels.agents)
            found["agent_right"] = _met(answer.agent in labels.agents, f"goes to {went}, and {accepted} is right")
        if labels.destination == "queue":
            wrong = f"place {answer.place}, and {labels.place} is right"
            found["place_right"] = _met(answer.place == labels.place, wrong)
        least, most = labels.urgency
        wrong = f"urgency {answer.urgency_raw}, and {least}{f' to {most}' if most > least else ''} is right"
        found["urgency_right"] = _met(least <= answer.urgency_raw <= most, wrong)
        if labels.asks_for_person or least >= PERSON_AT or inputs.failed_attempts >= 3:
            found["person_given"] = _met(answer.destination != "automation", "automation answers, and a person must")
        if labels.destination == "automation":
            found["automated"] = _met(right, f"goes to {went}, and automation answers such messages")
        other = Score(value=None, unscored="it does not apply to this case", applies=False)
        return {name: found.get(name, other) for name in self.scores}


class FairnessScorer:
    """``agent_able``: 1 unless a conversation goes to somebody who may not have it; ``explained``: 1 if the figures add up."""

    name = "fairness"
    scores = ("agent_able", "explained")

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return both, each with one finding for everything that is wrong."""
        answer, inputs = context.parsed(RouteDecision), inputs_of(context)
        unable, unclear = tuple(_unable(answer, inputs)), tuple(_unclear(answer))
        return {
            "agent_able": Score(value=float(not unable), findings=unable),
            "explained": Score(value=float(not unclear), findings=unclear),
        }


def _unable(answer: RouteDecision, inputs: RouteInputs) -> Iterator[str]:
    if answer.destination != "agent":
        if answer.agent is not None:
            yield f"names {answer.agent}, and goes to {answer.destination}"
        return
    agent = next((one for one in inputs.agents if one.id == answer.agent), None)
    if agent is None:
        yield f"goes to {answer.agent}, who is not among the agents"
        return
    if agent.status != "available":
        yield f"{agent.id} is {agent.status}"
    most = min(_MOST_CONVERSATIONS, agent.max_workload if agent.max_workload is not None else _MOST_CONVERSATIONS)
    if agent.workload >= most:
        yield f"{agent.id} has {agent.workload} conversations, of {most} at most"
    if answer.skill is not None and answer.skill not in agent.skills:
        yield f"{agent.id} lacks {answer.skill}"


def _unclear(answer: RouteDecision) -> Iterator[str]:
    total = sum(factor.points for factor in answer.factors)
    if total != answer.urgency_raw:
        yield f"the factors add up to {total}, and the urgency is {answer.urgency_raw}"
    if answer.urgency != max(1, min(10, answer.urgency_raw)):
        yield f"urgency {answer.urgency} is shown for {answer.urgency_raw}"
    if not all(reason.strip() for reason in answer.reasons):
        yield "a reason is empty"


def _met(right: bool, finding: str) -> Score:
    return Score(value=float(right), findings=() if right else (finding,))


def inputs_of(context: ScorerContext) -> RouteInputs:
    """Return the situation of the case."""
    assert isinstance(context.inputs, RouteInputs)
    return context.inputs
