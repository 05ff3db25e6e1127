"""Draws the weekly report's charts over days as inline SVG; stroke, shape and label identify a series, never colour."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from figures.formatting import format_number
from figures.metric import Unit
from reports.read.weeks import Week

WIDTH, HEIGHT = 560.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 14.0, 26.0, 30.0
_TICKS = 4
SHAPES = ("circle", "square", "triangle", "diamond")
_STROKES = ("trend", "trend dashed", "trend dotted", "trend long")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPoint:
    """A figure at a local day (fractions are times within the day), with its interval if it has one."""

    day: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLine:
    """A series; ``dots``: drawn as points with intervals, otherwise as a plain line."""

    name: str
    points: Sequence[ChartPoint]
    dots: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A vertical line at a day with a short label: a release or a change point."""

    day: float
    label: str
    kind: str  # release, change


def chart(
    lines: Sequence[ChartLine],
    week: Week,
    *,
    unit: Unit,
    title: str,
    marks: Sequence[Mark] = (),
    bound: float | None = None,
    from_zero: bool = False,
) -> Markup:
    """Return the lines over local days, with the report's week shaded and ``bound`` dashed; "" without points."""
    drawn = [line for line in lines if line.points]
    if not drawn:
        return Markup("")
    days = [point.day for line in drawn for point in line.points]
    first, last = min(-7.0, math.floor(min(days) / 7) * 7.0), 7.0
    low, high = _range(drawn, unit, bound, from_zero)

    def x(day: float) -> float:
        return _LEFT + (day - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    parts = [_rect(x(0), _TOP, x(7) - x(0), HEIGHT - _TOP - _BOTTOM, "week")]
    parts += _axes(week, (first, last), (low, high), unit, x, y)
    if bound is not None and low <= bound <= high:
        parts.append(_line(_LEFT, WIDTH - _RIGHT, y(bound), y(bound), "bound"))
    parts += _marks([mark for mark in marks if first <= mark.day <= last], x)
    for place, line in enumerate(drawn):
        ordered = sorted(line.points, key=lambda point: point.day)
        path = " ".join(f"{x(point.day):.1f},{y(point.value):.1f}" for point in ordered)
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(_STROKES[place % len(_STROKES)], path))
        for point in ordered if line.dots else ():
            if point.low is not None and point.high is not None:
                parts.append(_line(x(point.day), x(point.day), y(point.low), y(point.high), "range thin"))
            parts.append(_shape(SHAPES[place % len(SHAPES)], x(point.day), y(point.value)))
    return Markup(
        '<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}"><title>{}</title>{}</svg>'
    ).format(WIDTH, HEIGHT, title, title, Markup("").join(parts))


def legend(lines: Sequence[ChartLine]) -> Markup:
    """Return the legend: each series' stroke and shape with its name; "" for a single series."""
    drawn = [line for line in lines if line.points]
    if len(drawn) < 2:
        return Markup("")
    items = []
    for place, line in enumerate(drawn):
        mark = Markup('<polyline class="{}" points="1,7 23,7"/>').format(_STROKES[place % len(_STROKES)])
        if line.dots:
            mark += _shape(SHAPES[place % len(SHAPES)], 12.0, 7.0)
        items.append(
            Markup('<span><svg class="key" viewBox="0 0 24 14" aria-hidden="true">{}</svg>{}</span>').format(
                mark, line.name
            )
        )
    return Markup('<span class="legend">{}</span>').format(Markup("").join(items))


def _range(lines: Sequence[ChartLine], unit: Unit, bound: float | None, from_zero: bool) -> tuple[float, float]:
    values = [point.value for line in lines for point in line.points]
    ends = [end for line in lines for point in line.points for end in (point.low, point.high) if end is not None]
    low, high = min(values), max(values)
    if ends:  # the wide interval of one day with three ratings must not compress all others
        room = max(high - low, 0.05 if unit is Unit.RATE else 0.0)
        low, high = max(min(ends), low - room), min(max(ends), high + room)
    if bound is not None:
        low, high = min(low, bound), max(high, bound)
    if from_zero:
        low = 0.0
    room = 0.08 * (high - low) or 0.08 * abs(high) or (0.02 if unit is Unit.RATE else 1.0)
    top, bottom = high + room, low if from_zero else low - room
    if unit is Unit.RATE:
        top, bottom = min(top, 1.0) if high <= 1 else top, max(bottom, 0.0)
        if top - bottom < 0.01:
            top = bottom + 0.01
    return bottom, top


def _axes(week: Week, days: tuple[float, float], values: tuple[float, float], unit: Unit, x, y) -> list[Markup]:  # type: ignore[no-untyped-def]
    bottom = HEIGHT - _BOTTOM
    parts = []
    for value in _ticks(*values):
        parts.append(_line(_LEFT, WIDTH - _RIGHT, y(value), y(value), "grid"))
        # A tick is not a measurement, so its label need not distinguish 1.00 from 0.999.
        label = _tick_label(value, values[1] - values[0], unit)
        parts.append(_text(_LEFT - 6, y(value) + 4, label, "end"))
    weeks = int((days[1] - days[0]) / 7)
    step = 1 if weeks <= 7 else 2 if weeks <= 14 else 4
    for back in range(0, weeks, step):
        day = -7.0 * back
        monday = week.day(int(day))
        parts.append(_line(x(day), x(day), bottom, bottom + 4, "axis"))
        parts.append(_text(x(day + 3.5), bottom + 18, f"{monday.day} {monday:%b}", "middle"))
    parts.append(_line(_LEFT, WIDTH - _RIGHT, bottom, bottom, "axis"))
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Return three to six round values within the range."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [step * place for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _tick_label(value: float, span: float, unit: Unit) -> str:
    if unit is Unit.RATE:
        return f"{value:.3f}" if span < 0.09 else f"{value:.2f}"
    if unit is Unit.USD and value:
        return f"${value:.{max(2, 1 - math.floor(math.log10(span)))}f}"
    return format_number(value, unit)


def _marks(marks: Sequence[Mark], x) -> list[Markup]:  # type: ignore[no-untyped-def]
    """Return vertical lines with labels above the plot; a label too close to the one before shows only as the line's title."""
    parts, free_from = [], -math.inf
    for mark in sorted(marks, key=lambda mark: (mark.day, mark.kind)):
        place = x(mark.day)
        parts.append(
            Markup(
                '<line class="mark {}" x1="{:.1f}" x2="{:.1f}" y1="{:.0f}" y2="{:.0f}"><title>{}</title></line>'
            ).format(mark.kind, place, place, _TOP - 6, HEIGHT - _BOTTOM, mark.label)
        )
        width = 6.2 * len(mark.label)
        anchor = "end" if place + width / 2 > WIDTH - 2 else "start" if place - width / 2 < 2 else "middle"
        left = place - {"end": width, "start": 0.0, "middle": width / 2}[anchor]
        if left >= free_from:
            parts.append(_text(place, _TOP - 10, mark.label, anchor))
            free_from = left + width + 4
    return parts


def _shape(shape: str, x: float, y: float) -> Markup:
    if shape == "square":
        return Markup('<rect class="point hollow" x="{:.1f}" y="{:.1f}" width="7" height="7"/>').format(
            x - 3.5, y - 3.5
        )
    if shape == "triangle":
        points = f"{x:.1f},{y - 4.6:.1f} {x + 4.4:.1f},{y + 3.4:.1f} {x - 4.4:.1f},{y + 3.4:.1f}"
        return Markup('<polygon class="point" points="{}"/>').format(points)
    if shape == "diamond":
        points = f"{x:.1f},{y - 5:.1f} {x + 5:.1f},{y:.1f} {x:.1f},{y + 5:.1f} {x - 5:.1f},{y:.1f}"
        return Markup('<polygon class="point hollow" points="{}"/>').format(points)
    return Markup('<circle class="point" cx="{:.1f}" cy="{:.1f}" r="3.6"/>').format(x, y)


def _line(x1: float, x2: float, y1: float, y2: float, name: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(name, x1, x2, y1, y2)


def _rect(x: float, y: float, width: float, height: float, name: str) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        name, x, y, width, height
    )


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)
