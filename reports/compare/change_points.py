"""Change points: the days on which a rate or a latency changed its level, with the release that coincides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from figures.arrays import Floats
from reports.compare.baselines import AliasMove
from reports.read.weeks import Week

FALSE_ALARM = 0.01  # probability per scan of a series that does not change
DRAWS = 999
SMALLEST_SIDE = 50  # ratings on each side of a change
SMALLEST_DAYS = 3
MOST_CHANGES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A level that changed from ``before`` to ``after`` on local day ``day`` (0 is the week's Monday).

    The day is an estimate; its 95% interval reaches from ``first`` to ``last``.
    """

    series: str
    day: int
    first: int
    last: int
    before: float
    after: float
    p: float | None = None
    release: AliasMove | None = None


def rate_changes(
    series: str, days: Sequence[int], successes: Floats, trials: Floats, *, seed: int = 0
) -> list[ChangePoint]:
    """Return at most three changes of a daily rate, oldest first.

    Binary segmentation (Vostrikova 1981) with the binomial likelihood ratio of the best split, then of each half. The p-value
    comes from 999 simulated series with the same daily trials and a constant rate, so days of any size are weighted correctly.

    Args:
        series: name of the series.
        days: local days with trials, ascending; days without trials are left out.
        successes: per day.
        trials: per day.
        seed: seed of the simulated series.
    """
    found: list[ChangePoint] = []
    open_parts = [(0, len(days))]
    rng = np.random.default_rng(seed)
    while open_parts and len(found) < MOST_CHANGES:
        start, end = open_parts.pop(0)
        found_split, p = _best_split(successes[start:end], trials[start:end], rng)
        if found_split is None or p > FALSE_ALARM:
            continue
        first, middle, last = (start + split for split in found_split)
        before = successes[start:middle].sum() / trials[start:middle].sum()
        after = successes[middle:end].sum() / trials[middle:end].sum()
        found.append(
            ChangePoint(
                series=series,
                day=days[middle],
                first=days[first],
                last=days[last],
                before=float(before),
                after=float(after),
                p=p,
            )
        )
        open_parts += [(start, middle), (middle, end)]
    return sorted(found, key=lambda change: change.day)


def latency_changes(series: str, days: Sequence[int], latency_ms: Floats, *, least: float = 0.25) -> list[ChangePoint]:
    """Return the changes of a daily latency by at least the fraction ``least``, oldest first.

    PELT (Killick 2012, ``ruptures``) on logarithms, scaled by the noise between neighbouring days. The penalty is three times the
    usual ``2 log n``, because neighbouring days are correlated.
    """
    if len(days) < 2 * SMALLEST_DAYS or not (latency_ms > 0).all():
        return []
    import ruptures

    logs = np.log(latency_ms)
    noise = float(np.median(np.abs(np.diff(logs)))) / 0.6745 / math.sqrt(2)
    if noise == 0:
        noise = 0.01
    breaks = (
        ruptures.Pelt(model="l2", min_size=SMALLEST_DAYS, jump=1)
        .fit(logs / noise)
        .predict(pen=3 * 2 * math.log(len(logs)))
    )
    edges = [0, *breaks]
    found = []
    for left, middle, right in zip(edges, edges[1:], edges[2:], strict=False):
        before, after = (math.exp(float(np.median(part))) for part in (logs[left:middle], logs[middle:right]))
        if abs(after / before - 1) >= least:
            place = days[middle]
            found.append(
                ChangePoint(series=series, day=place, first=place - 1, last=place + 1, before=before, after=after)
            )
    return found


def with_releases(changes: Sequence[ChangePoint], releases: Sequence[AliasMove], week: Week) -> list[ChangePoint]:
    """Return the changes, each with the nearest release from a day before its interval to a day after; of equals the later."""
    marked = []
    for change in changes:
        near = [
            (abs(week.day_of(release.at) - change.day), -place, release)
            for place, release in enumerate(releases)
            if change.first - 1 <= week.day_of(release.at) <= change.last + 1
        ]
        marked.append(replace(change, release=min(near, key=lambda item: item[:2])[2]) if near else change)
    return marked


def _best_split(
    successes: Floats, trials: Floats, rng: np.random.Generator
) -> tuple[tuple[int, int, int] | None, float]:
    """Return earliest likely, best and latest likely split with the p-value; None if no split has enough trials on both sides."""
    reached = np.cumsum(trials)
    total = reached[-1] if len(reached) else 0.0
    places = np.arange(1, len(trials))
    enough = (
        (reached[:-1] >= SMALLEST_SIDE)
        & (total - reached[:-1] >= SMALLEST_SIDE)
        & (places >= SMALLEST_DAYS)
        & (len(trials) - places >= SMALLEST_DAYS)
    )
    if not enough.any():
        return None, 1.0
    rate = successes.sum() / total
    if rate in (0.0, 1.0):
        return None, 1.0
    seen = _likelihood_ratios(successes[None, :], trials, enough)
    best = int(np.argmax(seen[0]))
    draws = rng.binomial(trials.astype(np.int64), rate, size=(DRAWS, len(trials))).astype(np.float64)
    beaten = int((_likelihood_ratios(draws, trials, enough).max(axis=1) >= seen[0, best] - 1e-9).sum())
    # The likely splits: log-likelihood within half the chi-squared quantile of the best split's.
    likely = np.flatnonzero(seen[0] >= seen[0, best] - 1.92)
    return (int(likely[0]) + 1, best + 1, int(likely[-1]) + 1), (beaten + 1) / (DRAWS + 1)


def _likelihood_ratios(
    successes: Floats, trials: Floats, enough: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> Floats:
    left, left_n = np.cumsum(successes, axis=1)[:, :-1], np.cumsum(trials)[:-1]
    total, total_n = successes.sum(axis=1, keepdims=True), trials.sum()
    right, right_n = total - left, total_n - left_n
    both = _log_likelihood(left, left_n) + _log_likelihood(right, right_n) - _log_likelihood(total, total_n)
    ratios: Floats = np.where(enough, both, -np.inf)
    return ratios


def _log_likelihood(successes: Floats, trials: Floats) -> Floats:
    from scipy import special

    n = np.maximum(trials, 1e-12)
    found: Floats = special.xlogy(successes, successes / n) + special.xlogy(
        trials - successes, (trials - successes) / n
    )
    return found
