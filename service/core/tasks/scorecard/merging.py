"""Merges the answers about the windows of a call into one answer per criterion and one overview, deterministically.

For a criterion that ``holds`` once, a yes with evidence in any window wins, then a yes whose quote was not found (it is marked
as unverified), then no, then not applicable. For one that holds throughout, no wins over yes. Of equal answers, one with
evidence wins, then the one of the earlier window.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from service.core.tasks.scorecard.evidence import QuoteEvidence, find_quote
from service.core.tasks.scorecard.form import Criterion
from service.core.tasks.scorecard.reading import CriterionRating, Overview, Reading
from service.core.tasks.scorecard.transcript import Turn

_ONCE = {"yes": 2, "no": 1, "na": 0}
_THROUGHOUT = {"no": 2, "yes": 1, "na": 0}
_MOST_ITEMS = 12
_AGENT_ORDER = ("dismissive", "curt", "professional", "warm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The merged answer about a criterion and its quote's verification; ``answered`` is None if a window did not answer.

    ``by_condition``: the form's condition decided, not the model.
    """

    criterion: Criterion
    answered: CriterionRating | None
    evidence: QuoteEvidence
    by_condition: bool = False


def settle(criterion: Criterion, readings: Sequence[Reading], asked: Sequence[bool], turns: Sequence[Turn]) -> Settled:
    """Return the merged answer about ``criterion``.

    ``readings`` are those of all parts, in order, and ``asked`` says for each whether it asked about the criterion.
    """
    ranks = _THROUGHOUT if criterion.holds == "throughout" else _ONCE
    said = [reading.answers.get(criterion.id) for reading, was in zip(readings, asked, strict=True) if was]
    found = [(answer, evidence_of(answer, turns)) for answer in said if answer is not None]
    best = max(
        found,
        key=lambda one: (ranks[one[0].verdict], one[1].status == "verified"),
        default=(None, QuoteEvidence(status="none")),
    )
    answer, evidence = best
    # A missing answer could have been the deciding one, unless there is already a deciding answer with evidence.
    decided = answer is not None and ranks[answer.verdict] == 2 and evidence.status == "verified"
    if len(found) < len(said) and not decided:
        return Settled(criterion=criterion, answered=None, evidence=QuoteEvidence(status="none"))
    return Settled(criterion=criterion, answered=answer, evidence=evidence)


def evidence_of(answer: CriterionRating, turns: Sequence[Turn]) -> QuoteEvidence:
    """Return the verification of the answer's quote. A yes needs a quote; a no does not, as it may be about an omission."""
    evidence = find_quote(answer.quote, answer.turn, turns)
    return QuoteEvidence(status="missing") if evidence.status == "none" and answer.verdict == "yes" else evidence


def merge_overviews(overviews: Sequence[Overview]) -> Overview:
    """Return one overview from those of the windows, which are in order.

    Summaries are joined, and action items are deduplicated. Outcome and resolution come from the last window with a clear
    resolution. The customer's tone is the most frequent one (the later one in a tie), the agent's tone the least friendly one.
    """
    items = {" ".join(item.casefold().split()): item for overview in overviews for item in overview.action_items}
    endings = [one for one in overviews if one.resolution != "unclear"] or list(overviews)
    customer = [one.customer_tone for one in overviews if one.customer_tone is not None]
    counts = Counter(customer)
    latest = {tone: place for place, tone in enumerate(customer)}
    agent = [one.agent_tone for one in overviews if one.agent_tone is not None]
    return Overview(
        summary=" ".join(one.summary for one in overviews if one.summary),
        outcome=endings[-1].outcome if endings else "",
        action_items=tuple(items.values())[:_MOST_ITEMS],
        resolution=endings[-1].resolution if endings else "unclear",
        customer_tone=max(counts, key=lambda tone: (counts[tone], latest[tone]), default=None),
        agent_tone=min(agent, key=_AGENT_ORDER.index, default=None),
    )
