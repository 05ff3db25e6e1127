"""The day on which a change began that a comparison has found: for every metric, pair and slice, with its 95% interval.

The change itself was tested, so the best split of the daily series is its onset. An own scan of a few lines, because the days'
numbers of answers differ, and the libraries for change points neither weight days nor give an interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from figures.arrays import Floats
from reports.compare.baselines import AliasMove
from reports.compare.change_points import ChangePoint, with_releases
from reports.compare.comparisons import Comparison
from reports.read.counts import ALL
from reports.read.data import WeekData
from reports.read.metrics import SMALLEST
from reports.read.queries import BASELINE_WEEKS, LATENCY_STEPS

# A day is a likely onset down to this log-likelihood below the best one's. Half the chi-squared quantile, 1.92, holds for smooth
# parameters and is too narrow for a day.
LIKELY = 3.0
# Days from the best split to the release that it blames, at most: an interval of weeks is no evidence against a release in it.
CLOSE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySeries:
    """A mean on each local day, of ``sizes`` answers, and the variance of a single answer."""

    days: Floats
    means: Floats
    sizes: Floats
    variance: float


def onset_of(data: WeekData, item: Comparison, releases: Sequence[AliasMove]) -> ChangePoint | None:
    """Return when ``item``'s change began, with the release that coincides; None where no day has enough answers on both sides.

    A candidate that is worse than production on the same days is so since its first answer.
    """
    metric, found = item.contrast.metric, item.contrast
    if item.baseline.against == "production beside it":
        first = data.pairs.loc[data.pairs["pair_digest"] == item.baseline.digest, "first_at"].min()
        day = data.week.day_of(pd.Timestamp(first).to_pydatetime())
        return ChangePoint(
            series=metric.title, day=day, first=day, last=day, before=found.theirs.value, after=found.ours.value
        )
    series = _latency_series(data, item) if metric.kind == "quantile" else _series(data, item)
    split = best_split(series, down=found.ours.value < found.theirs.value)
    if split is None:
        return None
    (first, day, last), (before, after) = split
    # The first whole day of a release in the afternoon is the next one.
    earliest, latest = max(first - 1, day - CLOSE), min(last, day + CLOSE)
    change = ChangePoint(
        series=metric.title, day=day, first=max(first, day - CLOSE), last=latest, before=before, after=after
    )
    possible = [release for release in releases if earliest <= data.week.day_of(release.at) <= latest]
    return with_releases([change], possible, data.week)[0]


def best_split(series: DailySeries, *, down: bool) -> tuple[tuple[int, int, int], tuple[float, float]] | None:
    """Return the earliest likely, the best and the latest likely first day of a lower (or higher) level, and both levels.

    The normal likelihood ratio of two means against one, over the dispersion of the days around the two where that exceeds the
    answers' own.
    """
    if len(series.days) < 2:
        return None
    weights = series.sizes / series.variance
    reached, counted = np.cumsum(weights)[:-1], np.cumsum(series.sizes)[:-1]
    sums = np.cumsum(weights * series.means)
    left, right = sums[:-1] / reached, (sums[-1] - sums[:-1]) / (weights.sum() - reached)
    gain = reached * (weights.sum() - reached) / weights.sum() * (right - left) ** 2 / 2
    fits = (counted >= SMALLEST) & (series.sizes.sum() - counted >= SMALLEST) & ((right < left) == down)
    if not fits.any():
        return None
    gain = np.where(fits, gain, -np.inf)
    best = int(np.argmax(gain))
    levels = np.where(np.arange(len(series.days)) <= best, left[best], right[best])
    dispersion = float((weights * (series.means - levels) ** 2).sum()) / max(len(series.days) - 2, 1)
    likely = np.flatnonzero(gain >= gain[best] - LIKELY * max(dispersion, 1.0))
    first, day, last = (int(series.days[place + 1]) for place in (likely[0], best, likely[-1]))
    return (first, day, last), (float(left[best]), float(right[best]))


def _rows(frame: pd.DataFrame, item: Comparison) -> pd.DataFrame:
    """Return the rows of the compared weeks, slice and pairs; against the release before, those of both pairs."""
    baseline = item.baseline
    rows = frame[frame["day"] >= -7 * BASELINE_WEEKS]
    if item.dimension:
        rows = rows[rows["slice"] == item.value]
    return (
        rows
        if baseline.digest == ALL
        else rows[rows["pair_digest"].isin({baseline.ours.digest, baseline.theirs.digest})]
    )


def _series(data: WeekData, item: Comparison) -> DailySeries:
    metric = item.contrast.metric
    by_day = _rows(data.slice_days[item.dimension or "client"], item).groupby("day").sum(numeric_only=True)
    by_day = by_day[by_day[metric.whole] > 0]
    part, whole = (by_day[name].to_numpy(np.float64) for name in (metric.part, metric.whole))
    days = by_day.index.to_numpy(np.float64)
    if metric.kind == "rate":
        return _rates(days, part, whole)
    squares = by_day[f"{metric.part}_squares"].to_numpy(np.float64)
    within = float((squares - part**2 / whole).sum()) / max(float(whole.sum()) - len(whole), 1.0)
    return DailySeries(
        days=days, means=part / whole, sizes=whole, variance=max(within, 1e-12 * float((part / whole).max()) ** 2)
    )


def _latency_series(data: WeekData, item: Comparison) -> DailySeries:
    """Return the daily share of answers above the baseline's quantile."""
    rows = _rows(data.latency_days[item.dimension or "client"], item)
    above = math.floor(LATENCY_STEPS * math.log(max(item.contrast.theirs.value, 1.0)))
    by_day = rows.assign(late=rows["n"].where(rows["step"] > above, 0)).groupby("day")[["late", "n"]].sum()
    return _rates(*(column.to_numpy(np.float64) for column in (by_day.index, by_day["late"], by_day["n"])))


def _rates(days: Floats, part: Floats, whole: Floats) -> DailySeries:
    mean = (float(part.sum()) + 0.5) / (float(whole.sum()) + 1)
    return DailySeries(days=days, means=part / whole, sizes=whole, variance=mean * (1 - mean))
