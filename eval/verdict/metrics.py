"""Turns one arm's case results into metrics with intervals.

The case is the unit: repeats of a case are averaged first, so three answers per case do not triple n.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from eval.spine.cases import Case
from eval.spine.results import CaseResult
from eval.spine.suite import MetricSpec, SliceFloor, Suite
from eval.verdict.kinds import kind_of
from eval.verdict.kinds.kind import ArmAnswers
from figures.metric import Metric, Unit
from figures.stats import CONFIDENCE, Interval


def build_metrics(
    suite: Suite,
    cases: Mapping[str, Case],
    results: Sequence[CaseResult],
    *,
    deadline_ms: int,
    confidence: float = CONFIDENCE,
) -> dict[str, Metric]:
    """Return every metric of ``suite`` for one arm's results, in the suite's order."""
    answers = ArmAnswers(suite=suite, cases=cases, results=results, deadline_ms=deadline_ms, confidence=confidence)
    once = [answers.of_repeat(repeat) for repeat in answers.repeats]
    return {
        spec.name: replace(metric_over(spec, answers), between_repeat_sd=_between_repeats(spec, once))
        for spec in suite.metrics
    }


def build_slice_metrics(
    suite: Suite,
    cases: Mapping[str, Case],
    results: Sequence[CaseResult],
    *,
    deadline_ms: int,
    confidence: float = CONFIDENCE,
) -> dict[SliceFloor, Metric]:
    """Return, for each of the suite's slice floors, its metric over the cases of the slice."""
    found = {}
    for floor in suite.slice_floors:
        inside = [item for item in results if cases[item.case_id].slices.get(floor.slice) == floor.value]
        answers = ArmAnswers(suite=suite, cases=cases, results=inside, deadline_ms=deadline_ms, confidence=confidence)
        found[floor] = metric_over(suite.metric(floor.metric), answers)
    return found


def metric_over(spec: MetricSpec, answers: ArmAnswers) -> Metric:
    """Return the metric that ``spec`` defines over ``answers``."""
    measured = kind_of(spec).measure(spec, answers)
    metric = metric_of(spec, measured.interval, confidence=answers.confidence)
    return replace(metric, unscored=measured.unscored, note=measured.note)


def _between_repeats(spec: MetricSpec, once: Sequence[ArmAnswers]) -> float | None:
    """Return the standard deviation of the figure from repeat to repeat; None for one repeat and for latency."""
    if len(once) < 2:
        return None
    figures = [value for answers in once if (value := kind_of(spec).value_of(spec, answers)) is not None]
    return float(np.std(figures, ddof=1)) if len(figures) > 1 else None


def metric_of(spec: MetricSpec, interval: Interval | None, *, confidence: float = CONFIDENCE) -> Metric:
    """Return ``interval`` (None: no case was scored) as the metric that ``spec`` describes."""
    return Metric(
        name=spec.name,
        unit=Unit(spec.unit),
        higher_is_better=spec.higher_is_better,
        value=interval.value if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=interval.n if interval else 0,
        method=interval.method if interval else "",
        confidence=confidence,
    )
