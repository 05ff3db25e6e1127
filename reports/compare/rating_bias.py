"""RatingBias bias of the ratings: the share of rated answers by slice, and the helpful rate weighted by answers."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from figures.stats import Interval
from reports.read.counts import ComparedSide, WeekCounts, slice_name
from reports.read.metrics import SMALLEST
from reports.read.samples import Rate

_CELL = 5  # smallest number of ratings in a cell of channel and intent that may stand for its unrated answers


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedShare:
    """The share of a slice's answers that were rated."""

    slice: str
    share: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingBias:
    """Which answers were rated, and how that may bias the helpful rate.

    ``reweighted`` is the helpful rate with each cell of channel and intent weighted by its answers instead of its ratings; None
    where such cells cover half of the answers or less. ``uneven`` names the dimensions in which the rated share differs beyond
    chance.
    """

    overall: Interval | None
    shares: tuple[RatedShare, ...]
    uneven: tuple[str, ...]
    helpful: float | None
    reweighted: float | None
    covered: float  # share of the answers that are in a cell with enough ratings


def selection(counts: WeekCounts, side: ComparedSide) -> RatingBias:
    """Return which of the answers on ``side`` were rated."""
    total = counts.total(side)
    answers, rated = int(total["answers"]), int(total["rated"])
    shares: list[RatedShare] = []
    uneven = []
    for dimension in counts.dimensions:
        by_value = counts.by_slice(side, dimension)
        table = []
        for value in counts.values(dimension):
            sums = by_value.get(value)
            if sums is None or sums["answers"] == 0:
                continue
            n = int(sums["answers"])
            shares.append(
                RatedShare(slice=slice_name(dimension, value), share=Rate(successes=int(sums["rated"]), n=n).interval())
            )
            if n >= SMALLEST:
                table.append([sums["rated"], n - sums["rated"]])
        grid = np.array(table)
        if len(table) > 1 and grid.sum(axis=0).min() > 0 and stats.chi2_contingency(grid).pvalue < 0.01:
            uneven.append(dimension)
    cells = (
        counts.data.cube[side.of(counts.data.cube)]
        .groupby(["channel", "intent"])[["answers", "rated", "helpful"]]
        .sum()
    )
    rated_cells = cells[cells["rated"] >= _CELL]
    covered = float(rated_cells["answers"].sum() / answers) if answers else 0.0
    reweighted = None
    if len(rated_cells) and covered > 0.5:
        reweighted = float(
            (rated_cells["helpful"] / rated_cells["rated"] * rated_cells["answers"]).sum()
            / rated_cells["answers"].sum()
        )
    return RatingBias(
        overall=Rate(successes=rated, n=answers).interval() if answers else None,
        shares=tuple(shares),
        uneven=tuple(uneven),
        helpful=total["helpful"] / rated if rated else None,
        reweighted=reweighted,
        covered=covered,
    )
