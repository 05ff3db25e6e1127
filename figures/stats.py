"""Intervals over cases: BCa for means, Wilson for rates, percentile bootstrap for quantiles, ratios and corpus figures.

Which method stands where was decided by simulation (``omni simulate``, docs/decisions/0008). Cases are the unit that is drawn:
repeats of a case are averaged before they come here. ``scipy.special`` and not ``scipy.stats``: the latter takes 1.2 s to import;
tests compare with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from figures.arrays import Floats

Indices = NDArray[np.intp]
Statistic = Callable[[Floats], Floats]

RESAMPLES = 2_000  # at 98.75%, four looks at one pair, each tail still holds 12 draws
MOST_RESAMPLES = 10_000  # a search may make a hundred looks; at 99.95% each tail then holds 2 to 3 draws
CONFIDENCE = 0.95
POWER = 0.80  # Cohen 1988; the power that detectable differences and needed cases are stated for


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A point estimate with its interval over ``n`` cases; ends are None where ``n`` cases cannot give one.

    ``method`` names how the interval was made, for the reader of a report.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    method: str = ""


def normal_quantile(confidence: float) -> float:
    """Return the two-sided standard normal quantile: 1.96 for 0.95."""
    return float(special.ndtri(0.5 + confidence / 2))


@lru_cache(maxsize=16)
def resample_weights(n_cases: int, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Return how often each case was drawn, shape ``(resamples, n_cases)``, rows sum to ``n_cases``; read only.

    The same seed gives the same draw, so that two systems, and two metrics, see the same resampled cases.
    """
    weights = np.random.default_rng(seed).multinomial(n_cases, np.full(n_cases, 1 / n_cases), size=resamples)
    drawn: Floats = weights.astype(np.float64)
    drawn.setflags(write=False)
    return drawn


def resamples_at(confidence: float) -> int:
    """Return how many draws an interval at ``confidence`` needs, with 12 of them in each tail where that can be afforded."""
    return min(max(RESAMPLES, round(24 / (1 - confidence))), MOST_RESAMPLES)


def percentile_interval(value: float, draws: Floats, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the percentile bootstrap interval (Efron 1979) of ``draws`` around ``value``; none for a single case."""
    if n < 2:
        return Interval(value=float(value), low=None, high=None, n=n, method="one case has no interval")
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value=float(value), low=float(low), high=float(high), n=n, method="percentile bootstrap")


def mean_interval(
    values: Floats, *, seed: int, confidence: float = CONFIDENCE, bounds: tuple[float, float] | None = None
) -> Interval:
    """Mean of ``values`` (no NaN, at least one) with a BCa interval (Efron 1987), its tails widened to Student's t.

    Args:
        values: one per case.
        seed: of the draw.
        confidence: of the two-sided interval.
        bounds: between which the values must lie, or None. Equal values then still get an interval: what was never seen in
            ``n`` cases may be in ``z^2 / (n + z^2)`` of all cases, Wilson's answer for 0 of ``n``, and be as bad as a bound.
    """
    n, mean = len(values), float(values.mean())
    centred = values - mean
    squares = float(centred @ centred)
    if squares <= 1e-18 * max(mean * mean, 1.0) * n:
        if bounds is None:
            end = mean if n > 1 else None
            return Interval(value=mean, low=end, high=end, n=n, method="all cases equal")
        unseen = unseen_share(n, confidence)
        low, high = (mean + unseen * (bound - mean) for bound in bounds)
        return Interval(value=mean, low=low, high=high, n=n, method="all cases equal: Wilson")
    draws = np.sort(resample_weights(n, seed, resamples_at(confidence)) @ centred) / n
    # Ties at the estimate count half: scores with few values have many.
    below = (np.searchsorted(draws, -1e-12) + np.searchsorted(draws, 1e-12)) / 2 / len(draws)
    bias = float(special.ndtri(np.clip(below, 1 / len(draws), 1 - 1 / len(draws))))
    # The jackknife's acceleration has a closed form for a mean (Efron & Tibshirani 1993, eq. 14.15).
    acceleration = float((centred**3).sum()) / (6 * squares**1.5)
    # Hesterberg 2015 (sec. 4.4): t in place of z, and n - 1 in place of n, for small samples.
    reach = float(special.stdtrit(n - 1, 0.5 + confidence / 2)) * (n / (n - 1)) ** 0.5
    ends = np.array([bias - reach, bias + reach])
    levels = special.ndtr(bias + ends / np.maximum(1 - acceleration * ends, 1e-3))
    ends = mean + np.quantile(draws, levels)
    return Interval(value=mean, low=float(ends[0]), high=float(ends[1]), n=n, method="BCa bootstrap")


def unseen_share(n: int, confidence: float = CONFIDENCE) -> float:
    """Return the share of cases that may be different when none of ``n`` was: Wilson's upper end for 0 of ``n``."""
    z2 = normal_quantile(confidence) ** 2
    return z2 / (n + z2)


def quantile_interval(values: Floats, quantile: float, *, seed: int, confidence: float = CONFIDENCE) -> Interval:
    """Quantile of ``values`` with a percentile bootstrap interval over cases.

    Args:
        values: shape ``(n_cases,)`` or ``(n_cases, repeats)``, NaN where a repeat is missing; a case's
            repeats are drawn together.
        quantile: 0 to 1.
        seed: of the draw.
        confidence: of the two-sided interval.
    """
    table = values.reshape(len(values), -1)
    value = float(np.nanquantile(table, quantile))
    return percentile_interval(value, quantile_draws(table, quantile, seed=seed), len(table), confidence=confidence)


def quantile_draws(table: Floats, quantile: float, *, seed: int) -> Floats:
    """Return the ``quantile`` of each resample of the rows of ``table``, shape ``(resamples,)``.

    A quantile of a weighted sample: the values are sorted once, and each resample's weights are summed in that order.
    """
    rows, columns = np.nonzero(~np.isnan(table))
    flat = table[rows, columns]
    order = np.argsort(flat, kind="stable")
    weights = resample_weights(len(table), seed)[:, rows[order]]
    upto = np.cumsum(weights, axis=1)
    total = upto[:, -1]
    # Between the two order statistics around (N - 1) * q, as numpy's default; a resample may hold no value at all.
    place = np.maximum(total - 1, 0) * quantile
    whole = np.floor(place)
    ordered = flat[order]
    first = np.minimum((upto <= whole[:, None]).sum(axis=1), len(flat) - 1)
    second = np.minimum((upto <= np.minimum(whole + 1, total - 1)[:, None]).sum(axis=1), len(flat) - 1)
    draws: Floats = ordered[first] + (place - whole) * (ordered[second] - ordered[first])
    return draws[total > 0]


def rate_interval(
    successes: float, n: int, *, confidence: float = CONFIDENCE, effective_n: float | None = None
) -> Interval:
    """Wilson score interval (Wilson 1927) of a rate: unlike the bootstrap it does not collapse at 0 and 1.

    Args:
        successes: of ``n`` cases; may be a fraction where a case is a mean over repeats.
        n: cases.
        confidence: of the two-sided interval.
        effective_n: how many independent yes-or-no answers the cases are worth (``effective_cases``), default ``n``.

    Raises:
        ValueError: no trials.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a rate needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    rate, size, z = successes / n, effective_n or n, normal_quantile(confidence)
    centre = (rate + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * float(np.sqrt(rate * (1 - rate) / size + z**2 / (4 * size * size)))
    # At 0 and n the formula gives the rate itself, but for rounding.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(value=rate, low=low, high=high, n=n, method="Wilson score")


def events_interval(events: float, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Share of ``n`` cases with an event, between exact one-sided bounds (Clopper & Pearson 1934).

    Each end alone holds with ``confidence``: 0 of 149 is at most 2.0%, as no event in ``n`` cases rules out shares above about
    3 / ``n``. Unlike Wilson's, the bound never holds less often than it says.

    Raises:
        ValueError: no cases, or more events than cases.
    """
    if n < 1 or not 0 <= events <= n:
        raise ValueError(f"events need 0 <= events <= n and n >= 1, not {events} of {n}")
    low = float(special.betaincinv(events, n - events + 1, 1 - confidence)) if events > 0 else 0.0
    high = float(special.betaincinv(events + 1, n - events, confidence)) if events < n else 1.0
    return Interval(value=events / n, low=low, high=high, n=n, method="exact one-sided (Clopper-Pearson)")


def cases_for_events(share: float, bound: float, confidence: float = CONFIDENCE) -> int | None:
    """Return how many cases take ``events_interval`` of ``share`` to one side of ``bound``; None if more than a million."""

    def decides(n: int) -> bool:
        found = events_interval(share * n, n, confidence=confidence)
        return (found.high or 0.0) <= bound if share < bound else (found.low or 0.0) > bound

    low, high = 1, 1_000_000
    if share == bound or not decides(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle + 1
    return low


def effective_cases(means: Floats, repeats: int) -> float:
    """Return how many yes-or-no answers ``means`` (one mean over at most ``repeats`` answers per case) are worth.

    Korn & Graubard 1998: the size at which a simple sample would have the variance that the clusters show. It is the number of
    cases without repeats and where repeats of a case never differ, and never more than the number of answers.
    """
    rate, variance = float(means.mean()), float(means.var())
    if repeats == 1 or variance <= 0:
        return float(len(means))
    return min(len(means) * rate * (1 - rate) / variance, float(len(means) * repeats))
