"""Converts a query's rows to figures: value, 95% interval, n, and whether the sample is small."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from service.dashboards.definitions import Measure, Visual
from service.rollouts.live_counts import wilson

Z95 = 1.959963984540054
# With fewer cases, Wilson's interval of a share near 15% is wider than 25 points and cannot separate good days from bad ones.
SMALL = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardFigure:
    """A value with its 95% interval: ``value`` is None if nothing was measured, an end is None if ``n`` is too small for it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    small: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRow:
    """One row of a query: its key (a day or pair, for example; None: the whole range) and its figures by measure name.

    ``column`` is the second key of a heatmap's row.
    """

    key: str | None
    figures: Mapping[str, DashboardFigure]
    column: str | None = None


def rows_of(visual: Visual, records: Iterable[Mapping[str, Any]]) -> Sequence[FigureRow]:
    """Return the figures of the visual's query result; NaN and NaT count as missing."""
    return tuple(
        FigureRow(
            key=None if visual.by is None else _key(record[visual.by]),
            figures={measure.name: figure(measure, record) for measure in visual.measures},
            column=None if visual.across_by is None else _key(record[visual.across_by]),
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
    # A missing end of the interval means that there were too few cases for this figure.
    open_ended = (measure.low is not None and low is None) or (measure.high is not None and high is None)
    few = n is not None and measure.low is not None and n < SMALL
    return DashboardFigure(value=value, low=low, high=high, n=n, small=open_ended or few)


def _share(part: int, whole: int) -> DashboardFigure:
    if whole == 0:
        return DashboardFigure(value=None, n=0)
    low, high = wilson(part, whole, Z95)
    return DashboardFigure(value=part / whole, low=low, high=high, n=whole, small=whole < SMALL)


def _odds(part: int, other: int) -> DashboardFigure:
    """Return the odds ``part / other``; the interval is Wilson's for the share, converted to odds, which grow with the share."""
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
