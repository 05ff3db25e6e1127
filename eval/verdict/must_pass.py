"""Checks cases that must pass one by one: those that once went wrong in production, and those of a slice at risk."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from eval.spine.cases import Case
from eval.spine.results import CaseResult, Check, Verdict
from eval.spine.suite import MustPass, Suite
from figures.metric import Metric, Unit

_NAMED = 5


def must_pass_checks(suite: Suite, results: Sequence[CaseResult]) -> tuple[Check, ...]:
    """Return one check per ``MustPass`` of the suite; none if the set has no cases.

    There are no intervals, because the set is not a sample: every case must pass. Of several answers to a case the worst
    counts. A failed answer, or a score that is missing, fails the case; a score that does not apply to a case is ignored.
    """
    if not results:
        return ()
    by_case = _by_case(results)
    checks = (
        _check(demand, by_case, "cases that went wrong before", "go wrong again", "is right")
        for demand in suite.must_pass
        if not demand.slice
    )
    return tuple(check for check in checks if check is not None)


def must_pass_slices(suite: Suite, cases: Mapping[str, Case], results: Sequence[CaseResult]) -> tuple[Check, ...]:
    """Return one check per ``MustPass`` of the suite that names a slice, over the gate set's cases of that slice."""
    checks = []
    for demand in suite.must_pass:
        if not demand.slice:
            continue
        inside = [item for item in results if cases[item.case_id].slices.get(demand.slice) is True]
        what = f"{demand.slice} cases"
        if inside:
            check = _check(
                demand, _by_case(inside), what, f"stay below {demand.at_least:g}", f"reaches {demand.at_least:g}"
            )
            if check is not None:
                checks.append(replace(check, slice=demand.slice))
    return tuple(checks)


def _by_case(results: Sequence[CaseResult]) -> Mapping[str, Sequence[CaseResult]]:
    found: defaultdict[str, list[CaseResult]] = defaultdict(list)
    for item in results:
        found[item.case_id].append(item)
    return found


def _check(
    demand: MustPass, by_case: Mapping[str, Sequence[CaseResult]], what: str, wrong: str, right: str
) -> Check | None:
    """Return the check; None if the score applies to no case."""
    kept, missed = 0, []
    for case_id, answers in by_case.items():
        scores = [item.scores.get(demand.score) for item in answers if item.result.failure is None]
        if len(scores) == len(answers) and all(score is not None and not score.applies for score in scores):
            continue
        values = [score.value for score in scores if score is not None and score.value is not None]
        if len(values) == len(answers) and min(values) >= demand.at_least:
            kept += 1
        else:
            missed.append(case_id)
    total = kept + len(missed)
    if not total:
        return None
    named = ", ".join(missed[:_NAMED]) + (f" and {len(missed) - _NAMED} more" if len(missed) > _NAMED else "")
    explanation = (
        f"{len(missed)} of {total} {what} {wrong}: {named}" if missed else f"each of the {total} {what} {right}"
    )
    if demand.tolerated:
        explanation += f"; up to {demand.tolerated} are tolerated"
    return Check(
        kind="must_pass",
        metric=Metric(
            name=demand.score,
            unit=Unit.RATE,
            higher_is_better=True,
            value=kept / total,
            low=None,
            high=None,
            n=total,
            method="each case",
        ),
        bound=max(total - demand.tolerated, 0) / total,
        verdict=Verdict.PASS if len(missed) <= demand.tolerated else Verdict.FAIL,
        reason=demand.reason,
        explanation=explanation,
    )
