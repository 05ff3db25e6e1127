"""Compares two independent samples of one metric: the difference with its interval, and the result."""

import math
from dataclasses import dataclass, replace

from figures.stats import Interval
from reports.compare.outcomes import ComparisonResult
from reports.read.metrics import SMALLEST, WeeklyMetric
from reports.read.samples import Sample, p_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """``ours`` against ``theirs``; ``difference`` is ours minus theirs, as a share of theirs for a relative metric.

    ``difference`` has the 95% interval; that of a contrast called worse or better is wider, because it allows for its selection
    among ``compared`` ones.
    """

    metric: WeeklyMetric
    ours: Interval
    theirs: Interval
    difference: Interval | None
    p: float | None
    result: ComparisonResult = ComparisonResult.NONE
    compared: int = 1
    level: float = 0.05  # the level at which the hypothesis "no difference" was rejected, if it was

    @property
    def tested(self) -> bool:
        """Whether the contrast belongs to a family of tests."""
        return self.p is not None


def contrast(metric: WeeklyMetric, ours: Sample | None, theirs: Sample | None) -> Contrast | None:
    """Return the contrast, its result still open unless a side is too small; None where a side has no data."""
    if ours is None or theirs is None or ours.n == 0 or theirs.n == 0:
        return None
    few = min(ours.n, theirs.n) < SMALLEST
    a, b = ours.interval(), theirs.interval()
    found = difference(metric, a, b)
    return Contrast(
        metric=metric,
        ours=a,
        theirs=b,
        difference=found,
        p=None if few or found is None else p_value(ours, theirs),
        result=ComparisonResult.TOO_FEW if few else ComparisonResult.NONE,
    )


def difference(metric: WeeklyMetric, ours: Interval, theirs: Interval) -> Interval | None:
    """Return ours minus theirs, computed from the two intervals; None for a relative metric with a baseline of 0.

    MOVER (Zou & Donner 2008): for rates with Wilson's intervals this is Newcombe's method 10 (Newcombe 1998); relative
    differences are computed on logarithms.
    """
    n = min(ours.n, theirs.n)
    if not metric.relative:
        return _mover(ours, theirs, n)
    if theirs.value <= 0:
        return None
    if ours.value <= 0:
        return Interval(value=-1.0, low=None, high=None, n=n, method="all of it")
    logs = _mover(_log(ours), _log(theirs), n)
    low, high = (None if end is None else math.expm1(end) for end in (logs.low, logs.high))
    return replace(logs, value=math.expm1(logs.value), low=low, high=high)


def _log(side: Interval) -> Interval:
    low = math.log(side.low) if side.low is not None and side.low > 0 else None
    high = math.log(side.high) if side.high is not None and side.high > 0 else None
    return replace(side, value=math.log(side.value), low=low, high=high)


def _mover(ours: Interval, theirs: Interval, n: int) -> Interval:
    value = ours.value - theirs.value
    low = high = None
    if ours.low is not None and theirs.high is not None:
        low = value - math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    if ours.high is not None and theirs.low is not None:
        high = value + math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Interval(value=value, low=low, high=high, n=n, method="MOVER")


def with_result(found: Contrast, *, significant: bool) -> Contrast:
    """Return the contrast with its result.

    At the gate, the burden of proof is on the pair, which must show that it is no worse by more than the margin. In production,
    it is on the alarm: "worse" needs a difference that is significant within its family, and an estimate past the margin. "No
    worse" follows the gate's rule: the whole interval clears the margin.
    """
    metric, between = found.metric, found.difference
    if found.result is ComparisonResult.TOO_FEW:
        return found
    if metric.margin is None:
        return replace(found, result=ComparisonResult.NONE)
    if between is None:
        return replace(found, result=ComparisonResult.INCONCLUSIVE)
    better = turned(metric, between)
    value, low, high = better.value, better.low, better.high
    if significant and value <= -metric.margin and (high is None or high < 0):
        result = ComparisonResult.WORSE
    elif significant and value >= metric.margin and (low is None or low > 0):
        result = ComparisonResult.BETTER
    elif low is not None and low > -metric.margin:
        result = ComparisonResult.NO_WORSE
    else:
        result = ComparisonResult.INCONCLUSIVE
    return replace(found, result=result)


def includes_zero(between: Interval | None) -> bool:
    """Return whether the interval of a difference has both ends and zero between them."""
    if between is None or between.low is None or between.high is None:
        return False
    return between.low <= 0 <= between.high


def turned(metric: WeeklyMetric, between: Interval) -> Interval:
    """Return a difference with the sign turned so that positive is better."""
    if metric.higher_is_better:
        return between
    low = None if between.high is None else -between.high
    high = None if between.low is None else -between.low
    return replace(between, value=-between.value, low=low, high=high)


def promise_kept(metric: WeeklyMetric, production: Interval, promised: Interval) -> ComparisonResult:
    """Return whether production keeps a promised figure, by the gate's rule: the whole interval against the margin."""
    between = difference(metric, production, promised)
    assert metric.margin is not None
    if min(production.n, promised.n) < SMALLEST:
        return ComparisonResult.TOO_FEW
    if between is None:
        return ComparisonResult.INCONCLUSIVE
    better = turned(metric, between)
    low, high = better.low, better.high
    if high is not None and high < -metric.margin:
        return ComparisonResult.WORSE
    if low is not None and low > metric.margin:
        return ComparisonResult.BETTER
    return ComparisonResult.NO_WORSE if low is not None and low > -metric.margin else ComparisonResult.INCONCLUSIVE


def against_target(metric: WeeklyMetric, side: Interval) -> ComparisonResult:
    """Return MET or MISSED if the whole interval is on that side of the target, otherwise INCONCLUSIVE; NONE without a target."""
    if metric.target is None:
        return ComparisonResult.NONE
    if side.n < SMALLEST:
        return ComparisonResult.TOO_FEW
    bad, best = (side.low, side.high) if metric.higher_is_better else (side.high, side.low)
    sign = 1 if metric.higher_is_better else -1
    if bad is not None and sign * (bad - metric.target) > 0:
        return ComparisonResult.MET
    if best is not None and sign * (best - metric.target) < 0:
        return ComparisonResult.MISSED
    return ComparisonResult.INCONCLUSIVE
