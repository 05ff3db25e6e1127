"""Draws intervals, differences and latencies as inline SVG; colours are CSS classes, so that dark mode applies."""

import math
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup, escape

from figures.formatting import format_number
from figures.metric import Metric, Unit

# The style sheet of every page that shows these drawings: the classes used below are its own.
STYLE_SHEET = Path(__file__).resolve().parent / "report.css"
_WIDTH, _HEIGHT, _PAD = 200.0, 16.0, 4.0
# A bound further out than this many times the largest figure is not drawn: it would squeeze all intervals into one dot.
_BOUND_REACH = 3.0
_STRIP_WIDTH, _STRIP_HEIGHT = 640.0, 56.0


def metric_scale(metrics: Sequence[Metric], bound: float | None) -> tuple[float, float]:
    """Return the common scale of one metric's drawings: 0 to 1 for rates, else 0 to just above the largest."""
    if any(metric.unit is Unit.RATE for metric in metrics):
        return 0.0, 1.0
    tops = [top for metric in metrics for top in (metric.value, metric.high) if top is not None]
    top = max(tops, default=1.0)
    if bound is not None and top < bound <= _BOUND_REACH * top:
        top = bound
    return 0.0, top * 1.05 or 1.0


def whisker(metric: Metric, scale: tuple[float, float], *, bound: float | None, label: str) -> Markup:
    """Return the metric as a point with its 95% interval, the bound as a dashed line; "" where nothing was measured."""
    if metric.value is None:
        return Markup("")
    marks = [_line(_PAD, _WIDTH - _PAD, _HEIGHT / 2, "axis")]
    if bound is not None and scale[0] <= bound <= scale[1]:
        marks.append(_tick(_place(bound, scale), "bound"))
    marks += _interval(metric, scale)
    return _svg(marks, label)


def difference(metric: Metric, limit: float, *, margin: float | None, label: str) -> Markup:
    """Return a paired difference on a scale of ``-limit`` to ``limit``, the allowed margin as a dashed line."""
    if metric.value is None:
        return Markup("")
    scale = (-limit, limit)
    marks = [_line(_PAD, _WIDTH - _PAD, _HEIGHT / 2, "axis"), _tick(_WIDTH / 2, "zero")]
    if margin is not None and margin <= limit:
        marks.append(_tick(_place(-margin, scale), "bound"))
    return _svg(marks + _interval(metric, scale), label)


def difference_limit(metrics: Sequence[Metric], margin: float | None) -> float:
    """Return how far a difference's scale must reach to each side of zero."""
    ends = [abs(end) for metric in metrics for end in (metric.low, metric.high, metric.value) if end is not None]
    return max([*ends, margin or 0.0]) * 1.1 or 1.0


def latency_scale(values: Sequence[float]) -> tuple[float, float]:
    """Return a logarithmic scale (in log10 of ms) that holds all ``values``, from power of ten to power of ten."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return float(low), float(max(high, low + 1))


def latency_curve(
    values: Sequence[float], scale: tuple[float, float], quantiles: Sequence[float], *, label: str
) -> Markup:
    """Return the empirical distribution function of ``values`` (at least one) on a logarithmic scale, one dot per call.

    The height is the share of calls that took no longer, bottom 0 and top 1; ticks stand at ``quantiles`` (ms).
    """
    top, bottom = 4.0, _STRIP_HEIGHT - 4.0

    def place(value: float) -> float:
        return _place(math.log10(max(value, 10.0 ** scale[0])), scale, _STRIP_WIDTH)

    marks = [
        Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="2" y2="{1:.0f}"/>').format(
            _place(float(power), scale, _STRIP_WIDTH), _STRIP_HEIGHT - 2
        )
        for power in range(int(scale[0]), int(scale[1]) + 1)
    ]
    points = [
        (place(value), bottom - (bottom - top) * (rank + 1) / len(values)) for rank, value in enumerate(sorted(values))
    ]
    steps = [f"M{_PAD:.1f},{bottom:.1f}", *(f"H{x:.1f}V{y:.1f}" for x, y in points), f"H{_STRIP_WIDTH - _PAD:.1f}"]
    marks.append(Markup('<path class="curve" d="{}"/>').format("".join(steps)))
    marks += [Markup('<circle class="call" cx="{:.1f}" cy="{:.1f}" r="2.2"/>').format(x, y) for x, y in points]
    marks += [
        Markup('<line class="quantile" x1="{0:.1f}" x2="{0:.1f}" y1="1" y2="{1:.0f}"/>').format(
            place(value), _STRIP_HEIGHT - 1
        )
        for value in quantiles
    ]
    return _svg(marks, label, _STRIP_WIDTH, _STRIP_HEIGHT, "strip")


def latency_axis(scale: tuple[float, float]) -> Markup:
    """Return the axis below latency strips, one label per power of ten."""
    powers = range(int(scale[0]), int(scale[1]) + 1)
    marks = []
    for power in powers:
        anchor = "start" if power == powers[0] else "end" if power == powers[-1] else "middle"
        marks.append(
            Markup('<text x="{:.1f}" y="13" text-anchor="{}">{}</text>').format(
                _place(float(power), scale, _STRIP_WIDTH), anchor, format_number(10.0**power, Unit.MS)
            )
        )
    return _svg(marks, "logarithmic axis in ms", _STRIP_WIDTH, 18, "strip")


def _place(value: float, scale: tuple[float, float], width: float = _WIDTH) -> float:
    share = (value - scale[0]) / (scale[1] - scale[0])
    return _PAD + min(max(share, 0.0), 1.0) * (width - 2 * _PAD)


def _interval(metric: Metric, scale: tuple[float, float]) -> list[Markup]:
    assert metric.value is not None
    middle, marks = _HEIGHT / 2, []
    if metric.low is not None and metric.high is not None:
        left, right = _place(metric.low, scale), _place(metric.high, scale)
        marks.append(_line(left, max(right, left + 1), middle, "range"))
    point = _place(metric.value, scale)
    marks.append(Markup('<circle class="point" cx="{:.1f}" cy="{}" r="4"/>').format(point, middle))
    return marks


def _line(left: float, right: float, y: float, name: str) -> Markup:
    return Markup('<line class="{0}" x1="{1:.1f}" x2="{2:.1f}" y1="{3}" y2="{3}"/>').format(name, left, right, y)


def _tick(x: float, name: str) -> Markup:
    return Markup('<line class="{0}" x1="{1:.1f}" x2="{1:.1f}" y1="0" y2="{2}"/>').format(name, x, _HEIGHT)


def _svg(
    marks: Sequence[Markup], label: str, width: float = _WIDTH, height: float = _HEIGHT, name: str = "whisker"
) -> Markup:
    return Markup('<svg class="{}" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        name, width, height, escape(label), Markup("").join(marks)
    )
