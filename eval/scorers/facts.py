"""Scores whether an output states the case's facts and avoids its forbidden claims."""

from eval.results import Score
from eval.scorers.base import ScorerContext
from service.grounding.text import form_occurs


class FactScorer:
    """Scores ``fact_coverage`` (share of facts found) and ``forbidden_clear`` (1.0 when no forbidden claim is made).

    Each is unscored when the case lists none. Facts and claims are found by their surface forms (``service.grounding.text``): an
    honest wording that no form foresees is missed, which lowers coverage and never raises it.
    """

    name = "facts"
    scores = ("fact_coverage", "forbidden_clear")

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return both scores; findings are missing statements, and false claims with the form that matched."""
        return {"fact_coverage": _coverage(context), "forbidden_clear": _clear(context)}


def _coverage(context: ScorerContext) -> Score:
    facts = context.case.expectations.facts
    if not facts:
        return Score(value=None, unscored="the case has no facts")
    missing = tuple(
        fact.statement for fact in facts if not any(form_occurs(form, context.output) for form in fact.accepted)
    )
    found = len(facts) - len(missing)
    return Score(value=found / len(facts), rationale=f"{found} of {len(facts)} facts", findings=missing)


def _clear(context: ScorerContext) -> Score:
    claims = context.case.expectations.forbidden
    if not claims:
        return Score(value=None, unscored="the case lists no forbidden claims")
    findings = []
    for claim in claims:
        form = next((form for form in claim.accepted if form_occurs(form, context.output)), None)
        if form is not None:
            findings.append(f"claims {claim.claim!r} by the form {_positive(form)!r}")
    return Score(
        value=0.0 if findings else 1.0,
        rationale=f"{len(findings)} of {len(claims)} false claims",
        findings=tuple(findings),
    )


def _positive(form: str) -> str:
    # Show only the words that were found; words that had to be absent would confuse a reader.
    return " + ".join(part for part in form.split(" + ") if not part.startswith("!"))
