"""Intervals and paired differences by bootstrap over cases, and exact-enough intervals for rates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Statistic = Callable[[Indices], Floats]

RESAMPLES = 1_000  # the usual number for a 95% interval (Efron & Tibshirani 1993, ch. 14)
_Z95 = 1.959963984540054  # 97.5th percentile of the standard normal


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A point estimate with its 95% interval over ``n`` cases."""

    value: float
    low: float
    high: float
    n: int


def resample_indices(n_cases: int, *, seed: int, resamples: int = RESAMPLES) -> Indices:
    """Return case indices drawn with replacement, shape ``(resamples, n_cases)``; the same seed gives the same draw."""
    return np.random.default_rng(seed).integers(0, n_cases, size=(resamples, n_cases))


def percentile_interval(value: float, draws: Floats, n: int) -> Interval:
    """Return the percentile bootstrap interval (Efron 1979) of ``draws`` around ``value``."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value=float(value), low=float(low), high=float(high), n=n)


def mean_interval(values: Floats, *, seed: int) -> Interval:
    """Mean of ``values`` (no NaN, at least one) with a percentile bootstrap interval."""
    index = resample_indices(len(values), seed=seed)
    return percentile_interval(float(values.mean()), values[index].mean(axis=1), len(values))


def quantile_interval(values: Floats, quantile: float, *, seed: int) -> Interval:
    """Quantile of ``values`` with a percentile bootstrap interval; wide by nature at the tail of a small sample."""
    index = resample_indices(len(values), seed=seed)
    draws = np.quantile(values[index], quantile, axis=1)
    return percentile_interval(float(np.quantile(values, quantile)), draws, len(values))


def rate_interval(successes: int, n: int) -> Interval:
    """Wilson score interval (Wilson 1927) of a rate: unlike the bootstrap it does not collapse at 0 and 1.

    Raises:
        ValueError: no trials.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a rate needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    rate = successes / n
    centre = (rate + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 / (1 + _Z95**2 / n) * float(np.sqrt(rate * (1 - rate) / n + _Z95**2 / (4 * n * n)))
    # At 0 and n the formula gives the rate itself, but for rounding.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(value=rate, low=low, high=high, n=n)


def difference_interval(candidate: Statistic, baseline: Statistic, n_cases: int, *, seed: int) -> Interval:
    """Interval of ``candidate - baseline`` for statistics of resampled cases, paired: both see the same draw.

    Args:
        candidate: maps indices ``(resamples, n_cases)`` to one figure per row.
        baseline: the same for the other system.
        n_cases: cases that both systems have.
        seed: of the draw.
    """
    index = resample_indices(n_cases, seed=seed)
    everything = np.arange(n_cases)[None, :]
    value = float((candidate(everything) - baseline(everything))[0])
    return percentile_interval(value, candidate(index) - baseline(index), n_cases)
