"""The week as a short Markdown text for mail or chat."""

from pathlib import Path

from figures.files import write_whole
from figures.formatting import MISSING, format_number
from reports.compare.agreement import CriterionAgreement, base_sentence, is_small, kappa_text
from reports.compare.call_scores import CallFigure, CallScores, ScorePlace, calls_sentence, change_sentence
from reports.compare.call_sentiment import CallSentiments, is_compared, readers_sentence, unread_sentence
from reports.compare.findings import figure
from reports.compare.gate_promises import calibration_sentence
from reports.compare.outcomes import SIGNS, ComparisonResult
from reports.compare.weekly import WeeklyReport
from reports.read.metrics import AGREEMENT, CALL_SCORE, CALLS_PASSED, SMALLEST, metrics_of
from reports.write import headline as sentences
from reports.write.figure_table import KEY_FIGURES
from reports.write.overview import overall_evidence, overall_headline, row_titles, task_rows
from reports.write.sentiment_view import counted_words
from reports.write.view import badge, result_of, templates
from service.kit.frame.display.inert import markdown, visible

NAME = "digest.md"
_THEMES = 3
_CHANGES = 8


def write_digest(folder: Path, *reports: WeeklyReport) -> Path:
    """Write ``digest.md`` into ``folder``, as a whole or not at all."""
    path = folder / sentences.file_name(reports[0], NAME)
    write_whole(path, render(*reports))
    return path


def render(*reports: WeeklyReport) -> str:
    """Return the digest of a week's reports, at least one; several tasks stand below an overview, in the given order."""
    environment = templates()
    environment.filters["markdown"] = markdown
    environment.tests["small"] = is_small
    functions = (
        agreement_words, base_sentence, calibration_sentence, calls_sentence, change_sentence, figure_cells, form_words, is_small,
        overall_evidence, overall_headline, readers_sentence, sentiment_words, small_slices, task_rows,
        sentences.coverage_sentence, sentences.evidence_sentence, sentences.headline, sentences.more_findings, sentences.span,
        sentences.target_sentence,
    )  # fmt: skip
    page = environment.get_template("digest.md.j2").render(
        {function.__name__: function for function in functions},
        reports=reports,
        titles=row_titles(metrics_of("")),
        simulated_note=sentences.SIMULATED_NOTE,
        key_figures=key_figures,
        smallest=SMALLEST,
        most_changes=_CHANGES,
        most_themes=_THEMES,
    )
    return visible(page)


def key_figures(report: WeeklyReport) -> list[str]:
    """Return the names of the figures to show that the task has."""
    known = {metric.name for metric in report.counts.metrics.every}
    return [name for name in KEY_FIGURES if name in known]


def figure_cells(report: WeeklyReport, name: str) -> list[str]:
    """Return one of the week's figures for each column."""
    found = [report.figures[name, column.digest, 0] for column in report.columns]
    return [
        MISSING
        if item.side is None
        else f"{figure(item.metric, item.side)} n={item.side.n:,} {SIGNS[item.target]}".strip()
        for item in found
    ]


def form_words(found: CallScores, tenant: str, form_id: str) -> str:
    """Return how many of a form's calls passed, and their mean score."""
    parts = []
    for metric in (CALLS_PASSED, CALL_SCORE):
        item = found.of(ScorePlace(tenant=tenant, form_id=form_id), metric)
        if item is not None and item.now is not None:
            parts.append(f"{metric.title} {figure(metric, item.now)}, n={item.now.n:,}{_result(item.result)}")
    return "; ".join(parts) or "no calls this week"


def sentiment_words(found: CallSentiments, table: tuple[str, str, str]) -> str:
    """Return the shares of one reader's calls of a form, and why calls have none."""
    tenant, form_id, reader = table
    shares = [
        f"{item.metric.title} {_share(item)}"
        for item in found.figures
        if item.place == ScorePlace(tenant=tenant, form_id=form_id, reader=reader) and item.now is not None
    ]
    where = f"{tenant}, {form_id}" + (f", read by {reader}" if reader else "")
    parts = "; ".join(shares) or "no calls were read this week"
    return f"{markdown(where)}: {parts}. {unread_sentence(found.unread_beside(table))}".rstrip()


def _share(item: CallFigure) -> str:
    assert item.now is not None
    if not is_compared(item.place.reader):
        return f"{format_number(item.now.value, item.metric.unit)} ({counted_words(item)}, not compared)"
    past = "" if item.before is None else f", week before {figure(item.metric, item.before)}, n={item.before.n:,}"
    return f"{figure(item.metric, item.now)}, n={item.now.n:,}{past}{_result(item.result)}"


def agreement_words(item: CriterionAgreement) -> str:
    """Return how far people and the model agree on a criterion."""
    overruled = " (people confirmed no verdict)" if item.only_overruled else ""
    return (
        f"{figure(AGREEMENT, item.now.rate.interval())}, n={item.now.n:,}, kappa {kappa_text(item.now.kappa)}"
        f"{_result(item.result)}{overruled}"
    )


def small_slices(report: WeeklyReport) -> str:
    """Return the slices that are too small for a result; "" if there are none."""
    words = {item.slice: result_of(item)[0] for item in report.sliced if item.result is ComparisonResult.TOO_FEW}
    slices = sorted(words)
    shown = ", ".join(f"{name} ({words[name].removeprefix('… ').split(':')[0]})" for name in slices[:4])
    return markdown(shown) + (f" and {len(slices) - 4} more" if len(slices) > 4 else "")


def _result(result: ComparisonResult) -> str:
    return f" {badge(result)[0]}".rstrip()
