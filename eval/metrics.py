"""Turns one arm's case results into metrics with intervals, and two arms' into paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.cases import Case
from eval.results import CaseResult, Metric, Unit
from eval.scorers.text import CorpusMetric
from eval.stats import (
    Floats,
    Interval,
    Statistic,
    difference_interval,
    mean_interval,
    percentile_interval,
    quantile_interval,
    rate_interval,
    resample_indices,
)
from eval.suite import MetricSpec, Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Model-call times in ms of answers that were fetched live, with the run that fetched them; never of cache hits."""

    values: Floats
    on_time: int
    measured_in: str | None  # None: this run

    @property
    def note(self) -> str:
        """What a reader of the figure must know."""
        return "" if self.measured_in is None else f"measured in run {self.measured_in}; no live calls in this one"


def live_latencies(results: Sequence[CaseResult], *, deadline_ms: int, minimum: int) -> Latencies:
    """Return this run's live latencies, or, when it made too few, those of the newest earlier run with ``minimum`` of them."""
    by_run: dict[str | None, list[float]] = {}
    for item in results:
        if item.result.failure is None and item.result.arm != "none":
            by_run.setdefault(None if item.live else item.measured_in, []).append(item.result.model_ms)
    best: str | None = None
    if len(by_run.get(None, [])) < minimum:
        enough = [run for run, values in by_run.items() if run is not None and len(values) >= minimum]
        best = max(enough, default=None)  # run ids start with their time
    values = by_run.get(best, [])
    late = sum(1 for value in values if value > deadline_ms)
    return Latencies(values=np.array(values, dtype=float), on_time=len(values) - late, measured_in=best)


def score_vector(results: Sequence[CaseResult], score: str) -> Floats:
    """Return one value per case, NaN where unscored; shape ``(n_cases,)``."""
    values = [item.scores[score].value if score in item.scores else None for item in results]
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def build_metrics(
    suite: Suite, cases: Mapping[str, Case], results: Sequence[CaseResult], *, deadline_ms: int
) -> dict[str, Metric]:
    """Return every metric of ``suite`` for one arm's results, in the suite's order."""
    latencies = live_latencies(results, deadline_ms=deadline_ms, minimum=suite.minimum_latency_calls)
    metrics: dict[str, Metric] = {}
    for spec in suite.metrics:
        unscored, note = 0, ""
        interval: Interval | None
        if spec.kind == "corpus":
            usable = [
                item
                for item in results
                if item.result.output is not None and cases[item.case_id].expectations.references
            ]
            unscored = sum(1 for item in results if cases[item.case_id].expectations.references) - len(usable)
            interval = _corpus_interval(spec, usable, cases, suite.seed)
        elif spec.kind in ("mean", "rate"):
            values = score_vector(results, spec.score)
            scored = values[~np.isnan(values)]
            unscored = sum(1 for item in results if item.result.failure is not None)
            interval = _score_interval(spec, scored, suite.seed)
        elif spec.kind == "judge":
            values = score_vector(results, spec.score)
            scored = values[~np.isnan(values)]
            unscored = len(values) - len(scored)
            interval = mean_interval(scored, seed=suite.seed) if len(scored) else None
        elif spec.kind == "answered":
            interval = rate_interval(sum(1 for item in results if item.result.failure is None), len(results))
        elif spec.kind == "latency":
            note = latencies.note
            interval = (
                quantile_interval(latencies.values, spec.quantile, seed=suite.seed) if len(latencies.values) else None
            )
        elif spec.kind == "on_time":
            note = latencies.note
            interval = rate_interval(latencies.on_time, len(latencies.values)) if len(latencies.values) else None
        else:
            costs = _costs(spec, results)
            unscored = len(results) - len(costs)
            interval = mean_interval(costs, seed=suite.seed) if len(costs) else None
        metrics[spec.name] = _metric(spec, interval, unscored, note)
    return metrics


def build_deltas(
    suite: Suite, cases: Mapping[str, Case], candidate: Sequence[CaseResult], production: Sequence[CaseResult]
) -> dict[str, Metric]:
    """Return candidate minus production on the cases that both answered; positive is better whatever the metric's direction."""
    production_by_id = {item.case_id: item for item in production}
    both = [(item, production_by_id[item.case_id]) for item in candidate if item.case_id in production_by_id]
    deltas: dict[str, Metric] = {}
    for spec in suite.metrics:
        if spec.kind in ("latency", "on_time"):
            continue  # answers of two runs or two loads of the machine are not a pair
        sign = 1.0 if spec.higher_is_better else -1.0
        interval = _delta_interval(spec, both, cases, suite.seed)
        if interval is not None and sign < 0:
            interval = Interval(value=-interval.value, low=-interval.high, high=-interval.low, n=interval.n)
        deltas[spec.name] = _metric(spec, interval, len(both) - (interval.n if interval else 0), "")
    return deltas


def _delta_interval(
    spec: MetricSpec, both: Sequence[tuple[CaseResult, CaseResult]], cases: Mapping[str, Case], seed: int
) -> Interval | None:
    if spec.kind == "corpus":
        usable = [
            (ours, theirs)
            for ours, theirs in both
            if ours.result.output is not None
            and theirs.result.output is not None
            and cases[ours.case_id].expectations.references
        ]
        if not usable:
            return None
        ours_stat = _corpus_statistic(spec, [ours for ours, _ in usable], cases)
        theirs_stat = _corpus_statistic(spec, [theirs for _, theirs in usable], cases)
        return difference_interval(ours_stat, theirs_stat, len(usable), seed=seed)
    ours_values, theirs_values = _paired_values(spec, both)
    if not len(ours_values):
        return None
    difference = ours_values - theirs_values
    index = resample_indices(len(difference), seed=seed)
    return percentile_interval(float(difference.mean()), difference[index].mean(axis=1), len(difference))


def _paired_values(spec: MetricSpec, both: Sequence[tuple[CaseResult, CaseResult]]) -> tuple[Floats, Floats]:
    sides = [[ours for ours, _ in both], [theirs for _, theirs in both]]
    if spec.kind == "answered":
        columns = [np.array([float(item.result.failure is None) for item in side]) for side in sides]
    elif spec.kind == "cost":
        columns = [np.array([_cost(spec, item) for item in side], dtype=float) for side in sides]
    else:
        columns = [score_vector(side, spec.score) for side in sides]
    ours, theirs = columns
    keep = ~(np.isnan(ours) | np.isnan(theirs))
    return ours[keep], theirs[keep]


def _score_interval(spec: MetricSpec, scored: Floats, seed: int) -> Interval | None:
    if not len(scored):
        return None
    if spec.kind == "rate":
        return rate_interval(int(scored.sum()), len(scored))
    return mean_interval(scored, seed=seed)


def _corpus_statistic(spec: MetricSpec, results: Sequence[CaseResult], cases: Mapping[str, Case]) -> Statistic:
    texts = [item.result.output or "" for item in results]
    corpus = CorpusMetric(spec.name, texts, [cases[item.case_id].expectations.references for item in results])

    return corpus.scores


def _corpus_interval(
    spec: MetricSpec, results: Sequence[CaseResult], cases: Mapping[str, Case], seed: int
) -> Interval | None:
    if not results:
        return None
    statistic = _corpus_statistic(spec, results, cases)
    value = float(statistic(np.arange(len(results))[None, :])[0])
    return percentile_interval(value, statistic(resample_indices(len(results), seed=seed)), len(results))


def _cost(spec: MetricSpec, item: CaseResult) -> float:
    if item.result.cost is None:
        return float("nan")
    return float(getattr(item.result.cost, f"{spec.score}_usd"))


def _costs(spec: MetricSpec, results: Sequence[CaseResult]) -> Floats:
    values: Floats = np.array([_cost(spec, item) for item in results if item.result.failure is None], dtype=float)
    return values[~np.isnan(values)]


def _metric(spec: MetricSpec, interval: Interval | None, unscored: int, note: str) -> Metric:
    return Metric(
        name=spec.name,
        unit=Unit(spec.unit),
        higher_is_better=spec.higher_is_better,
        value=interval.value if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=interval.n if interval else 0,
        unscored=unscored,
        note=note,
    )
