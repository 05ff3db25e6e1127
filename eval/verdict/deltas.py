"""Paired differences between two arms' answers to the same cases, with intervals, tests, and what so many cases can show."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from eval.cases import Case
from eval.results import CaseResult
from eval.suite import MetricSpec, Suite
from eval.verdict.metrics import (
    bounded_mean_interval,
    case_means,
    corpus_of,
    has_text,
    known,
    live_latencies,
    metric_of,
)
from eval.verdict.paired import (
    Test,
    cases_needed,
    cases_needed_for_rate,
    detectable,
    detectable_rate,
    difference_interval,
    mcnemar,
    randomisation_test,
    rate_difference_interval,
)
from eval.verdict.pooled import pooled_difference
from figures.metric import Metric, Unit
from figures.stats import CONFIDENCE, Floats, Interval, Statistic, percentile_interval, quantile_draws, resample_weights

# Whether the two arms' calls met the same load: made in turn in this run, at different times, or one of them makes none.
Timing = Literal["in turn", "apart", "no calls"]
_UNMATCHED = "not both were called live in this run; run with --fresh"
_APART = "the two were not called in turn, so their load may differ; run with --fresh"
_NO_CALLS = "one of the two calls no model"
_FREE = "production's answers cost nothing"


def build_deltas(
    suite: Suite,
    cases: Mapping[str, Case],
    candidate: Sequence[CaseResult],
    production: Sequence[CaseResult],
    *,
    timing: Timing = "apart",
    confidence: float = CONFIDENCE,
) -> dict[str, Metric]:
    """Return candidate minus production on the cases that both answered; positive is better whatever the metric's direction.

    Latency and cost are differences relative to production's figure (``Unit.CHANGE``). Latency is compared only where both were
    called live in this run, in turn, so that both met the same load; where something stands in the way, the metric has no value
    and a note that says what.
    """
    shared = {item.case_id for item in candidate} & {item.case_id for item in production}
    ours = [item for item in candidate if item.case_id in shared]
    theirs = [item for item in production if item.case_id in shared]
    margins = {gate.metric: gate.margin for gate in suite.no_worse}
    deltas: dict[str, Metric] = {}
    for spec in suite.metrics:
        if spec.kind == "on_time":
            continue  # follows from the latencies
        test: Test | None = None
        difference: Floats | None = None
        interval: Interval | None = None
        note = ""
        if spec.kind == "corpus":
            interval, test = _corpus_difference(spec, ours, theirs, cases, suite.seed, confidence)
        elif spec.kind == "pooled":
            pool = suite.pools[spec.score]
            interval = pooled_difference(ours, theirs, pool, cases, seed=suite.seed, confidence=confidence)
        elif spec.kind == "latency":
            interval, note = _latency_change(spec, ours, theirs, suite, timing, confidence)
            if interval is None and spec.name not in margins:
                continue  # the gated quantile says why
        elif spec.kind == "cost":
            interval, note = _cost_change(spec, ours, theirs, suite.seed, confidence)
        else:
            our_means, their_means = case_means(spec, ours), case_means(spec, theirs)
            difference = known({name: our_means[name] - their_means[name] for name in our_means})
            if len(difference) and spec.kind in ("rate", "answered"):
                interval = rate_difference_interval(difference, confidence=confidence)
                test = mcnemar(difference)
            elif len(difference):
                interval = bounded_mean_interval(spec, difference, suite.seed, confidence, lowest=-1.0)
        if interval is not None and not spec.higher_is_better:
            interval = _turned(interval)
        mde, needed = _reach(spec, interval, difference, margins.get(spec.name), confidence)
        deltas[spec.name] = metric_of(
            spec,
            interval,
            len(shared) - (interval.n if interval else 0),
            note=f"not compared: {note}" if note else "",
            comparable=note not in (_NO_CALLS, _FREE),
            confidence=confidence,
            unit=Unit.CHANGE if spec.kind in ("latency", "cost") else None,
            test=test,
            mde=mde,
            needed_n=needed,
        )
    return deltas


def _reach(
    spec: MetricSpec, interval: Interval | None, difference: Floats | None, margin: float | None, confidence: float
) -> tuple[float | None, int | None]:
    """Return the smallest drop that the cases show, and how many cases show ``margin``."""
    if interval is None:
        return None, None
    if difference is not None and spec.kind in ("rate", "answered"):
        detected: float | None = detectable_rate(difference, interval.n, confidence=confidence)
        needed = cases_needed_for_rate(difference, margin, confidence=confidence) if margin else None
        return detected, needed
    detected = detectable(interval, confidence=confidence)
    return detected, cases_needed(interval.n, detected, margin) if margin and detected is not None else None


def _turned(interval: Interval) -> Interval:
    low = None if interval.high is None else -interval.high
    high = None if interval.low is None else -interval.low
    return Interval(value=-interval.value, low=low, high=high, n=interval.n, method=interval.method)


def _latency_change(
    spec: MetricSpec,
    ours: Sequence[CaseResult],
    theirs: Sequence[CaseResult],
    suite: Suite,
    timing: Timing,
    confidence: float,
) -> tuple[Interval | None, str]:
    if timing == "no calls":
        return None, _NO_CALLS
    sides = [live_latencies(side, deadline_ms=0, minimum=suite.minimum_latency_calls) for side in (ours, theirs)]
    both = [name for name in sides[0].by_case if name in sides[1].by_case]
    if any(side.measured_in is not None or side.count < suite.minimum_latency_calls for side in sides):
        return None, _UNMATCHED
    if timing == "apart":
        return None, _APART
    tables = [side.table(both) for side in sides]
    draws = [quantile_draws(table, spec.quantile, seed=suite.seed) for table in tables]
    values = [float(np.nanquantile(table, spec.quantile)) for table in tables]
    change = percentile_interval(values[0] / values[1] - 1, draws[0] / draws[1] - 1, len(both), confidence=confidence)
    return change, ""


def _cost_change(
    spec: MetricSpec, ours: Sequence[CaseResult], theirs: Sequence[CaseResult], seed: int, confidence: float
) -> tuple[Interval | None, str]:
    costs = [case_means(spec, side) for side in (ours, theirs)]
    both = [name for name, cost in costs[0].items() if not math.isnan(cost + costs[1][name])]
    if not both:
        return None, ""
    candidate, baseline = (np.array([side[name] for name in both]) for side in costs)
    if float((resample_weights(len(both), seed) @ baseline).min()) <= 0:  # nothing to be a share of
        return None, _FREE

    def total(values: Floats) -> Statistic:
        return lambda weights: weights @ values

    interval = difference_interval(
        total(candidate), total(baseline), len(both), seed=seed, confidence=confidence, relative=True
    )
    return interval, ""


def _corpus_difference(
    spec: MetricSpec,
    ours: Sequence[CaseResult],
    theirs: Sequence[CaseResult],
    cases: Mapping[str, Case],
    seed: int,
    confidence: float,
) -> tuple[Interval | None, Test | None]:
    sides = [[item for item in side if has_text(item, cases)] for side in (ours, theirs)]
    both = {item.case_id for item in sides[0]} & {item.case_id for item in sides[1]}
    if not both:
        return None, None
    # One order of cases on both sides: statistics are paired by position.
    order = {case_id: place for place, case_id in enumerate(cases)}
    kept = [sorted((i for i in side if i.case_id in both), key=lambda i: order[i.case_id]) for side in sides]
    a, b = (corpus_of(spec, side, cases) for side in kept)
    interval = difference_interval(a.weighted_scores, b.weighted_scores, len(both), seed=seed, confidence=confidence)
    return interval, randomisation_test(a.statistics, b.statistics, a.from_sums, seed=seed)
