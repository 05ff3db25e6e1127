"""The week as a short Markdown text for mail or chat."""

from pathlib import Path

from figures.files import write_whole
from figures.formatting import format_number
from reports.compare.agreement import base_sentence, is_small, kappa_text
from reports.compare.call_scores import CallFigure, ScorePlace, calls_sentence, change_sentence
from reports.compare.call_sentiment import is_compared, readers_sentence, unread_sentence
from reports.compare.findings import figure
from reports.compare.gate_promises import calibration_sentence
from reports.compare.outcomes import SIGNS, ComparisonResult
from reports.compare.weekly import WeeklyReport
from reports.read.metrics import AGREEMENT, CALL_SCORE, CALLS_PASSED, SMALLEST, metrics_of
from reports.write.figure_table import KEY_FIGURES
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
from reports.write.overview import overall_evidence, overall_headline, row_titles, task_rows
from reports.write.sentiment_view import counted_words
from reports.write.view import badge, result_of
from service.kit.frame.display.inert import markdown, visible

NAME = "digest.md"
_THEMES = 3
_CHANGES = 8


def write_digest(folder: Path, *reports: WeeklyReport) -> Path:
    """Write ``digest.md`` into ``folder``, as a whole or not at all."""
    path = folder / file_name(reports[0], NAME)
    write_whole(path, render(*reports))
    return path


def render(*reports: WeeklyReport) -> str:
    """Return the digest of a week's reports, at least one; several tasks stand below an overview, in the given order."""
    if len(reports) == 1:
        return _task(reports[0], "#")
    first = reports[0]
    titles = row_titles(metrics_of(""))
    lines = [f"# {markdown(overall_headline(reports))}", "", markdown(overall_evidence(reports)), ""]
    if first.simulated:
        lines[1:1] = ["", f"> **{SIMULATED_NOTE}**"]
    lines += [f"{len(reports)} tasks, {first.data.week.name} ({span(first)}).", ""]
    lines += ["| task | result | answers | " + " | ".join(titles) + " |", "|---" * (len(titles) + 3) + "|"]
    for row in task_rows(reports):
        cells = (markdown(row.task), row.badge[0], row.answers, *(text for text, _ in row.figures))
        lines.append(f"| {' | '.join(cells)} |")
    return visible("\n".join(lines)) + "\n\n" + "\n".join(_task(report, "##") for report in reports)


def _task(report: WeeklyReport, heading: str) -> str:
    """Return the digest of one task; ``heading`` stands before its headline."""
    data = report.data
    about = "" if heading == "#" else data.task
    lines = [f"{heading} {markdown(headline(report, about=about))}", "", markdown(evidence_sentence(report)), ""]
    lines.append(f"{markdown(data.task)}, {data.week.name} ({span(report)}).")
    if report.simulated and heading == "#":
        lines[1:1] = ["", f"> **{SIMULATED_NOTE}**"]
    if data.answers == 0:
        shown = [
            "",
            "The service answered no requests, or the loader loaded no events.",
            *(f"- {markdown(line)}" for line in more_findings(report)),
        ]
        return visible("\n".join([*lines, *shown, *_calls(report, heading)])) + "\n"
    lines[-1] += f" {coverage_sentence(report)}"
    lines += ["", target_sentence(report), *(f"- {markdown(line)}" for line in more_findings(report))]
    if report.actions:
        lines += ["", f"{heading}# What to do", ""]
        for number, action in enumerate(report.actions, start=1):
            lines.append(f"{number}. **{markdown(action.do)}**, because {markdown(action.because)}.")
            if action.command:
                lines.append(f"   `{action.command}`")
    lines += [
        "",
        f"{heading}# Figures",
        "",
        "| | " + " | ".join(markdown(column.label) for column in report.columns) + " |",
    ]
    lines.append("|---|" + "---|" * len(report.columns))
    for name in KEY_FIGURES:
        found = [report.figures[name, column.digest, 0] for column in report.columns]
        cells = [
            f"{figure(item.metric, item.side)} n={item.side.n:,} {SIGNS[item.target]}".strip()
            if item.side is not None
            else "–"
            for item in found
        ]
        lines.append(f"| {report.counts.metrics.named(name).title} | " + " | ".join(cells) + " |")
    lines += ["", *_small(report), calibration_sentence(report.promises), *_calls(report, heading)]
    if data.reasons:
        named = ", ".join(f"{markdown(name)} {count:,}" for name, count in data.reasons.items())
        lines += ["", f"Reasons that people gave, by answers: {named}."]
    if report.themes.themes:
        lines += ["", f"{heading}# Unhelpful feedback", ""]
        for theme in report.themes.themes[:_THEMES]:
            new = ", growing" if theme.grown else ""
            mostly = f", mostly {markdown(theme.mostly)}" if theme.mostly else ""
            lines.append(f"- {markdown(', '.join(theme.terms)) or 'other'}: {theme.size}{new}{mostly}")
    return visible("\n".join(lines)) + "\n"


def _calls(report: WeeklyReport, heading: str) -> list[str]:
    """Return the lines on scored calls; empty in a week without scored calls and verdicts by people."""
    return [*_scores(report, heading), *_sentiments(report, heading), *_agreement(report, heading)]


def _scores(report: WeeklyReport, heading: str) -> list[str]:
    """Return the lines on what scored calls show: per form how many passed, and what changed."""
    found = report.scores
    if not found.calls:
        return []
    lines = ["", f"{heading}# Scored calls: what they show", "", markdown(calls_sentence(found))]
    for tenant, form_id in found.forms:
        parts = []
        for metric in (CALLS_PASSED, CALL_SCORE):
            item = found.of(ScorePlace(tenant=tenant, form_id=form_id), metric)
            if item is not None and item.now is not None:
                result = f" {badge(item.result)[0]}".rstrip()
                parts.append(f"{metric.title} {figure(metric, item.now)}, n={item.now.n:,}{result}")
        lines.append(f"- {markdown(f'{tenant}, {form_id}')}: {'; '.join(parts) or 'no calls this week'}")
    changes = [f"- {markdown(change_sentence(item))}." for item in found.changed[:_CHANGES]]
    return [*lines, *(changes or ["- No figure of scored calls changed beyond chance and margin."])]


def _sentiments(report: WeeklyReport, heading: str) -> list[str]:
    """Return the lines on how customers felt: who read the calls, and per form and reader the shares."""
    found = report.sentiments
    if not found.tables:
        return []
    lines = ["", f"{heading}# Scored calls: how customers felt", "", markdown(readers_sentence(found))]
    for tenant, form_id, reader in found.tables:
        shares = [
            f"{item.metric.title} {_share(item)}"
            for item in found.figures
            if item.place == ScorePlace(tenant=tenant, form_id=form_id, reader=reader) and item.now is not None
        ]
        where = f"{tenant}, {form_id}" + (f", read by {reader}" if reader else "")
        parts = "; ".join(shares) or "no calls were read this week"
        unread = unread_sentence(found.unread_beside((tenant, form_id, reader)))
        lines.append(f"- {markdown(where)}: {parts}. {unread}".rstrip())
    return [*lines, *(f"- {markdown(change_sentence(item))}." for item in found.changed[:_CHANGES])]


def _share(item: CallFigure) -> str:
    assert item.now is not None
    if not is_compared(item.place.reader):
        return f"{format_number(item.now.value, item.metric.unit)} ({counted_words(item)}, not compared)"
    past = "" if item.before is None else f", week before {figure(item.metric, item.before)}, n={item.before.n:,}"
    result = f" {badge(item.result)[0]}".rstrip()
    return f"{figure(item.metric, item.now)}, n={item.now.n:,}{past}{result}"


def _agreement(report: WeeklyReport, heading: str) -> list[str]:
    """Return the lines on scored calls; empty in a week without scored calls and verdicts by people."""
    found = report.agreement
    if not found.calls and not found.reviewed:
        return []
    lines = ["", f"{heading}# Scored calls: people and the model", "", markdown(base_sentence(found))]
    shown = [item for item in found.criteria if not is_small(item)]
    for item in shown:
        where = f"{item.tenant}, {item.form_id} {item.version}, {item.criterion}"
        result = f" {badge(item.result)[0]}".rstrip()
        lines.append(
            f"- {markdown(where)}: {figure(AGREEMENT, item.now.rate.interval())}, n={item.now.n:,}, kappa "
            f"{kappa_text(item.now.kappa)}{result}{' (people confirmed no verdict)' if item.only_overruled else ''}"
        )
    if len(shown) < len(found.criteria):
        few = len(found.criteria) - len(shown)
        lines.append(
            f"- {few} {'criterion' if few == 1 else 'criteria'} with fewer than {SMALLEST} verdicts: too few to say."
        )
    return lines


def _small(report: WeeklyReport) -> list[str]:
    """Return a line with the slices that are too small for a result, and an empty line; nothing if there are none."""
    few = [item for item in report.sliced if item.result is ComparisonResult.TOO_FEW]
    if not few:
        return []
    slices = sorted({item.slice for item in few})
    words = {item.slice: result_of(item)[0] for item in few}
    shown = ", ".join(f"{name} ({words[name].removeprefix('… ').split(':')[0]})" for name in slices[:4])
    more = f" and {len(slices) - 4} more" if len(slices) > 4 else ""
    return [f"Too few to say: {markdown(shown)}{more}.", ""]
