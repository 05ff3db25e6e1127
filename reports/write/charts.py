"""Selects the weekly report's charts and builds them from the daily counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from figures.metric import Unit
from figures.stats import rate_interval
from reports.compare.anomalies import by_day
from reports.compare.baselines import labels_of
from reports.compare.findings import WeekFinding
from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import WeeklyReport
from reports.read.data import WeekData
from reports.read.metrics import COST, HELPFUL, P95
from reports.write.plots import SHAPES, ChartLine, ChartPoint, Mark, chart, legend
from service.warehouse.outputs import worded

_SMALLEST_WEEK = 5  # smallest number of ratings behind a weekly dot
_SMALLEST_DAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing with title, caption and legend; ``about``: its metric's name, with " of " and the slice if it shows one."""

    about: str
    title: str
    caption: str
    drawing: Markup
    legend: Markup


def charts(report: WeeklyReport) -> list[Chart]:
    """Return the charts that have data; first the one that shows what the headline says."""
    found = _all_charts(report)
    lead = next((item for item in found if item.about == _headline_metric(report)), None)
    return sorted(found, key=lambda item: item is not lead)


def _headline_metric(report: WeeklyReport) -> str:
    if not report.worse:
        return HELPFUL.name
    item = report.worse[0]
    return f"{item.metric.name} of {item.first.slice}" if item.first.dimension else item.metric.name


def _all_charts(report: WeeklyReport) -> list[Chart]:
    data, marks = report.data, _marks(report, "")
    worse = [
        item
        for item in report.findings
        if item.result is ComparisonResult.WORSE and item.metric.name == HELPFUL.name and item.first.dimension
    ]
    found = [
        _chart(
            report,
            HELPFUL.name,
            "Helpful rate by week",
            "Each dot is one week of a pair with its 95% interval. Dashed: 85%, because at most 15% may be unhelpful.",
            [ChartLine(name=label, points=_weekly(data.daily, digest)) for digest, label in _pairs(report)],
            Unit.RATE,
            _marks(report, HELPFUL.title),
            bound=0.85,
        )
    ]
    found += [_slice_chart(report, item, marks) for item in worse[:2]]
    found += _daily(report, marks)
    return [item for item in found if item.drawing]


def _daily(report: WeeklyReport, marks: Sequence[Mark]) -> list[Chart]:
    """Return the charts of latency, cost and degraded answers by day."""
    frame = by_day(report.data)
    busy = frame[frame["answers"] >= _SMALLEST_DAY]
    of_1000 = busy.assign(cost=1_000 * busy["cost"])
    return [
        _chart(
            report,
            P95.name,
            "Latency by day",
            "All answers including reused ones. Dashed: p50.",
            [
                ChartLine(name="p95", points=_points(busy["day"], busy["p95"]), dots=False),
                ChartLine(name="p50", points=_points(busy["day"], busy["p50"]), dots=False),
            ],
            Unit.MS,
            _marks(report, P95.title),
            from_zero=True,
        ),
        _chart(
            report,
            COST.name,
            "Cost per 1,000 answers by day",
            "Metered, over all answers with a price; reused answers cost nothing.",
            [ChartLine(name="cost", points=_ratio(of_1000, "cost", "priced"), dots=False)],
            Unit.USD,
            marks,
            from_zero=True,
        ),
        _chart(
            report,
            "degraded_rate",
            "Degraded answers, backup model and grounding violations by day",
            worded(report.data.task, "Shares of all answers, of requests for a new summary, and of model answers."),
            [
                ChartLine(name="grounding violations", points=_ratio(busy, "flagged", "modelled"), dots=False),
                ChartLine(name="backup model", points=_ratio(busy, "failover", "asked"), dots=False),
                ChartLine(name="degraded answers", points=_ratio(busy, "degraded", "answers")),
            ],
            Unit.RATE,
            marks,
            from_zero=True,
        ),
    ]


def _chart(
    report: WeeklyReport,
    about: str,
    title: str,
    caption: str,
    lines: Sequence[ChartLine],
    unit: Unit,
    marks: Sequence[Mark],
    *,
    bound: float | None = None,
    from_zero: bool = False,
) -> Chart:
    drawing = chart(lines, report.data.week, unit=unit, title=title, marks=marks, bound=bound, from_zero=from_zero)
    return Chart(about=about, title=title, caption=caption, drawing=drawing, legend=legend(lines))


def _slice_chart(report: WeeklyReport, item: WeekFinding, marks: Sequence[Mark]) -> Chart:
    first = item.first
    frame = report.data.slice_days[first.dimension]
    rows = frame[frame["slice"] == first.value]
    others = frame[frame["slice"] != first.value]
    title = f"Helpful rate for {first.slice} and for all other answers by week"
    lines = [
        ChartLine(name=first.slice, points=_weekly(rows, "all")),
        ChartLine(name="all other answers", points=_weekly(others, "all")),
    ]
    about = f"{HELPFUL.name} of {first.slice}"
    return _chart(
        report,
        about,
        title,
        "All pairs together. Dashed: 85%, because at most 15% may be unhelpful.",
        lines,
        Unit.RATE,
        marks,
        bound=0.85,
    )


def _marks(report: WeeklyReport, series: str) -> list[Mark]:
    week = report.data.week
    releases = [
        Mark(
            day=(release.at - week.start).total_seconds() / 86_400,
            label=f"release {release.sequence}" if release.sequence is not None else "new pair",
            kind="release",
        )
        for release in report.releases
    ]
    return releases + [
        Mark(day=float(change.day), label="change", kind="change")
        for change in report.changes
        if change.series == series
    ]


def _pairs(report: WeeklyReport) -> list[tuple[str, str]]:
    """Return digest and label of the pairs with the most ratings in the weeks shown, at most one per available shape."""
    labels = labels_of(report.data.pairs)
    rated = report.data.daily.groupby("pair_digest")["rated"].sum().sort_values(ascending=False)
    return [(str(digest), labels[str(digest)]) for digest in rated.index[: len(SHAPES)]]


def _weekly(daily: pd.DataFrame, digest: str) -> list[ChartPoint]:
    rows = daily if digest == "all" else daily[daily["pair_digest"] == digest]
    sums = rows.groupby(rows["day"] // 7)[["rated", "helpful"]].sum()
    points = []
    for week, row in sums.iterrows():
        if row["rated"] >= _SMALLEST_WEEK:
            side = rate_interval(float(row["helpful"]), int(row["rated"]))
            points.append(ChartPoint(day=7.0 * int(str(week)) + 3.5, value=side.value, low=side.low, high=side.high))
    return points


def _points(days: "pd.Series[int]", values: "pd.Series[float]") -> list[ChartPoint]:
    return [
        ChartPoint(day=float(day) + 0.5, value=float(value))
        for day, value in zip(days, values, strict=True)
        if value == value  # not NaN
    ]


def _ratio(frame: pd.DataFrame, part: str, whole: str) -> list[ChartPoint]:
    usable = frame[frame[whole] > 0]
    return _points(usable["day"], usable[part] / usable[whole])


def daily_table(data: WeekData) -> list[tuple[str, int, int, int]]:
    """Return day, answers, ratings and helpful ratings of the week's days: the charts' data as a table."""
    frame = by_day(data)
    return [
        (f"{data.week.day(int(row['day'])):%a %-d %b}", int(row["answers"]), int(row["rated"]), int(row["helpful"]))
        for _, row in frame[frame["day"] >= 0].iterrows()
    ]
