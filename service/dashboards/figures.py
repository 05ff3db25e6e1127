"""Turns a query's rows into figures: value, 95% interval, n, and whether the sample is too small to say much."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from service.dashboards.definitions import Measure, Visual
from service.rollouts.live_counts import wilson

Z95 = 1.959963984540054
# Below it Wilson's interval of a share near 15% is wider than 25 points: it tells a good day from a bad one no more.
SMALL = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardFigure:
    """``value`` is None where nothing was measured; an end that is None could not be known from ``n`` cases."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    small: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRow:
    """One row of a query: its day, pair or other key (None: the whole range) and its figures by the measure's name."""

    key: str | None
    figures: Mapping[str, DashboardFigure]


def rows_of(visual: Visual, records: Iterable[Mapping[str, Any]]) -> Sequence[FigureRow]:
    """Return the figures of what the visual's query gave; NaN and NaT count as nothing."""
    return tuple(
        FigureRow(
            key=None if visual.by is None else _key(record[visual.by]),
            figures={measure.name: figure(measure, record) for measure in visual.measures},
        )
        for record in records
    )


def figure(measure: Measure, record: Mapping[str, Any]) -> DashboardFigure:
    """Return one measure of one row."""
    if measure.of is not None:
        part, whole = (int(_number(record[name]) or 0) for name in measure.of)
        return _share(part, whole) if measure.unit == "rate" else _odds(part, whole)
    assert measure.column is not None
    value, n = _number(record[measure.column]), None if measure.n is None else int(_number(record[measure.n]) or 0)
    if value is None or n == 0:
        return DashboardFigure(value=None, n=n)
    low = None if measure.low is None else _number(record[measure.low])
    high = None if measure.high is None else _number(record[measure.high])
    # An interval that lacks an end says by itself that there were too few cases for this figure.
    open_ended = (measure.low is not None and low is None) or (measure.high is not None and high is None)
    few = n is not None and measure.low is not None and n < SMALL
    return DashboardFigure(value=value, low=low, high=high, n=n, small=open_ended or few)


def _share(part: int, whole: int) -> DashboardFigure:
    if whole == 0:
        return DashboardFigure(value=None, n=0)
    low, high = wilson(part, whole, Z95)
    return DashboardFigure(value=part / whole, low=low, high=high, n=whole, small=whole < SMALL)


def _odds(part: int, other: int) -> DashboardFigure:
    """Return ``part`` for each ``other``, with Wilson's interval of the share carried over (odds grow with the share)."""
    n = part + other
    if other == 0:
        return DashboardFigure(value=None, n=n)
    low, high = wilson(part, n, Z95)
    return DashboardFigure(
        value=part / other, low=low / (1 - low), high=None if high == 1 else high / (1 - high), n=n, small=n < SMALL
    )


def _number(value: Any) -> float | None:
    if value is None or value != value:  # NaN and NaT are unequal to themselves
        return None
    number = float(value)
    return None if math.isnan(number) else number


def _key(value: Any) -> str:
    # Timestamps of a frame are dates with a time of zero.
    return value.isoformat()[:10] if isinstance(value, date) else str(value)
