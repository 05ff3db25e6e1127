"""Kinds computed from the times of requests with live model calls: a quantile, and the share inside the pair's deadline.

Each turn of a conversation is a request. The conversation is drawn, not the turn: slow turns come together.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from eval.spine.suite import MetricSpec
from eval.verdict.kinds.case_values import share_interval
from eval.verdict.kinds.kind import (
    ArmAnswers,
    Axis,
    ComparedAnswers,
    Difference,
    Latencies,
    Measured,
    MetricKind,
    live_latencies,
)
from figures.stats import Interval, percentile_interval, quantile_draws, quantile_interval

_UNMATCHED = "not both were called live in this run; run with --fresh"
_APART = "the two were not called in turn, so their loads may differ; run with --fresh"
_NO_CALLS = "one of the two calls no model"


def _measured(interval: Interval | None, latencies: Latencies, *, best: float) -> Measured:
    """Return the figure; on a machine that was short of CPU it may be as good as ``best``, since that makes no call faster."""
    if interval is not None and latencies.starved:
        low, high = (best, interval.high) if best < interval.value else (interval.low, best)
        interval = replace(interval, low=low, high=high, method=latencies.starved)
    return Measured(interval=interval, note=latencies.note)


class LatencyQuantile(MetricKind):
    """A quantile of the requests' times in ms."""

    name = "latency"
    axis: ClassVar[Axis] = "latency"
    relative = True

    def measure(self, spec: MetricSpec, answers: ArmAnswers) -> Measured:
        """Return the quantile with its interval."""
        latencies = answers.latencies
        if not latencies.count:
            return Measured(interval=None, note=latencies.note)
        interval = quantile_interval(
            latencies.table(), spec.quantile, seed=answers.suite.seed, confidence=answers.confidence
        )
        return _measured(interval, latencies, best=0.0)

    def compare(self, spec: MetricSpec, answers: ComparedAnswers) -> Difference | None:
        """Return the change as a share of production's quantile; only a gated quantile has a note if it cannot be compared."""
        found = self._change(spec, answers)
        return None if found.interval is None and spec.name not in answers.gated else found

    def _change(self, spec: MetricSpec, answers: ComparedAnswers) -> Difference:
        if answers.timing == "no calls":
            return Difference(interval=None, note=_NO_CALLS, comparable=False)
        minimum, seed = answers.suite.minimum_latency_calls, answers.suite.seed
        sides = [live_latencies(side, deadline_ms=0, minimum=minimum) for side in (answers.ours, answers.theirs)]
        both = [name for name in sides[0].by_case if name in sides[1].by_case]
        if any(side.measured_in is not None or side.count < minimum for side in sides):
            return Difference(interval=None, note=_UNMATCHED)
        if answers.timing == "apart":
            return Difference(interval=None, note=_APART)
        if starved := sides[0].starved or sides[1].starved:
            return Difference(interval=None, note=starved)
        tables = [side.table(both) for side in sides]
        draws = [quantile_draws(table, spec.quantile, seed=seed) for table in tables]
        values = [float(np.nanquantile(table, spec.quantile)) for table in tables]
        change, drawn = values[0] / values[1] - 1, draws[0] / draws[1] - 1
        return Difference(interval=percentile_interval(change, drawn, len(both), confidence=answers.confidence))


class OnTimeRate(MetricKind):
    """The share of live answers inside the pair's deadline."""

    name = "on_time"
    yes_or_no = True

    def measure(self, spec: MetricSpec, answers: ArmAnswers) -> Measured:
        """Return the share with Wilson's interval."""
        latencies = answers.latencies
        shares = np.array(list(latencies.on_time.values()))
        return _measured(share_interval(shares, answers, latencies.most_of_a_case), latencies, best=1.0)

    def compare(self, spec: MetricSpec, answers: ComparedAnswers) -> Difference | None:
        """Return None, because the latencies are compared instead."""
        return None
