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
    """Whether the customer was sold something, or nothing, as labelled.

    ``approved``: 1 if a message leaves to a customer who may be sold something; ``offer_fits``: 1 if it offers what suits best.
    ``held_back``: 1 if nothing leaves to anybody else; ``held_back_noted``: the same where a note alone says why;
    ``reason_right``: 1 if the reason is the labelled one. ``judge_score``: 1 to 10, what the pair's judge gave what leaves.
    """

    name = "decision"
    scores = ("approved", "offer_fits", "held_back", "held_back_noted", "reason_right", "judge_score")
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return those that apply to the case."""
        answer, labels = context.parsed(UpsellMessage), labels_of(context.case)
        found = dict[str, Score]()
        if labels.decision == "send":
            found["approved"] = _met(
                answer.decision == "send", f"{answer.decision} {_why(answer)}, and a message is right"
            )
            if labels.offers:
                wrong = f"offers {answer.offer_id or 'nothing'}, and {' or '.join(labels.offers)} suits best"
                found["offer_fits"] = _met(answer.offer_id in labels.offers and answer.decision == "send", wrong)
        else:
            held = answer.decision == "suppressed"
            found["held_back"] = _met(held, f"{answer.decision}, and nothing is right: {' or '.join(labels.reasons)}")
            if context.case.slices.get("noted") is True:
                found["held_back_noted"] = Score(value=found["held_back"].value)
            if held:
                wrong = f"reason {answer.reason} for {' or '.join(labels.reasons)}"
                found["reason_right"] = _met(answer.reason in labels.reasons, wrong)
        if answer.decision == "send" and answer.approval is not None and answer.approval.score is not None:
            found["judge_score"] = Score(value=float(answer.approval.score))
        other = Score(value=None, unscored="it does not apply to this case", applies=False)
        return {name: found.get(name, other) for name in self.scores}


def _met(right: bool, finding: str) -> Score:
    return Score(value=float(right), findings=() if right else (finding,))


def _why(answer: UpsellMessage) -> str:
    if answer.approval is not None and answer.approval.reasons:
        return f"({answer.approval.reasons[0]})"
    return f"({answer.reason})" if answer.reason else ""


class RuleScorer:
    """``rules_kept``: 1 if code holds nothing against what leaves, or nothing leaves."""

    name = "rules"
    scores = ("rules_kept",)

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return it, with one finding for each objection."""
        inputs, answer = _inputs(context), context.parsed(UpsellMessage)
        if answer.decision != "send":
            return {"rules_kept": Score(value=1.0)}
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
