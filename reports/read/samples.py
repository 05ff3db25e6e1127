"""Samples of a metric as counts, sums or a histogram, so that a million answers fit in memory; each has interval and test."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special, stats

from figures.arrays import Floats
from figures.stats import CONFIDENCE, Interval, rate_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A count of ``successes`` in ``n`` trials."""

    successes: int
    n: int

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Wilson score interval; ``n`` must not be 0."""
        return rate_interval(self.successes, self.n, confidence=confidence)

    def p_value(self, other: "Rate") -> float:
        """Fisher's exact test, two-sided (Fisher 1922): its error rate never exceeds the level, at any sample size."""
        return _fisher(self.successes, self.n, other.successes, other.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The sum and the sum of squares of ``n`` values."""

    total: float
    squares: float
    n: int

    @property
    def value(self) -> float:
        """The mean."""
        return self.total / self.n

    @property
    def variance(self) -> float:
        """The variance of the mean; 0 for equal values or a single one."""
        if self.n < 2:
            return 0.0
        spread = self.squares - self.total * self.total / self.n
        # With a million equal values, rounding alone makes the sum of squares differ.
        return max(spread, 0.0) / (self.n - 1) / self.n if spread > 1e-12 * self.squares else 0.0

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Student's t interval; without ends for a single value."""
        if self.n < 2:
            return Interval(value=self.value, low=None, high=None, n=self.n, method="no interval for a single value")
        reach = float(special.stdtrit(self.n - 1, 0.5 + confidence / 2)) * math.sqrt(self.variance)
        return Interval(value=self.value, low=self.value - reach, high=self.value + reach, n=self.n, method="Student t")

    def p_value(self, other: "Mean") -> float:
        """Welch's t test, two-sided (Welch 1947)."""
        ours, theirs = self.variance, other.variance
        if ours + theirs == 0:
            return 1.0 if math.isclose(self.value, other.value, rel_tol=1e-9) or min(self.n, other.n) < 2 else 0.0
        freedom = (ours + theirs) ** 2 / (ours**2 / max(self.n - 1, 1) + theirs**2 / max(other.n - 1, 1))
        t = abs(self.value - other.value) / math.sqrt(ours + theirs)
        return float(2 * special.stdtr(freedom, -t))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantile:
    """The ``q`` quantile of a histogram: ascending ``values`` with their ``counts``."""

    values: Floats
    counts: Floats
    q: float

    @property
    def n(self) -> int:
        """The number of values."""
        return int(self.counts.sum())

    def at(self, rank: float) -> float:
        """Return the value at a rank from 1 to n."""
        place = np.searchsorted(np.cumsum(self.counts), rank, side="left")
        return float(self.values[min(int(place), len(self.values) - 1)])

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Order statistics with binomial ranks (David & Nagaraja 2003, sec. 7.1): exact for any distribution, no resampling.

        An end is None where ``n`` values are too few to bound it.
        """
        n, tail = self.n, (1 - confidence) / 2
        low, high = stats.binom.ppf(tail, n, self.q), stats.binom.ppf(1 - tail, n, self.q) + 1
        return Interval(
            value=self.at(max(math.ceil(self.q * n), 1)),
            low=self.at(low) if low >= 1 else None,
            high=self.at(high) if high <= n else None,
            n=n,
            method="order statistics",
        )

    def above(self, threshold: float) -> int:
        """Return how many values lie above ``threshold``."""
        return int(self.counts[self.values > threshold].sum())

    def p_value(self, other: "Quantile") -> float:
        """Fisher's exact test on the counts above the quantile of both samples pooled (a quantile test as in Mood 1950)."""
        both = pooled([self, other])
        threshold = both.at(max(math.ceil(self.q * both.n), 1))
        return _fisher(self.above(threshold), self.n, other.above(threshold), other.n)


Sample = Rate | Mean | Quantile


def pooled(parts: list[Quantile]) -> Quantile:
    """Return the histogram of all parts together; ``parts`` must not be empty."""
    values = np.concatenate([part.values for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    found, place = np.unique(values, return_inverse=True)
    return Quantile(
        values=found, counts=np.bincount(place, weights=counts, minlength=len(found)).astype(np.float64), q=parts[0].q
    )


def p_value(ours: Sample, theirs: Sample) -> float:
    """Return the p-value of "no difference" between two samples of the same kind."""
    return ours.p_value(theirs)  # type: ignore[arg-type]  # a metric has one kind


@lru_cache(maxsize=65_536)
def _fisher(a: int, n_a: int, b: int, n_b: int) -> float:
    if a + b in (0, n_a + n_b):
        return 1.0
    return float(stats.fisher_exact([[a, n_a - a], [b, n_b - b]]).pvalue)
