"""Paired statistics of two systems on the same cases: intervals of the difference, tests, and smallest detectable drops."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from figures.arrays import Floats
from figures.stats import (
    CONFIDENCE,
    POWER,
    Interval,
    Statistic,
    normal_quantile,
    percentile_interval,
    resample_weights,
    resamples_at,
)

RANDOMISATIONS = 10_000  # sacrebleu's default for its own approximate randomisation
MOST_CASES = 1_000_000  # above this number, collecting more cases is not a realistic remedy
_SWAPS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A two-sided test of "no difference": its p-value and its name."""

    p_value: float
    name: str

    __test__ = False  # not pytest's


def difference_interval(
    candidate: Statistic,
    baseline: Statistic,
    n_cases: int,
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    relative: bool = False,
) -> Interval:
    """Percentile bootstrap interval of ``candidate - baseline``, paired: both systems use the same draw of cases.

    Args:
        candidate: maps weights ``(resamples, n_cases)`` to one figure per row.
        baseline: the same for the other system; with ``relative`` its figures must be above 0.
        n_cases: number of cases that both systems answered.
        seed: seed of the draw.
        confidence: of the two-sided interval.
        relative: as a share of the baseline: 0.25 is a quarter more.
    """
    weights = resample_weights(n_cases, seed, resamples_at(confidence))
    everything = np.ones((1, n_cases))

    def compare(drawn: Floats) -> Floats:
        ours, theirs = candidate(drawn), baseline(drawn)
        return ours / theirs - 1 if relative else ours - theirs

    return percentile_interval(float(compare(everything)[0]), compare(weights), n_cases, confidence=confidence)


def rate_difference_interval(difference: Floats, *, confidence: float = CONFIDENCE) -> Interval:
    """Tango's score interval (Tango 1998, Stat Med 17:891) for the mean of paired differences of a yes-or-no score.

    Unlike bootstrap and Wald intervals it keeps a positive width when no case differs: ``+- z^2 / (n + z^2)``.

    Args:
        difference: candidate minus production per case, -1, 0 or 1; a fraction if a case is a mean over repeats (it counts
            as that share of a differing case, which is conservative).
        confidence: of the two-sided interval.
    """
    n = len(difference)
    gained, lost = float(difference[difference > 0].sum()), float(-difference[difference < 0].sum())
    z = normal_quantile(confidence)
    return Interval(
        value=(gained - lost) / n,
        low=_tango_low(gained, lost, n, z),
        high=-_tango_low(lost, gained, n, z),
        n=n,
        method="Tango score",
    )


def _tango_low(gained: float, lost: float, n: int, z: float) -> float:
    """Return the lowest difference that the score test at ``z`` does not reject, found by bisection."""
    low, high = -1.0, (gained - lost) / n
    for _ in range(50):
        middle = (low + high) / 2
        if _tango_score(gained, lost, n, middle) > z:
            low = middle
        else:
            high = middle
    return low


def _tango_score(gained: float, lost: float, n: int, delta: float) -> float:
    # Tango's eq. 3 with b = gained, c = lost; q is the restricted estimate of the rate of lost cases.
    linear = -gained - lost + (2 * n - gained + lost) * delta
    constant = -lost * delta * (1 - delta)
    q = (np.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * q + delta * (1 - delta))
    return float((gained - lost - n * delta) / np.sqrt(variance)) if variance > 0 else 0.0


def mcnemar(difference: Floats) -> Test:
    """Exact McNemar test (McNemar 1947; binomial on the cases that differ); the sign test if cases are means over repeats.

    p is 1 when no case differs.
    """
    gained, lost = int((difference > 0).sum()), int((difference < 0).sum())
    p_value = min(1.0, 2 * float(special.bdtr(min(gained, lost), gained + lost, 0.5))) if gained + lost else 1.0
    return Test(p_value=p_value, name=f"McNemar exact, +{gained} -{lost}")


def randomisation_test(
    ours: Floats, theirs: Floats, score: Callable[[Floats], Floats], *, seed: int, trials: int = RANDOMISATIONS
) -> Test:
    """Approximate randomisation test (Riezler & Maxwell 2005) of a corpus figure: systems are swapped case by case.

    Args:
        ours: sufficient statistics per case, shape ``(n_cases, n_statistics)``.
        theirs: the other system's, of the same cases in the same order.
        score: maps sums of statistics, one row per trial, to figures.
        seed: of the swaps.
        trials: how many swaps.
    """
    rng = np.random.default_rng(seed)
    sum_ours, sum_theirs, gap = ours.sum(axis=0), theirs.sum(axis=0), theirs - ours
    seen = abs(float(score(sum_ours[None, :])[0] - score(sum_theirs[None, :])[0]))
    reached = 0
    for start in range(0, trials, _SWAPS_AT_ONCE):
        swapped = rng.integers(0, 2, size=(min(_SWAPS_AT_ONCE, trials - start), len(gap))).astype(np.float64) @ gap
        reached += int((np.abs(score(sum_ours + swapped) - score(sum_theirs - swapped)) >= seen - 1e-12).sum())
    return Test(p_value=(reached + 1) / (trials + 1), name=f"approximate randomisation, {trials} swaps")


def detectable(interval: Interval, *, confidence: float = CONFIDENCE) -> float | None:
    """Return the smallest true drop that this many cases detect with 80% power; None without an interval."""
    if interval.low is None or interval.high is None:
        return None
    z = normal_quantile(confidence)
    return (interval.high - interval.low) / 2 * (z + float(special.ndtri(POWER))) / z


def detectable_rate(difference: Floats, n: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the smallest drop that ``n`` cases detect for a yes-or-no score if the same share of cases differs as here."""
    differing = float(np.abs(difference).mean()) * n
    z = normal_quantile(confidence) + float(special.ndtri(POWER))
    return -_tango_low(differing / 2, differing / 2, n, z)


def cases_needed(n: int, detected: float, wanted: float) -> int | None:
    """Return how many cases detect a drop of ``wanted`` if ``n`` cases detect ``detected``; None if too many to collect."""
    if wanted <= 0:
        return None
    needed = max(int(np.ceil(n * (detected / wanted) ** 2)), 1)
    return needed if needed <= MOST_CASES else None


def cases_needed_for_rate(difference: Floats, wanted: float, *, confidence: float = CONFIDENCE) -> int | None:
    """Return the same for a yes-or-no score, whose interval shrinks differently from the square root of ``n``."""
    low, high = 1, MOST_CASES
    if wanted <= 0 or detectable_rate(difference, high, confidence=confidence) >= wanted:
        return None
    while low < high:
        middle = (low + high) // 2
        if detectable_rate(difference, middle, confidence=confidence) < wanted:
            high = middle
        else:
            low = middle + 1
    return low
