"""The must-pass set: each of its cases once went wrong in service; a pair that gets one wrong again is not released."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from eval.results import CaseResult, Check, Score, Verdict
from eval.suite import MustPass, Suite
from figures.metric import Metric, Unit

_NAMED = 5


def must_pass_checks(suite: Suite, results: Sequence[CaseResult]) -> tuple[Check, ...]:
    """Return a check for each of the suite's demands on the must-pass set; none without cases.

    No interval: the set is no sample of anything. It is what happened, and its cases are asked one by one. Of several answers to
    one case the worst counts. An answer that failed fails; a score that a case cannot have does not.
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
