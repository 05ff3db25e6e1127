"""Draws a sweep's charts: quality over cost or latency, with intervals as bars and the Pareto front as a line."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from eval.instruments.sweep.points import SweepPoint
from figures.formatting import format_metric, format_number
from figures.metric import Metric, Unit

WIDTH, HEIGHT = 560.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 16.0, 14.0, 40.0
_TICKS = 4


def scatter(points: Sequence[SweepPoint], axis: str, *, higher_is_better: bool, title: str) -> Markup:
    """Return a chart of quality (vertical) over ``axis``, "cost" or "latency" (horizontal).

    Returns "" when no point has both figures, and when every cost is 0, because the table shows as much. Points are numbered by
    their place in ``points``, from 1. Costs have a linear scale from 0, latencies a logarithmic one.
    """
    drawn = [
        (number, point, quality, across)
        for number, point in enumerate(points, start=1)
        if (quality := point.quality) is not None and (across := getattr(point, axis)) is not None
    ]
    if not drawn or not any(across.value for *_, across in drawn):
        return Markup("")
    logarithmic = axis == "latency"
    xs = _range([across for *_, across in drawn], logarithmic=logarithmic, from_zero=not logarithmic)
    ys = _range([quality for *_, quality, _ in drawn], logarithmic=False, from_zero=False)
    marks = _axes(drawn[0][3].unit, drawn[0][2].unit, xs, ys, logarithmic=logarithmic)

    def x(value: float) -> float:
        share = (_scaled(value, logarithmic) - xs[0]) / (xs[1] - xs[0])
        return _LEFT + min(max(share, 0.0), 1.0) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - ys[0]) / (ys[1] - ys[0]) * (HEIGHT - _TOP - _BOTTOM)

    front = _front([(across.value or 0.0, quality.value or 0.0) for *_, quality, across in drawn], higher_is_better)
    if len(front) > 1:
        path = " ".join(f"{x(across):.1f},{y(quality):.1f}" for across, quality in front)
        marks.append(Markup('<polyline class="front" points="{}"/>').format(path))
    for number, point, quality, across in drawn:
        assert quality.value is not None
        assert across.value is not None
        centre = x(across.value), y(quality.value)
        if across.low is not None and across.high is not None:
            marks.append(_line(x(across.low), x(across.high), centre[1], centre[1], "range thin"))
        if quality.low is not None and quality.high is not None:
            marks.append(_line(centre[0], centre[0], y(quality.low), y(quality.high), "range thin"))
        words = f"{number} {point.name}: {format_metric(quality)}, {format_metric(across)}, {point.headline}"
        kind = f"cell {point.verdict.value}{' standin' if point.stand_in else ''}"
        marks.append(
            Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="8"><title>{}</title></circle>').format(
                kind, *centre, words
            )
        )
        marks.append(
            Markup('<text class="number" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
                centre[0], centre[1] + 3.6, number
            )
        )
    return Markup('<svg class="scatter" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, title, Markup("").join(marks)
    )


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(max(value, 1e-3)) if logarithmic else value


def _range(metrics: Sequence[Metric], *, logarithmic: bool, from_zero: bool) -> tuple[float, float]:
    ends = [end for metric in metrics for end in (metric.low, metric.value, metric.high) if end is not None]
    scaled = [_scaled(end, logarithmic) for end in ends]
    low, high = (0.0 if from_zero else min(scaled)), max(scaled)
    room = 0.08 * (high - low) or 0.08 * abs(high) or 1.0
    top = high + room
    if metrics[0].unit is Unit.RATE and not logarithmic:
        top = max(min(top, 1.0), high)  # quality does not exceed 1
    return (low if from_zero else low - room), top


def _front(figures: Sequence[tuple[float, float]], higher_is_better: bool) -> list[tuple[float, float]]:
    """Return the points ``(across, quality)`` that no other beats in both, from left to right; less ``across`` is better."""
    best: list[tuple[float, float]] = []
    sign = 1.0 if higher_is_better else -1.0
    for across, quality in sorted(set(figures), key=lambda figure: (figure[0], -sign * figure[1])):
        if not best or sign * quality > sign * best[-1][1]:
            best.append((across, quality))
    return best


def _axes(
    across: Unit, upwards: Unit, xs: tuple[float, float], ys: tuple[float, float], *, logarithmic: bool
) -> list[Markup]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    marks = [_line(_LEFT, right, bottom, bottom, "axis"), _line(_LEFT, _LEFT, _TOP, bottom, "axis")]
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        value = xs[0] + share * (xs[1] - xs[0])
        place = _LEFT + share * (right - _LEFT)
        anchor = "start" if tick == 0 else "end" if tick == _TICKS else "middle"
        text = format_number(10.0**value if logarithmic else value, across)
        marks.append(_text(place, bottom + 16, text, anchor))
        height = bottom - share * (bottom - _TOP)
        marks.append(_line(_LEFT, right, height, height, "grid"))
        # A tick is not a measurement, so its label need not distinguish 1.00 from 0.9999.
        level = ys[0] + share * (ys[1] - ys[0])
        label = f"{level:.2f}" if upwards is Unit.RATE else format_number(level, upwards)
        marks.append(_text(_LEFT - 6, height + 4, label, "end"))
    return marks


def _line(x1: float, x2: float, y1: float, y2: float, name: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(name, x1, x2, y1, y2)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)
