"""Figures from counts summed over all cases, such as ratios of sums and Cohen's kappa, rather than means of case scores.

A pool counts each case; a figure is computed from the sums. The bootstrap draws cases, because the counts of one case, such
as its ten criteria, are not independent. A pool must combine a case's repeats so that they weigh as one case.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from eval.spine.cases import Case
from eval.spine.pool import AnsweredPool, NotedPool, Pool, ScoredPool
from eval.spine.results import CaseResult
from figures.arrays import Floats
from figures.stats import (
    CONFIDENCE,
    Interval,
    mean_interval,
    percentile_interval,
    resample_weights,
    resamples_at,
    unseen_share,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """One arm's counts: one row per case with counts, one column per name. ``uncounted`` are cases that should have some."""

    pool: Pool
    case_ids: tuple[str, ...]
    names: tuple[str, ...]
    counts: Floats
    uncounted: frozenset[str] = frozenset()

    @property
    def note(self) -> str:
        """The pool's footnote; "" without one."""
        return self.pool.note(self.names, self.counts, len(self.uncounted)) if isinstance(self.pool, NotedPool) else ""

    def figures(self, weights: Floats) -> Floats:
        """Return the figure of each row of ``weights``: how often each case counts."""
        return self.pool.figures(self.names, weights @ self.counts)

    def only(self, case_ids: Sequence[str]) -> "Pooled":
        """Return the rows of ``case_ids``, in their order."""
        rows = {name: row for row, name in enumerate(self.case_ids)}
        return replace(self, case_ids=tuple(case_ids), counts=self.counts[[rows[name] for name in case_ids]])


def pooled(pool: Pool, results: Sequence[CaseResult], cases: Mapping[str, Case]) -> Pooled:
    """Return the counts of ``results``; without the failed ones, which other metrics count, unless the pool wants them."""
    by_case: dict[str, list[CaseResult]] = {}
    for item in results:
        by_case.setdefault(item.case_id, []).append(item)
    rows: dict[str, Mapping[str, float]] = {}
    uncounted = set()
    # Asked once and not for each case: looking a protocol up takes longer than counting.
    count = pool.counts_scored if isinstance(pool, ScoredPool) else partial(_of_answered, pool)
    for case_id, items in by_case.items():
        counts = count(cases[case_id], items)
        if counts is None:
            uncounted.add(case_id)
        elif counts:
            rows[case_id] = counts
    names = tuple(sorted({name for counts in rows.values() for name in counts}))
    table = np.array([[counts.get(name, 0.0) for name in names] for counts in rows.values()], dtype=float)
    return Pooled(
        pool=pool,
        case_ids=tuple(rows),
        names=names,
        counts=table.reshape(len(rows), len(names)),
        uncounted=frozenset(uncounted),
    )


def _of_answered(pool: AnsweredPool, case: Case, items: Sequence[CaseResult]) -> Mapping[str, float]:
    answered = [item.result for item in items if item.result.failure is None]
    return pool.counts(case, answered) if answered else {}


def pooled_interval(side: Pooled, *, seed: int, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the figure with its bootstrap interval over cases, BCa for a mean, else percentile; None if it is undefined.

    If all draws give the same figure, the interval is widened by Wilson's share of cases: events that never occurred in
    ``n`` cases may still occur in that share. A figure without a bound is not widened on that side.
    """
    n = len(side.case_ids)
    value = pooled_value(side)
    if value is None:
        return None
    if n < 2:
        return percentile_interval(value, np.array([value]), n, confidence=confidence)
    if isinstance(side.pool, CaseMean):
        return _mean(side.pool.values(side.names, side.counts), side.pool.bounds, seed, confidence)
    draws = side.figures(resample_weights(n, seed, resamples_at(confidence)))
    draws = draws[~np.isnan(draws)]
    if len(draws) and np.isfinite(draws).all() and np.ptp(draws) < 1e-12:
        unseen = unseen_share(n, confidence)
        low, high = (value + unseen * (bound - value) if math.isfinite(bound) else value for bound in side.pool.bounds)
        return Interval(value=value, low=low, high=high, n=n, method="all draws equal: Wilson")
    return _percentiles(value, draws, n, confidence)


def pooled_difference(
    ours: Pooled, theirs: Pooled, cases: Mapping[str, Case], *, seed: int, confidence: float = CONFIDENCE
) -> Interval | None:
    """Return ours minus theirs on the cases that both have counts of; paired, both use the same draws."""
    counted = set(ours.case_ids) & set(theirs.case_ids)
    both = [case_id for case_id in cases if case_id in counted]
    a, b = ours.only(both), theirs.only(both)
    values = pooled_value(a), pooled_value(b)
    if values[0] is None or values[1] is None:
        return None
    value = values[0] - values[1]
    if len(both) < 2:
        return percentile_interval(value, np.zeros(1), len(both), confidence=confidence)
    if isinstance(a.pool, CaseMean):
        least, greatest = a.pool.bounds
        change = a.pool.values(a.names, a.counts) - a.pool.values(b.names, b.counts)
        return _mean(change, (least - greatest, greatest - least), seed, confidence)
    weights = resample_weights(len(both), seed, resamples_at(confidence))
    draws = a.figures(weights) - b.figures(weights)
    draws = draws[~np.isnan(draws)]
    if len(draws) and np.isfinite(draws).all() and np.ptp(draws) < 1e-12:
        widest = a.pool.bounds[1] - a.pool.bounds[0]
        reach = unseen_share(len(both), confidence) * widest if math.isfinite(widest) else 0.0
        return Interval(
            value=value, low=value - reach, high=value + reach, n=len(both), method="all draws equal: Wilson"
        )
    return _percentiles(value, draws, len(both), confidence)


def _mean(values: Floats, bounds: tuple[float, float], seed: int, confidence: float) -> Interval:
    """Return the mean's interval inside ``bounds``, which its widened tails may pass."""
    bounded = bounds if all(map(math.isfinite, bounds)) else None
    found = mean_interval(values, seed=seed, confidence=confidence, bounds=bounded)
    low, high = (None if end is None else min(max(end, bounds[0]), bounds[1]) for end in (found.low, found.high))
    return replace(found, low=low, high=high)


def _percentiles(value: float, draws: Floats, n: int, confidence: float) -> Interval:
    """Return the percentile interval; none if more draws than its tail holds are infinite, which no bound can be."""
    finite = np.isfinite(draws)
    unbounded = 1 - float(finite.mean()) if len(draws) else 1.0
    if unbounded >= (1 - confidence) / 2:
        return Interval(value=value, low=None, high=None, n=n, method=f"{unbounded:.0%} of the draws have no figure")
    reached = draws[finite]
    return percentile_interval(value, np.clip(draws, reached.min(), reached.max()), n, confidence=confidence)


def pooled_value(side: Pooled) -> float | None:
    """Return the figure itself; None if no case counts or it is undefined."""
    if not side.case_ids:
        return None
    value = float(side.figures(np.ones((1, len(side.case_ids))))[0])
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The ratio of two summed counts, ``of / among``; subclasses count."""

    bounds: tuple[float, float] = (0.0, 1.0)

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return ``of / among`` per row, NaN where ``among`` is 0."""
        columns = dict(zip(names, sums.T, strict=True))
        none = np.zeros(len(sums))
        of, among = columns.get("of", none), columns.get("among", none)
        share: Floats = np.divide(of, among, out=np.full(len(sums), math.nan), where=among > 0)
        return share


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMean(Ratio):
    """The mean over cases of one value, counted as ``of``, with ``among`` 1; its interval is that of any other mean."""

    def values(self, names: Sequence[str], counts: Floats) -> Floats:
        """Return the value of each row of ``counts``."""
        found: Floats = counts[:, list(names).index("of")]
        return found


def kappa_of(table: Floats) -> Floats:
    """Return Cohen's kappa (1960) of square tables of counts, shape ``(..., k, k)``, rows labelled and columns answered.

    NaN if a table is empty or if both sides have the same single value throughout (chance agreement is then 1).
    """
    total = table.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.trace(table, axis1=-2, axis2=-1) / total
        chance = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / total**2
        kappa: Floats = (observed - chance) / (1 - chance)
    return np.where((total > 0) & (chance < 1 - 1e-12), kappa, math.nan)
