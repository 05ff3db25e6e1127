"""The page's table of figures: a line per metric and pair with this week's figure, the week before's, and the change."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from figures.formatting import MISSING, format_number
from figures.metric import Unit
from figures.stats import Interval
from figures.svg import metric_scale, whisker
from reports.compare.comparisons import Comparison
from reports.compare.findings import WeekFinding, change_text, figure
from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import WeekColumn, WeekFigure, WeeklyReport
from reports.read.counts import ALL
from reports.read.metrics import COST, SMALLEST, WeeklyMetric
from reports.write.view import as_metric, badge, result_of
from service.kit.frame.display.inert import one_line

_MOST_WORSE = 3
# What a reader looks for first; the other figures are behind a click.
KEY_FIGURES = (
    "approval_rate",
    "helpful_rate",
    "unhelpful_rate",
    "feedback_share",
    "edit_rate",
    "degraded_rate",
    "latency_p95",
    "cost_written",
    "grounding_rate",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureLine:
    """One metric of one pair; ``results`` holds words with their CSS class, of the target and of the change."""

    name: str
    pair: str
    reason: str
    now: str
    n: str
    drawing: Markup
    before: str
    change: str
    results: tuple[tuple[str, str], ...]


def worse_lines(report: WeeklyReport) -> list[FigureLine]:
    """Return a line for each change for the worse, so that the table begins with what the headline says.

    Its "before" is the side that the finding compares with: often the release before, which may be older than a week.
    """
    return [_worse_line(item, several=len(report.columns) > 1) for item in report.worse[:_MOST_WORSE]]


def _worse_line(item: WeekFinding, *, several: bool) -> FigureLine:
    first, metric = item.first, item.metric
    ours, theirs = first.contrast.ours, first.contrast.theirs
    name = f"{metric.title} for {one_line(first.slice, 48)}" if first.dimension else metric.title
    before = f"{format_number(theirs.value, metric.unit)} {_before_words(first)}"
    scale = _scale(metric, [ours, theirs])
    label = f"{name}: {figure(metric, ours)}, n={ours.n:,}"
    return FigureLine(
        name=name,
        pair=first.baseline.label if several else "",
        reason=metric.reason,
        now=figure(metric, ours),
        n=f"{ours.n:,}",
        drawing=whisker(as_metric(metric, ours), scale, bound=metric.target, label=label),
        before=before,
        change=change_text(first),
        results=(badge(item.result),),
    )


def _before_words(item: Comparison) -> str:
    words = {
        "week before": "the week before",
        "release before": f"with the release before, {item.baseline.their_label}",
        "production beside it": f"in production, {item.baseline.their_label}",
    }
    return words[item.baseline.against]


def figure_lines(report: WeeklyReport) -> tuple[list[FigureLine], list[FigureLine]]:
    """Return the lines of the key figures and those of all others, each metric's pairs below each other."""
    lines = {
        metric.name: [_line(report, metric, column) for column in report.columns]
        for metric in sorted(report.counts.metrics.every, key=lambda metric: _place(metric.name))
    }
    key = [line for name, found in lines.items() if name in KEY_FIGURES for line in found]
    return key, [line for name, found in lines.items() if name not in KEY_FIGURES for line in found]


def _place(name: str) -> int:
    return KEY_FIGURES.index(name) if name in KEY_FIGURES else len(KEY_FIGURES)


def _line(report: WeeklyReport, metric: WeeklyMetric, column: WeekColumn) -> FigureLine:
    now, before = (report.figures[metric.name, column.digest, period].side for period in (0, -1))
    changed = _against_last_week(report, metric, column)
    empty = "no priced answer" if metric.name == COST.name else "no data"
    return FigureLine(
        name=metric.title,
        pair=column.label if len(report.columns) > 1 else "",
        reason=metric.reason + _planned(report, column, now if metric.name == COST.name else None),
        now=empty if now is None else figure(metric, now),
        n="" if now is None else f"{now.n:,}",
        drawing=Markup("") if now is None else _drawing(report, metric, now),
        before=MISSING if before is None else format_number(before.value, metric.unit),
        change=MISSING if changed is None or changed.contrast.difference is None else change_text(changed),
        results=_results(report.figures[metric.name, column.digest, 0], changed),
    )


def _against_last_week(report: WeeklyReport, metric: WeeklyMetric, column: WeekColumn) -> Comparison | None:
    """Return the comparison of all pairs where there is one column only, which the comparisons do not name by its pair."""
    wanted = {column.digest, ALL} if len(report.columns) == 1 else {column.digest}
    for item in report.whole:
        mine = item.baseline.digest in wanted and item.baseline.against == "week before"
        if mine and item.contrast.metric is metric:
            return item
    return None


def _results(now: WeekFigure, changed: Comparison | None) -> tuple[tuple[str, str], ...]:
    if now.side is None:
        return ()
    if now.side.n < SMALLEST:
        return ((f"… n={now.side.n}: too few to say", "few"),)
    found = [badge(now.target)] if now.target is not ComparisonResult.NONE else []
    if changed is not None and changed.result is not ComparisonResult.NONE:
        found.append(result_of(changed))
    return tuple(found)


def _drawing(report: WeeklyReport, metric: WeeklyMetric, now: Interval) -> Markup:
    peers = [report.figures[metric.name, column.digest, period].side for column in report.columns for period in (0, -1)]
    scale = _scale(metric, [side for side in peers if side is not None])
    label = f"{metric.title}: {figure(metric, now)}, n={now.n:,}"
    return whisker(as_metric(metric, now), scale, bound=metric.target, label=label)


def _scale(metric: WeeklyMetric, sides: Sequence[Interval]) -> tuple[float, float]:
    """Return the common scale of a metric's lines; low rates get a narrower scale, so that their intervals are visible."""
    top = max([*(side.high or side.value for side in sides), metric.target or 0.0])
    if metric.unit is Unit.RATE and top < 0.4:
        return 0.0, max(top * 1.4, 0.01)
    return metric_scale([as_metric(metric, side) for side in sides], metric.target)


def _planned(report: WeeklyReport, column: WeekColumn, cost: Interval | None) -> str:
    """Return the planned cost of the column's pair and its ratio to the metered ``cost``; "" where no cost was planned."""
    pair = next((pair for pair in report.pairs if pair.digest == column.digest or len(report.pairs) == 1), None)
    if pair is None or pair.stated_cost is None or cost is None:
        return ""
    low, high = pair.stated_cost
    text = f"; planned ${low} to ${high}"
    return text + (
        f", {float(low) / cost.value:.0f} to {float(high) / cost.value:.0f} times the metered cost"
        if cost.value > 0
        else ""
    )
