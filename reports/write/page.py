"""Writes the weekly report as one HTML page that needs no other file, no script and no network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from figures.command_line import omni
from figures.files import write_whole
from figures.formatting import format_number, plural
from figures.metric import Unit
from figures.svg import STYLE_SHEET
from reports.compare.anomalies import OUTSIDE, anomaly_line
from reports.compare.false_discovery import FALSE_SHARE
from reports.compare.findings import change_text, figure, names_of
from reports.compare.gate_promises import NOT_COMPARABLE, GatePromise, calibration_sentence
from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import WeeklyReport
from reports.read.metrics import (
    AGREEMENT,
    CALL_SCORE,
    CALL_SENTIMENTS,
    CALLS_PASSED,
    CRITERION_MET,
    HELPFUL,
    SMALLEST,
    metrics_of,
)
from reports.read.weeks import day_words
from reports.write import scores_view, sentiment_view
from reports.write.agreement_view import TITLES, calls_section
from reports.write.charts import charts, daily_table
from reports.write.figure_table import figure_lines, worse_lines
from reports.write.headline import (
    SIMULATED_NOTE,
    coverage_sentence,
    evidence_sentence,
    file_name,
    headline,
    more_findings,
    span,
    target_sentence,
)
from reports.write.overview import overall_actions, overall_evidence, overall_headline, row_titles, task_rows
from reports.write.view import (
    TEMPLATES,
    badge,
    baseline_title,
    baselines_of,
    change_rows,
    moved,
    percent,
    result_counts,
    sides,
    slice_rows,
    templates,
)
from service.kit.frame.display.inert import visible
from service.warehouse.outputs import output_name, worded

NAME = "index.html"
MOST_FINDINGS = 4  # findings listed below the headline; the tables show all of them
_SCREENS = {
    "worse": "worse",
    "better": "good",
    "no worse": "good",
    "inconclusive": "open",
    "too few to say": "open",
    "first week": "",
    "no data": "",
}
ODDITIES = {
    "feedback_before_answer": "ratings are older than their answer by the timestamps (clock skew); they count all the same",
    "negative_latency": "answers have a negative latency; the latency figures leave them out",
    "unpriced": "new summaries have no price; the cost figures leave them out",
    "repeated_ids": "rows repeat the id of another request; they count twice",
    "future": "answers have a timestamp in the future (clock skew); they count in no week yet",
    "without_summary": "ratings of this week name an answer that is not in the warehouse yet; they count in no figure",
}


def write_page(folder: Path, *reports: WeeklyReport) -> Path:
    """Write ``index.html`` into ``folder``, as a whole or not at all."""
    path = folder / file_name(reports[0], NAME)
    write_whole(path, render(*reports))
    return path


def render(*reports: WeeklyReport) -> str:
    """Return the page of a week's reports, at least one, as HTML; several tasks stand below an overview, in the given order.

    All text from the warehouse is escaped, and the page's content security policy forbids scripts and external resources.
    """
    environment = templates()
    style = STYLE_SHEET.read_text(encoding="utf-8") + (TEMPLATES / "weekly.css").read_text(encoding="utf-8")
    first, several = reports[0], len(reports) > 1
    task_page = environment.get_template("task.html.j2")
    page = environment.get_template("weekly.html.j2").render(
        title=f"{', '.join(report.data.task for report in reports)} {first.data.week.name}: "
        + (overall_headline(reports) if several else headline(first)),
        style=style,
        simulated_note=SIMULATED_NOTE if first.simulated else "",
        overview=Markup(environment.get_template("overview.html.j2").render(_overview(reports))) if several else "",  # noqa: S704 - rendered with autoescape
        tasks=[Markup(task_page.render(_task(report, several=several))) for report in reports],  # noqa: S704
    )
    return visible(page)


def _overview(reports: Sequence[WeeklyReport]) -> dict[str, Any]:
    first = reports[0]
    return {
        "look": _SCREENS[first.outcome],
        "week": first.data.week,
        "span": span(first),
        "headline": overall_headline(reports),
        "evidence": overall_evidence(reports),
        "rows": task_rows(reports),
        "titles": row_titles(metrics_of("")),
        "actions": overall_actions(reports),
        "tested_tasks": first.data.tested_tasks,
        "smallest": SMALLEST,
        "left_out": _left_out(reports),
    }


def _left_out(reports: Sequence[WeeklyReport]) -> str:
    """Return the names of the tasks with answers in the week that these reports do not cover."""
    covered = {report.data.task for report in reports}
    return ", ".join(task for task in reports[0].data.tasks if task not in covered)


def _task(report: WeeklyReport, *, several: bool) -> dict[str, Any]:
    """Return what the template of one task is filled with; its headings begin one level deeper below an overview."""
    found: dict[str, Any] = {
        "r": report,
        "top": 2 if several else 1,
        "mark_id": f"-{report.data.task}" if several else "",
        "left_out": "" if several else _left_out([report]),
        "look": "worse" if report.scores.worse else _SCREENS[report.outcome],
        "week": report.data.week,
        "headline": headline(report),
        "evidence": evidence_sentence(report),
        "load_command": omni("load-events"),
        "reconcile_command": omni("reconcile"),
        "report_command": omni("report", "--week", report.data.week.name),
        "target": target_sentence(report),
        "coverage": coverage_sentence(report),
        "span": span(report),
        "more": more_findings(report)[:MOST_FINDINGS],
        "further": max(len(more_findings(report)) - MOST_FINDINGS, 0),
        "plural": plural,
        "output": output_name(report.data.task),
        "pairs": _pairs(report),
        "calls": calls_section(report.agreement),
        "calls_titles": TITLES,
        "scores": scores_view.scores_section(report.scores),
        "scores_titles": scores_view.TITLES,
        "felt": sentiment_view.sentiment_section(report.sentiments),
        "felt_margin": CALL_SENTIMENTS["NEGATIVE"].margin,
        "score_metrics": (CRITERION_MET, CALLS_PASSED, CALL_SCORE),
        "agreement_margin": AGREEMENT.margin,
        "smallest": SMALLEST,
    }
    return found | (_body(report) if report.data.answers else {})


def _body(report: WeeklyReport) -> dict[str, Any]:
    whole_baselines = baselines_of(report.whole)
    key_lines, more_lines = figure_lines(report)
    return {
        "charts": charts(report),
        "days": daily_table(report.data),
        "key_lines": key_lines,
        "worse_lines": worse_lines(report),
        "more_lines": more_lines,
        "change_titles": [baseline_title(baseline) for baseline in whole_baselines],
        "change_rows": change_rows(report, whole_baselines),
        "slice_tables": [
            (
                baseline_title(baseline),
                result_counts([item for item in report.sliced if item.baseline == baseline]),
                slice_rows(report, baseline),
            )
            for baseline in baselines_of(report.sliced)
        ],
        "whole_summary": result_counts(report.whole),
        "sliced_metrics": report.counts.metrics.sliced,
        "moved": [
            {
                "slice": item.slice,
                "pair": baseline_title(item.baseline),
                "metric": item.contrast.metric.title,
                "sides": sides(item),
                "change": change_text(item),
                "badge": (result, look),
            }
            for item, result, look in moved(report)
        ],
        "followers": sum(bool(item.part_of) for item in report.sliced),
        "promises": [_promise(item) for item in report.promises],
        "calibration": calibration_sentence(report.promises),
        "not_comparable": NOT_COMPARABLE,
        "changes": [_change(report, place) for place in range(len(report.changes))],
        "anomalies": [anomaly_line(report.data, item) for item in report.anomalies],
        "drifts": report.drifts,
        "shares": report.selection.shares,
        "selection": _selection(report),
        "themes": report.themes,
        "reasons": ", ".join(f"{name} {count:,}" for name, count in report.data.reasons.items()),
        "tested": (
            sum(item.contrast.tested for item in report.whole),
            sum(item.contrast.tested for item in report.sliced),
        ),
        "margins": report.counts.metrics.compared,
        "false_share": percent(report.share),
        "family_share": percent(FALSE_SHARE),
        "tested_tasks": report.data.tested_tasks,
        "outside": OUTSIDE,
        "oddities": [
            (count, worded(report.data.task, ODDITIES[name])) for name, count in report.data.oddities.items() if count
        ],
    }


def _promise(item: GatePromise) -> dict[str, Any]:
    return {
        "pair": item.pair,
        "release": item.release,
        "name": item.metric.title,
        "promised": f"{figure(item.metric, item.promised)}, n={item.promised.n:,}",
        "production": f"{figure(item.metric, item.production)}, n={item.production.n:,}",
        "inside": "yes" if item.inside else "no",
        "badge": badge(item.result),
        "margin": f"{item.metric.margin:.0%}" if item.metric.relative else f"{item.metric.margin:g}",
    }


def _pairs(report: WeeklyReport) -> list[dict[str, Any]]:
    """Return each pair's role, result, and what it is."""
    found = []
    for pair in report.pairs:
        mine = [item for item in (*report.whole, *report.sliced) if item.baseline.digest == pair.digest]
        if not mine and len(report.pairs) == 1:
            mine = [*report.whole, *report.sliced]
        worse = [item for item in mine if item.result is ComparisonResult.WORSE and not item.part_of]
        helpful = [item.result for item in mine if item.contrast.metric.name == HELPFUL.name and not item.dimension]
        order = (
            ComparisonResult.BETTER,
            ComparisonResult.NO_WORSE,
            ComparisonResult.INCONCLUSIVE,
            ComparisonResult.TOO_FEW,
        )
        best = next((result for result in order if result in helpful), ComparisonResult.NONE)
        text, look = badge(ComparisonResult.WORSE if worse else best)
        released = (
            f"{pair.release.name}, {day_words(pair.release.at.astimezone(report.data.week.zone).date())}"
            f"{f': {pair.release.why}' if pair.release.why else ''}"
            if pair.release
            else "not released"
        )
        found.append(
            {
                "name": pair.label,
                "role": pair.role,
                "badge": (text or "nothing to compare with", look or "few"),
                "why": names_of(worse),
                "released": released,
                "models": ", ".join(pair.models) or "none",
                "answers": f"{pair.answers:,}",
            }
        )
    return found


def _change(report: WeeklyReport, place: int) -> str:
    change = report.changes[place]
    unit = Unit.MS if change.series.startswith("latency") else Unit.RATE
    text = (
        f"{day_words(report.data.week.day(change.day))}: {change.series} from {format_number(change.before, unit)} "
        f"to {format_number(change.after, unit)}"
    )
    if change.release is not None:
        text += f"; coincides with {change.release.name}"
    if change.p is not None:
        week = report.data.week
        first, last = day_words(week.day(change.first)), day_words(week.day(change.last))
        text += f" ({'' if first == last else f'between {first} and {last}, '}p={change.p:.3f})"
    return text


def _selection(report: WeeklyReport) -> str:
    """Return how far the ratings represent all answers."""
    ratings = report.selection
    if ratings.overall is None or ratings.helpful is None:
        return "No answers were rated, so the agents' opinion is unknown."
    text = f"Agents rated {ratings.overall.value:.1%} of the answers; their opinion of the others is unknown."
    if ratings.uneven:
        text += (
            f" The share of rated answers differs by {' and '.join(ratings.uneven)} beyond chance, so the helpful rate is biased "
            "towards the slices that are rated more often."
        )
    if ratings.reweighted is not None:
        text += (
            f" Weighted by answers instead of ratings per channel and intent, the helpful rate is "
            f"{format_number(ratings.reweighted, Unit.RATE)} instead of {format_number(ratings.helpful, Unit.RATE)}"
            f" (based on channels and intents with enough ratings, {ratings.covered:.0%} of the answers)."
        )
    return text
