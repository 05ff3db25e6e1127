"""Scores of one message: the decision, the rules that it must keep, and its sentences by what the offer states.

Rules are those of the task's own guidelines, not the pair's: a pair whose guidelines forbid less does not pass by that.
"""

from collections.abc import Iterator
from functools import lru_cache

from eval.scorers.harms import source_of_texts
from eval.spine.accounts import FreeText
from eval.spine.results import QuotingFinding, Score
from eval.spine.scorer import ScorerContext
from eval.suites.upsell.labels import labels_of
from service.core.statements.accounting.source import AccountSource, SourceStatement
from service.core.statements.answers.finding import Finding
from service.core.statements.answers.reading import SPOKEN, cached_findings
from service.core.tasks.upsell.checks import known_facts, objections, offer_facts
from service.core.tasks.upsell.customer import Offer, UpsellInputs
from service.core.tasks.upsell.guidelines import guidelines_of
from service.core.tasks.upsell.message import Draft, UpsellMessage


class DecisionScorer:
    """``decided``: 1 if the customer was sold something, or nothing, as labelled; ``reason_right``: for a labelled reason."""

    name = "decision"
    scores = ("decided", "reason_right")
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return both; a reason counts only where nothing is to be sold and nothing was."""
        answer, labels = context.parsed(UpsellMessage), labels_of(context.case)
        right = answer.decision == labels.decision
        finding = (f"{answer.decision} ({answer.reason or 'an offer'}), where {labels.decision} is right",)
        decided = Score(value=float(right), findings=() if right else finding)
        if not right or labels.decision == "send":
            return {"decided": decided, "reason_right": Score(value=None, unscored="no reason is asked for", applies=False)}
        known = answer.reason in labels.reasons
        why = (f"reason {answer.reason} for {' or '.join(labels.reasons)}",)
        return {"decided": decided, "reason_right": Score(value=float(known), findings=() if known else why)}


class RuleScorer:
    """``rules_kept``: 1 if code holds nothing against a message that leaves."""

    name = "rules"
    scores = ("rules_kept",)

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return it, with one finding for each objection; it does not apply where nothing leaves."""
        inputs, answer = _inputs(context), context.parsed(UpsellMessage)
        if answer.decision != "send":
            return {"rules_kept": Score(value=None, unscored="nothing leaves", applies=False)}
        draft = Draft(send=True, reason="", offer_id=answer.offer_id or "", message=answer.message)
        found = tuple(
            QuotingFinding(one.kind, quote=one.value) if one.value else one.kind
            for one in objections(draft, inputs, guidelines_of())
        )
        return {"rules_kept": Score(value=float(not found), findings=found)}


def findings_of(context: ScorerContext) -> Iterator[Finding]:
    """Yield what is found in a message that leaves, by the facts of its offer."""
    offer = _offered(context)
    if offer is not None:
        facts = known_facts(_inputs(context), offer)
        yield from cached_findings(context.parsed(UpsellMessage).message, source_of_texts(facts), SPOKEN)


def free_texts_of(context: ScorerContext) -> tuple[FreeText, ...]:
    """Return the message with what accounts for it: the offer's facts, a greeting, and the brand's own words."""
    offer = _offered(context)
    if offer is None:
        return ()
    return (FreeText(text=context.parsed(UpsellMessage).message, source=_source(_inputs(context), offer)),)


@lru_cache(maxsize=512)
def _source(inputs: UpsellInputs, offer: Offer) -> AccountSource:
    brand = guidelines_of().brand(inputs.tenant)
    greeted = tuple(f"{word} {inputs.first_name}" for word in ("Hello", "Hi", "Dear"))
    included = (f"It includes {' and '.join(offer.includes)}", f"{offer.name} includes {' and '.join(offer.includes)}")
    facts = (*offer_facts(offer), f"{offer.name} costs {offer.price}", *included)
    wordings = (*greeted, f"{brand.name}.", brand.opt_out[inputs.channel])
    return AccountSource(
        (
            *(SourceStatement(text=text, heads=greeted) for text in facts if text),
            *(SourceStatement(text=text, how="wording") for text in wordings),
        )
    )


def _offered(context: ScorerContext) -> Offer | None:
    answer = context.parsed(UpsellMessage)
    if answer.decision != "send":
        return None
    return next((one for one in _inputs(context).offers if one.id == answer.offer_id), None)


def _inputs(context: ScorerContext) -> UpsellInputs:
    assert isinstance(context.inputs, UpsellInputs)
    return context.inputs
