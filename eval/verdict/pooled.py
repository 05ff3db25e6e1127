"""Figures from counts summed over all cases, such as ratios of sums and Cohen's kappa, rather than means of case scores.

A pool counts each case; a figure is computed from the sums. The bootstrap draws cases, because the counts of one case, such
as its ten criteria, are not independent. A pool must combine a case's repeats so that they weigh as one case.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.cases import Case
from eval.pool import Pool
from eval.results import CaseResult
from figures.arrays import Floats
from figures.stats import CONFIDENCE, Interval, percentile_interval, resample_weights, unseen_share
from service.task import TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """One arm's counts: one row per case with counts, one column per name."""

    pool: Pool
    case_ids: tuple[str, ...]
    names: tuple[str, ...]
    counts: Floats

    def figures(self, weights: Floats) -> Floats:
        """Return the figure of each row of ``weights``: how often each case counts."""
        return self.pool.figures(self.names, weights @ self.counts)


def pooled(pool: Pool, results: Sequence[CaseResult], cases: Mapping[str, Case]) -> Pooled:
    """Return the counts of ``results`` without the failed ones, which other metrics count."""
    answered: dict[str, list[TaskResult]] = {}
    for item in results:
        if item.result.failure is None:
            answered.setdefault(item.case_id, []).append(item.result)
    rows = {name: counts for name, found in answered.items() if (counts := pool.counts(cases[name], found))}
    names = tuple(sorted({name for counts in rows.values() for name in counts}))
    table = np.array([[counts.get(name, 0.0) for name in names] for counts in rows.values()], dtype=float)
    return Pooled(pool=pool, case_ids=tuple(rows), names=names, counts=table.reshape(len(rows), len(names)))


def pooled_interval(side: Pooled, *, seed: int, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the figure with its percentile bootstrap interval over cases; None if it is undefined.

    If all draws give the same figure, the interval is widened by Wilson's share of cases: events that never occurred in
    ``n`` cases may still occur in that share.
    """
    n = len(side.case_ids)
    value = _value(side)
    if value is None:
        return None
    if n < 2:
        return percentile_interval(value, np.array([value]), n, confidence=confidence)
    draws = side.figures(resample_weights(n, seed))
    draws = draws[~np.isnan(draws)]
    if np.ptp(draws) < 1e-12:
        unseen = unseen_share(n, confidence)
        low, high = (value + unseen * (bound - value) for bound in side.pool.bounds)
        return Interval(value=value, low=low, high=high, n=n, method="all draws equal: Wilson")
    return percentile_interval(value, draws, n, confidence=confidence)


def pooled_difference(
    ours: Sequence[CaseResult],
    theirs: Sequence[CaseResult],
    pool: Pool,
    cases: Mapping[str, Case],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Return ours minus theirs on the cases that both have counts of; paired, both use the same draws."""
    counted = [set(pooled(pool, side, cases).case_ids) for side in (ours, theirs)]
    both = counted[0] & counted[1]
    a, b = (
        _in_order(pooled(pool, [item for item in side if item.case_id in both], cases), cases)
        for side in (ours, theirs)
    )
    values = _value(a), _value(b)
    if values[0] is None or values[1] is None:
        return None
    if len(both) < 2:
        return percentile_interval(values[0] - values[1], np.zeros(1), len(both), confidence=confidence)
    weights = resample_weights(len(both), seed)
    draws = a.figures(weights) - b.figures(weights)
    draws = draws[~np.isnan(draws)]
    value = values[0] - values[1]
    if np.ptp(draws) < 1e-12:
        reach = unseen_share(len(both), confidence) * (pool.bounds[1] - pool.bounds[0])
        return Interval(
            value=value, low=value - reach, high=value + reach, n=len(both), method="all draws equal: Wilson"
        )
    return percentile_interval(value, draws, len(both), confidence=confidence)


def _in_order(side: Pooled, cases: Mapping[str, Case]) -> Pooled:
    place = {case_id: number for number, case_id in enumerate(cases)}
    order = sorted(range(len(side.case_ids)), key=lambda row: place[side.case_ids[row]])
    return Pooled(
        pool=side.pool,
        case_ids=tuple(side.case_ids[row] for row in order),
        names=side.names,
        counts=side.counts[order],
    )


def _value(side: Pooled) -> float | None:
    if not side.case_ids:
        return None
    value = float(side.figures(np.ones((1, len(side.case_ids))))[0])
    return None if math.isnan(value) else value


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
