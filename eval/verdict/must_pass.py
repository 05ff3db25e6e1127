"""Checks the must-pass set: cases that once went wrong in production. A pair that fails one of them is not released."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from eval.results import CaseResult, Check, Score, Verdict
from eval.suite import MustPass, Suite
from figures.metric import Metric, Unit

_NAMED = 5


def must_pass_checks(suite: Suite, results: Sequence[CaseResult]) -> tuple[Check, ...]:
    """Return one check per ``MustPass`` of the suite; none if the set has no cases.

    There are no intervals, because the set is not a sample: every case must pass. Of several answers to a case the worst
    counts. A failed answer fails the case; a score that does not apply to a case is ignored.
    """
    if not results:
        return ()
    by_case: defaultdict[str, list[CaseResult]] = defaultdict(list)
    for item in results:
        by_case[item.case_id].append(item)
    return tuple(_check(demand, by_case) for demand in suite.must_pass)


def _check(demand: MustPass, by_case: Mapping[str, Sequence[CaseResult]]) -> Check:
    kept, missed = 0, []
    for case_id, answers in by_case.items():
        scores = [item.scores.get(demand.score) for item in answers if item.result.failure is None]
        if len(scores) == len(answers) and all(_says_nothing(score) for score in scores):
            continue
        values = [score.value for score in scores if score is not None and score.value is not None]
        if len(values) == len(answers) and min(values) >= demand.at_least:
            kept += 1
        else:
            missed.append(case_id)
    total = kept + len(missed)
    named = ", ".join(missed[:_NAMED]) + (f" and {len(missed) - _NAMED} more" if len(missed) > _NAMED else "")
    if missed:
        explanation = f"{len(missed)} of {total} cases that went wrong before go wrong again: {named}"
    else:
        explanation = f"each of the {total} cases that went wrong before is right"
    return Check(
        kind="must_pass",
        metric=Metric(
            name=demand.score,
            unit=Unit.RATE,
            higher_is_better=True,
            value=kept / total if total else None,
            low=None,
            high=None,
            n=total,
            method="each case",
        ),
        bound=1.0,
        verdict=Verdict.FAIL if missed else Verdict.PASS,
        reason=demand.reason,
        explanation=explanation,
    )


def _says_nothing(score: Score | None) -> bool:
    return score is None or score.value is None
