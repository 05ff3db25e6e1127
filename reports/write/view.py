"""The page's tables as rows and cells with formatted text, so that page and digest print the same figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup
from scipy import special

from figures.formatting import MISSING, format_number
from figures.metric import Metric, Unit
from figures.stats import POWER, Interval, normal_quantile
from figures.svg import difference as draw_difference
from figures.svg import difference_limit
from reports.compare.call_scores import CallFigure
from reports.compare.comparisons import Baseline, Comparison
from reports.compare.difference import turned
from reports.compare.false_discovery import FIRST_SHARE
from reports.compare.findings import change_text
from reports.compare.outcomes import LOOKS, SIGNS, ComparisonResult
from reports.compare.weekly import WeeklyReport
from reports.read.metrics import HELPFUL, WeeklyMetric

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent / "templates"
_NOTHING = Markup("")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCell:
    """A table cell: its figure, a drawing, the result with its CSS class (``look``), and a remark in small print."""

    text: str = MISSING
    drawing: Markup = _NOTHING
    result: str = ""
    look: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """A table row: its name, a remark in small print, and the cells."""

    name: str
    remark: str
    cells: tuple[ReportCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """This week's figures of a form's agent groups; ``left_out`` counts those that are not among the columns."""

    titles: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTable:
    """A table on one form's scored calls; ``open``: a figure of it changed, so that it is not folded.

    Of a reader of the sentiment, ``unread`` says why calls have none, and ``compared`` whether its shares are compared.
    """

    title: str
    rows: tuple[ReportRow, ...]
    titles: tuple[str, ...] = ()
    words: str = ""
    open: bool = False
    compared: bool = True
    unread: str = ""
    groups: GroupTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSection:
    """A section on scored calls; ``changes`` are the first sentences on what changed, ``further`` counts the others.

    ``tested`` counts the comparisons with the week before in each family of tests.
    """

    base: str
    tables: tuple[CallTable, ...]
    tested: tuple[int, ...]
    words: str = ""
    open: bool = False
    compared: bool = True
    changes: tuple[str, ...] = ()
    further: int = 0


def changes_words(changed: Sequence[CallFigure]) -> str:
    """Return how many figures changed each way: ``, 2 worse, 1 better``."""
    results = [item.result for item in changed]
    counts = ((results.count(result), result.value) for result in (ComparisonResult.WORSE, ComparisonResult.BETTER))
    return "".join(f", {count} {word}" for count, word in counts if count)


def templates() -> "Environment":
    """Return the environment of this folder's templates; what goes into HTML is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def badge(result: ComparisonResult) -> tuple[str, str]:
    """Return the result with its sign, and its CSS class; the sign makes it readable without colour."""
    return f"{SIGNS[result]} {result.value}".strip(), LOOKS[result]


def as_metric(metric: WeeklyMetric, side: Interval, *, unit: Unit | None = None) -> Metric:
    """Return a figure of the week in the form that the drawings take."""
    return Metric(
        name=metric.name,
        unit=unit or metric.unit,
        higher_is_better=metric.higher_is_better,
        value=side.value,
        low=side.low,
        high=side.high,
        n=side.n,
    )


def change_rows(report: WeeklyReport, baselines: Sequence[Baseline]) -> list[ReportRow]:
    """Return the differences of whole pairs with one column per baseline; in the drawings, right is better for every metric."""
    rows = []
    for metric in report.counts.metrics.compared:
        found = [
            next((c for c in report.whole if c.baseline == baseline and c.contrast.metric is metric), None)
            for baseline in baselines
        ]
        drawn = [_turned(item) for item in found if item is not None]
        limit = difference_limit([item for item in drawn if item is not None], metric.margin)
        margin = f"{metric.margin:.0%}" if metric.relative else f"{metric.margin:g}"
        rows.append(
            ReportRow(
                name=metric.title, remark=f"margin {margin}", cells=tuple(_change_cell(item, limit) for item in found)
            )
        )
    return rows


def baselines_of(items: Sequence[Comparison]) -> list[Baseline]:
    """Return the distinct baselines, in order."""
    return list(dict.fromkeys(item.baseline for item in items))


def baseline_title(baseline: Baseline) -> str:
    """Return ``nova-lite v1.1.0 against nova-lite v1.0.0 (previous release)``."""
    remark = {
        "week before": "",
        "release before": " (previous release)",
        "production beside it": " (in production at the same time)",
    }[baseline.against]
    return f"{baseline.label} against {baseline.their_label}{remark}"


def _turned(item: Comparison) -> Metric | None:
    """Return the difference with the sign turned so that positive is better."""
    between, metric = item.contrast.difference, item.contrast.metric
    if between is None:
        return None
    return as_metric(metric, turned(metric, between), unit=Unit.CHANGE if metric.relative else metric.unit)


def _change_cell(item: Comparison | None, limit: float) -> ReportCell:
    if item is None:
        return ReportCell(remark="no data on one side")
    drawn, metric = _turned(item), item.contrast.metric
    result, look = result_of(item)
    small = item.result is ComparisonResult.TOO_FEW
    return ReportCell(
        text=change_text(item),
        drawing=draw_difference(drawn, limit, margin=metric.margin, label=f"{metric.title}: {change_text(item)}")
        if drawn is not None and not small
        else Markup(""),
        result=result,
        look=look,
        remark=sides(item),
    )


def sides(item: Comparison) -> str:
    """Return the figures of both sides with their n."""
    found, unit = item.contrast, item.contrast.metric.unit
    ours, theirs = (f"{format_number(side.value, unit)} (n={side.n:,})" for side in (found.ours, found.theirs))
    return f"{ours} against {theirs}"


def result_of(item: Comparison) -> tuple[str, str]:
    """Return the result with sign, and its CSS class; small samples show their n, explained changes the slice they follow."""
    if item.result is ComparisonResult.TOO_FEW:
        return f"… n={min(item.contrast.ours.n, item.contrast.theirs.n)}: too few to say", "few"
    text, look = badge(item.result)
    if item.part_of:
        return f"{text}, part of {item.part_of}", "inconclusive"
    return text, look


def slice_rows(report: WeeklyReport, baseline: Baseline) -> list[ReportRow]:
    """Return one row per slice and one cell per metric, against one baseline."""
    mine: dict[tuple[str, str], dict[str, Comparison]] = {}
    for item in report.sliced:
        if item.baseline == baseline:
            mine.setdefault((item.dimension, item.value), {})[item.contrast.metric.name] = item
    rows = []
    for found in mine.values():
        any_of = next(iter(found.values()))
        rows.append(
            ReportRow(
                name=any_of.slice,
                remark=smallest_drop(report, found.get(HELPFUL.name)),
                cells=tuple(_slice_cell(found.get(metric.name)) for metric in report.counts.metrics.sliced),
            )
        )
    return rows


def _slice_cell(item: Comparison | None) -> ReportCell:
    if item is None:
        return ReportCell()
    result, look = result_of(item)
    if item.result is ComparisonResult.TOO_FEW:
        return ReportCell(text="", result=result, look=look)
    return ReportCell(
        text=format_number(item.contrast.ours.value, item.contrast.metric.unit),
        result=result,
        look=look,
        remark=f"{change_text(item)}, n={item.contrast.ours.n:,}",
    )


def smallest_drop(report: WeeklyReport, item: Comparison | None) -> str:
    """Return the smallest true drop of the helpful rate detected with 80% power, as a remark; "" where nothing was tested.

    Computed at the level of the family's first rejection: the drop that is detected when no other slice changed.
    """
    if item is None or not item.contrast.tested:
        return ""
    first = sum(other.contrast.metric.name == HELPFUL.name and other.contrast.tested for other in report.sliced)
    z = normal_quantile(1 - report.share * FIRST_SHARE / first) + float(special.ndtri(POWER))
    ours, theirs = item.contrast.ours, item.contrast.theirs
    common = (ours.value * ours.n + theirs.value * theirs.n) / (ours.n + theirs.n)
    drop = z * math.sqrt(common * (1 - common) * (1 / ours.n + 1 / theirs.n))
    return f"detects a helpful-rate drop of {format_number(drop, Unit.RATE)} or more" if 0 < drop < common else ""


def moved(report: WeeklyReport) -> list[tuple[Comparison, str, str]]:
    """Return the worse and better slices that no other slice explains, worse ones first, with result and CSS class."""
    found = [
        item
        for item in report.sliced
        if item.result in (ComparisonResult.WORSE, ComparisonResult.BETTER) and not item.part_of
    ]
    found.sort(key=lambda item: (item.result is ComparisonResult.BETTER, item.contrast.p or 0.0))
    return [(item, *result_of(item)) for item in found]


def result_counts(items: Sequence[Comparison]) -> str:
    """Return how many of ``items`` had each result: "2 worse, 9 no worse"."""
    results = [item.result for item in items]
    order = (
        ComparisonResult.WORSE,
        ComparisonResult.BETTER,
        ComparisonResult.NO_WORSE,
        ComparisonResult.INCONCLUSIVE,
        ComparisonResult.TOO_FEW,
    )
    return ", ".join(f"{results.count(result)} {result.value}" for result in order if result in results)


def percent(share: float) -> str:
    """Return a share in percent with the digits that it needs: ``5%``, ``2.5%``."""
    return f"{100 * share:.2g}%"
