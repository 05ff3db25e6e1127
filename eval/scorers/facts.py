"""Scores whether an output states the case's facts and avoids its forbidden claims."""

from collections.abc import Sequence

from eval.spine.cases import Fact
from eval.spine.results import Score
from eval.spine.scorer import ScorerContext
from service.core.statements.grounding.text import form_occurs


class FactScorer:
    """Scores ``fact_coverage``, ``critical_coverage`` and ``forbidden_clear``, ``tells_nothing`` and ``critical_untold``.

    The first two are the shares of all facts and of the critical ones that are found; the third is 1.0 when no forbidden claim is
    made. The last two count: 1.0 when not one of the facts, or of the critical ones, is found. None applies to a case that lists
    none. Facts and claims are found by their surface forms
    (``service.core.statements.grounding.text``): an honest wording that no form foresees is missed, which lowers
    coverage and never raises it.
    """

    name = "facts"
    scores = ("fact_coverage", "critical_coverage", "forbidden_clear", "tells_nothing", "critical_untold")
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the scores; findings are missing statements, and false claims with the form that matched."""
        facts = context.case.expectations.facts
        critical = [fact for fact in facts if fact.critical]
        covered, told = _coverage(context, facts, "facts"), _coverage(context, critical, "critical facts")
        return {
            "fact_coverage": covered,
            "critical_coverage": told,
            "forbidden_clear": _clear(context),
            "tells_nothing": _none_of(covered),
            "critical_untold": _none_of(told),
        }


def _coverage(context: ScorerContext, facts: Sequence[Fact], what: str) -> Score:
    if not facts:
        return Score(value=None, unscored=f"the case has no {what}", applies=False)
    missing = tuple(
        fact.statement for fact in facts if not any(form_occurs(form, context.output) for form in fact.accepted)
    )
    found = len(facts) - len(missing)
    return Score(value=found / len(facts), rationale=f"{found} of {len(facts)} {what}", findings=missing)


def _none_of(coverage: Score) -> Score:
    return coverage if coverage.value is None else Score(value=float(coverage.value == 0))


def _clear(context: ScorerContext) -> Score:
    claims = context.case.expectations.forbidden
    if not claims:
        return Score(value=None, unscored="the case lists no forbidden claims", applies=False)
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
