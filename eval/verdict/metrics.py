"""Turns one arm's case results into metrics with intervals.

The case is the unit: repeats of a case are averaged first, so asking a sampled model three times is not three times the cases.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eval.cases import Case
from eval.results import CaseResult
from eval.scorers.text import CorpusMetric
from eval.suite import MetricSpec, SliceFloor, Suite
from eval.verdict.paired import Test
from eval.verdict.pooled import pooled, pooled_interval
from figures.metric import Metric, Unit
from figures.stats import (
    CONFIDENCE,
    Floats,
    Interval,
    effective_cases,
    mean_interval,
    percentile_interval,
    quantile_interval,
    rate_interval,
    resample_weights,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Model-call times in ms of answers that were fetched live, with the run that fetched them; never of cache hits.

    ``by_case`` holds one time per repeat of each case.
    """

    by_case: dict[str, list[float]]
    on_time: dict[str, float]
    measured_in: str | None  # None: this run

    @property
    def count(self) -> int:
        """How many calls were timed."""
        return sum(len(values) for values in self.by_case.values())

    @property
    def note(self) -> str:
        """What a reader of the figure must know."""
        return "" if self.measured_in is None else f"measured in run {self.measured_in}; no live calls in this one"

    def table(self, case_ids: Sequence[str] | None = None) -> Floats:
        """Return the times, shape ``(n_cases, most repeats)``, NaN where a repeat was not timed."""
        rows = [self.by_case[name] for name in (self.by_case if case_ids is None else case_ids)]
        width = max((len(row) for row in rows), default=0)
        return np.array([row + [math.nan] * (width - len(row)) for row in rows], dtype=float)


def live_latencies(results: Sequence[CaseResult], *, deadline_ms: int, minimum: int) -> Latencies:
    """Return this run's live latencies, or, when it made too few, those of the newest earlier run with ``minimum`` of them."""
    by_run: dict[str | None, dict[str, list[float]]] = {}
    for item in results:
        if item.result.failure is None and item.result.arm != "none":
            run = by_run.setdefault(None if item.live else item.measured_in, {})
            run.setdefault(item.case_id, []).append(item.result.model_ms)
    sizes = {run: sum(map(len, values.values())) for run, values in by_run.items()}
    best: str | None = None
    if sizes.get(None, 0) < minimum:
        # Run ids start with their time.
        best = max((run for run, size in sizes.items() if run is not None and size >= minimum), default=None)
    values = by_run.get(best, {})
    on_time = {name: sum(ms <= deadline_ms for ms in times) / len(times) for name, times in values.items()}
    return Latencies(by_case=values, on_time=on_time, measured_in=best)


def build_metrics(
    suite: Suite,
    cases: Mapping[str, Case],
    results: Sequence[CaseResult],
    *,
    deadline_ms: int,
    confidence: float = CONFIDENCE,
) -> dict[str, Metric]:
    """Return every metric of ``suite`` for one arm's results, in the suite's order."""
    latencies = live_latencies(results, deadline_ms=deadline_ms, minimum=suite.minimum_latency_calls)
    repeats = _repeats(results)
    metrics: dict[str, Metric] = {}
    for spec in suite.metrics:
        unscored, note = 0, ""
        interval: Interval | None
        if spec.kind == "corpus":
            usable = [item for item in results if has_text(item, cases)]
            wanted = sum(1 for item in results if cases[item.case_id].expectations.references)
            unscored = _in_cases(wanted - len(usable), results)
            interval = _corpus_interval(spec, usable, cases, suite.seed, confidence)
        elif spec.kind == "pooled":
            unscored = _in_cases(sum(1 for item in results if item.result.failure is not None), results)
            side = pooled(suite.pools[spec.score], results, cases)
            interval = pooled_interval(side, seed=suite.seed, confidence=confidence)
        elif spec.kind == "latency":
            note = latencies.note
            interval = _latency_interval(latencies, spec.quantile, suite.seed, confidence)
        elif spec.kind == "on_time":
            note = latencies.note
            interval = _score_interval(
                spec, np.array(list(latencies.on_time.values())), suite.seed, confidence, repeats
            )
        else:
            scored = known(case_means(spec, results))
            if spec.kind in ("cost", "judge"):  # a judge may have no word on an answer that is there
                unscored = len({item.case_id for item in results}) - len(scored)
            elif spec.kind != "answered":
                unscored = _in_cases(sum(1 for item in results if item.result.failure is not None), results)
            interval = _score_interval(spec, scored, suite.seed, confidence, repeats)
        metrics[spec.name] = metric_of(
            spec,
            interval,
            unscored,
            note=note,
            confidence=confidence,
            spread=_between_repeats(spec, results, cases, suite),
        )
    return metrics


def build_slice_metrics(
    suite: Suite, cases: Mapping[str, Case], results: Sequence[CaseResult], *, confidence: float = CONFIDENCE
) -> dict[SliceFloor, Metric]:
    """Return the metric of each of the suite's slice floors over the cases of its slice."""
    found = {}
    for floor in suite.slice_floors:
        spec = suite.metric(floor.metric)
        inside = [item for item in results if cases[item.case_id].slices.get(floor.slice) == floor.value]
        unscored = _in_cases(sum(1 for item in inside if item.result.failure is not None), inside)
        interval = _score_interval(spec, known(case_means(spec, inside)), suite.seed, confidence, _repeats(inside))
        found[floor] = metric_of(spec, interval, unscored, confidence=confidence)
    return found


def has_text(item: CaseResult, cases: Mapping[str, Case]) -> bool:
    """Return whether the answer can be compared with references."""
    return item.result.output is not None and bool(cases[item.case_id].expectations.references)


def _repeats(results: Sequence[CaseResult]) -> int:
    return len({item.repeat for item in results})


def _in_cases(answers: int, results: Sequence[CaseResult]) -> int:
    """Return how many cases ``answers`` of ``results`` are worth, rounded up: one of three repeats is a third of a case."""
    return math.ceil(answers * len({item.case_id for item in results}) / max(len(results), 1))


def _quantity(spec: MetricSpec, item: CaseResult) -> float:
    """Return what ``spec`` averages over cases, NaN where the answer has none."""
    if spec.kind == "answered":
        return float(item.result.failure is None)
    if spec.kind == "cost":
        cost = item.result.cost
        return math.nan if cost is None or item.result.failure else float(getattr(cost, f"{spec.score}_usd"))
    score = item.scores.get(spec.score)
    return math.nan if score is None or score.value is None else score.value


def case_means(spec: MetricSpec, results: Sequence[CaseResult]) -> dict[str, float]:
    """Return the mean over each case's repeats that have a value, NaN where none has."""
    values: dict[str, list[float]] = {}
    for item in results:
        kept = values.setdefault(item.case_id, [])
        value = _quantity(spec, item)
        if not math.isnan(value):
            kept.append(value)
    return {name: sum(kept) / len(kept) if kept else math.nan for name, kept in values.items()}


def known(means: Mapping[str, float]) -> Floats:
    """Return the values that are there, in case order."""
    return np.array([value for value in means.values() if not math.isnan(value)], dtype=float)


def _score_interval(spec: MetricSpec, scored: Floats, seed: int, confidence: float, repeats: int) -> Interval | None:
    if not len(scored):
        return None
    if spec.kind in ("rate", "answered", "on_time"):
        # Rounding must not lift a sum of thirds above n.
        successes = min(float(scored.sum()), float(len(scored)))
        return rate_interval(
            successes, len(scored), confidence=confidence, effective_n=effective_cases(scored, repeats)
        )
    return bounded_mean_interval(spec, scored, seed, confidence, lowest=0.0)


def bounded_mean_interval(spec: MetricSpec, values: Floats, seed: int, confidence: float, *, lowest: float) -> Interval:
    """Return the mean's interval; a rate's values, or their differences, lie between ``lowest`` and 1."""
    bounds = (lowest, 1.0) if spec.unit is Unit.RATE else None
    return mean_interval(values, seed=seed, confidence=confidence, bounds=bounds)


def _latency_interval(latencies: Latencies, quantile: float, seed: int, confidence: float) -> Interval | None:
    if not latencies.count:
        return None
    return quantile_interval(latencies.table(), quantile, seed=seed, confidence=confidence)


@lru_cache(maxsize=64)  # counting n-grams is the dear part, and metrics, differences and each further look share it
def _counted(
    name: str, outputs: tuple[str, ...], references: tuple[tuple[str, ...], ...], case_ids: tuple[str, ...]
) -> CorpusMetric:
    return CorpusMetric(name, outputs, references, case_ids)


def corpus_of(spec: MetricSpec, results: Sequence[CaseResult], cases: Mapping[str, Case]) -> CorpusMetric:
    """Return the corpus figure of ``results`` (all with text and references), counted once per process."""
    return _counted(
        spec.name,
        tuple(item.result.output or "" for item in results),
        tuple(cases[item.case_id].expectations.references for item in results),
        tuple(item.case_id for item in results),
    )


def _corpus_interval(
    spec: MetricSpec, results: Sequence[CaseResult], cases: Mapping[str, Case], seed: int, confidence: float
) -> Interval | None:
    if not results:
        return None
    corpus = corpus_of(spec, results, cases)
    n = len(corpus.statistics)
    value = float(corpus.weighted_scores(np.ones((1, n)))[0])
    draws = corpus.weighted_scores(resample_weights(n, seed))
    return percentile_interval(value, draws, n, confidence=confidence)


def _between_repeats(
    spec: MetricSpec, results: Sequence[CaseResult], cases: Mapping[str, Case], suite: Suite
) -> float | None:
    """Return the standard deviation of the figure from repeat to repeat; None for one repeat and for latency."""
    repeats = sorted({item.repeat for item in results})
    if len(repeats) < 2 or spec.kind in ("latency", "on_time"):
        return None
    figures = []
    for repeat in repeats:
        once = [item for item in results if item.repeat == repeat]
        if spec.kind == "corpus":
            usable = [item for item in once if has_text(item, cases)]
            if usable:
                corpus = corpus_of(spec, usable, cases)
                figures.append(float(corpus.weighted_scores(np.ones((1, len(corpus.statistics))))[0]))
        elif spec.kind == "pooled":
            found = pooled_interval(pooled(suite.pools[spec.score], once, cases), seed=suite.seed)
            figures += [] if found is None else [found.value]
        elif len(values := known(case_means(spec, once))):
            figures.append(float(values.mean()))
    return float(np.std(figures, ddof=1)) if len(figures) > 1 else None


def metric_of(
    spec: MetricSpec,
    interval: Interval | None,
    unscored: int,
    *,
    confidence: float,
    note: str = "",
    unit: Unit | None = None,
    spread: float | None = None,
    test: Test | None = None,
    mde: float | None = None,
    needed_n: int | None = None,
    comparable: bool = True,
) -> Metric:
    """Return ``interval`` (None: nothing was scored) as the metric that ``spec`` describes."""
    return Metric(
        name=spec.name,
        unit=unit or Unit(spec.unit),
        higher_is_better=spec.higher_is_better,
        value=interval.value if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=interval.n if interval else 0,
        unscored=unscored,
        note=note,
        method=interval.method if interval else "",
        confidence=confidence,
        between_repeat_sd=spread,
        p_value=test.p_value if test else None,
        test=test.name if test else "",
        mde=mde,
        needed_n=needed_n,
        comparable=comparable,
    )
