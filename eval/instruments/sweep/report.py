"""Writes a sweep for people (``sweep.html``) and for machines (``sweep.json``)."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from markupsafe import Markup

from eval.instruments.sweep.points import SweepPoint
from eval.report.check_table import badge
from eval.report.conclusions import baseline_sentence, judge_status, limit_text, stand_in_warning, table_metrics, why
from eval.report.page import page_template
from eval.spine.results import Evaluation
from eval.spine.suite import MetricSpec, Suite
from figures.files import write_whole
from figures.formatting import format_metric, format_number
from figures.metric import Metric, Unit
from figures.svg import STYLE_SHEET
from service.kit.frame.display.inert import visible

SCHEMA = "sweep-report-v1"
HTML_NAME, JSON_NAME = "sweep.html", "sweep.json"


def write_sweep(
    evaluation: Evaluation, suite: Suite, quality: MetricSpec, points: Sequence[SweepPoint], folder: Path
) -> Path:
    """Write both files into ``folder``, each as a whole or not at all, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {
        "schema": SCHEMA,
        "evaluation": evaluation.run_id,
        "task": evaluation.task,
        "dataset_name": evaluation.dataset_name,
        "dataset_digest": evaluation.dataset_digest,
        "suite_digest": evaluation.suite_digest,
        "environment": evaluation.environment,
        "quality": quality.name,
        "points": [asdict(point) for point in points],
    }
    write_whole(folder / JSON_NAME, visible(json.dumps(plain, indent=1, ensure_ascii=False)) + "\n")
    path = folder / HTML_NAME
    write_whole(path, render_sweep(evaluation, suite, quality, points))
    return path


def render_sweep(evaluation: Evaluation, suite: Suite, quality: MetricSpec, points: Sequence[SweepPoint]) -> str:
    """Return the page as HTML without scripts and external resources."""
    specs = table_metrics(suite)
    pairs = {pair.pair_name: pair for pair in evaluation.pairs}
    pictures = [
        (caption, picture)
        for caption, axis in (("cost of one answer, prompt cache cold", "cost"), ("latency, p50", "latency"))
        if (
            picture := scatter(
                points, axis, higher_is_better=quality.higher_is_better, title=f"{quality.name} over {caption}"
            )
        )
    ]
    rows = [
        (
            point,
            badge(point.verdict),
            "; ".join(filter(None, (limit_text(pairs[point.name]), why(pairs[point.name])))),
            [
                format_metric(metric, evaluation.case_count)
                if (metric := pairs[point.name].metrics.get(spec.name))
                else "–"
                for spec in specs
            ],
        )
        for point in points
    ]
    page = page_template("sweep.html.j2").render(
        e=evaluation,
        quality=quality,
        pictures=pictures,
        rows=rows,
        specs=specs,
        front=[point.name for point in points if point.front],
        missing=[point.name for point in points if point.front is None],
        warning=stand_in_warning(evaluation),
        baseline=baseline_sentence(evaluation),
        judge=judge_status(evaluation),
        style=STYLE_SHEET.read_text(encoding="utf-8"),
    )
    return visible(page)


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
