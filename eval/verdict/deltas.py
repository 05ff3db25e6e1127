"""Paired differences between two pairs on the same cases, with intervals, tests, and the smallest detectable drop."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from eval.spine.cases import Case
from eval.spine.results import CaseResult
from eval.spine.suite import MetricSpec, Suite
from eval.verdict.kinds import kind_of
from eval.verdict.kinds.kind import CallOrder, ComparedAnswers, Difference
from eval.verdict.metrics import metric_of
from figures.metric import Metric, Unit
from figures.stats import CONFIDENCE


def build_deltas(
    suite: Suite,
    cases: Mapping[str, Case],
    candidate: Sequence[CaseResult],
    production: Sequence[CaseResult],
    *,
    timing: CallOrder = "apart",
    confidence: float = CONFIDENCE,
) -> dict[str, Metric]:
    """Return candidate minus production on the cases that both answered; positive is better for every metric.

    Corpus figures, latency and cost are differences relative to production's figure (``Unit.CHANGE``). Latency is compared only
    if both were called live and in turn in this run, so that both met the same load. A metric that cannot be compared has no
    value and a note with the reason.
    """
    shared = {item.case_id for item in candidate} & {item.case_id for item in production}
    margins = {gate.metric: gate.margin for gate in suite.no_worse}
    answers = ComparedAnswers(
        suite=suite,
        cases=cases,
        ours=[item for item in candidate if item.case_id in shared],
        theirs=[item for item in production if item.case_id in shared],
        timing=timing,
        confidence=confidence,
        gated=frozenset(margins),
    )
    deltas: dict[str, Metric] = {}
    for spec in suite.metrics:
        difference = kind_of(spec).compare(spec, answers)
        if difference is not None:
            deltas[spec.name] = _delta(
                spec, difference, shared=len(shared), margin=margins.get(spec.name), confidence=confidence
            )
    return deltas


def _delta(spec: MetricSpec, difference: Difference, *, shared: int, margin: float | None, confidence: float) -> Metric:
    found = difference if spec.higher_is_better else difference.turned()
    mde, needed_n = found.reach(margin, confidence)
    metric = metric_of(spec, found.interval, confidence=confidence)
    return replace(
        metric,
        unit=Unit.CHANGE if kind_of(spec).relative else Unit.RATE if metric.unit is Unit.EVENTS else metric.unit,
        unscored=(shared if difference.to_compare is None else difference.to_compare) - metric.n,
        note=f"not compared: {found.note}" if found.note else "",
        comparable=found.comparable,
        p_value=found.test.p_value if found.test else None,
        test=found.test.name if found.test else "",
        mde=mde,
        needed_n=needed_n,
    )
