"""What the reports of several tasks say together: one headline, the actions of all, and a row for each task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from figures.formatting import MISSING
from reports.compare.advice import Action
from reports.compare.findings import figure
from reports.compare.outcomes import SIGNS, ComparisonResult
from reports.compare.weekly import WeeklyReport
from reports.read.metrics import COST, HELPFUL, P95, UNHELPFUL, MetricSet
from reports.write.headline import MOST_WORDS, evidence_sentence, headline, simulated_first
from reports.write.view import badge
from service.kit.frame.display.inert import one_line

ROW_FIGURES = (HELPFUL.name, UNHELPFUL.name, P95.name, "degraded_rate", COST.name)
_URGENCY = ("worse", "no data", "missed", "inconclusive", "too few to say", "first week", "better", "no worse")
_LONGEST_NAME = 24
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task in the overview: its result with a CSS class, its headline, its answers, and the figures of ``ROW_FIGURES``."""

    task: str
    badge: tuple[str, str]
    headline: str
    answers: str
    figures: tuple[tuple[str, str], ...]  # text, and the CSS class of the result against the target


def by_urgency(reports: Sequence[WeeklyReport]) -> list[WeeklyReport]:
    """Return the reports as a reader needs them: what got worse first; of equals, the task with more answers."""
    return sorted(reports, key=lambda report: (_urgency(report), -report.data.answers, report.data.task))


def overall_headline(reports: Sequence[WeeklyReport]) -> str:
    """Return the week of all tasks, at least two, in at most ``MOST_WORDS`` words; ``reports`` are ordered by urgency."""
    worse = [one_line(report.data.task, _LONGEST_NAME) for report in reports if report.outcome == "worse"]
    many = f"{len(worse)} of {len(reports)} tasks got worse"
    if len(worse) > 1:
        wordings = [f"{many}: {', '.join(worse)}", many]
    elif all(_is_quiet(report) for report in reports):
        wordings = [f"Nothing got worse in {len(reports)} tasks: no action needed"]
    else:
        return headline(reports[0], about=_subject(reports[0]))
    said = [simulated_first(reports[0], text) for text in wordings]
    return next((text for text in said if len(text.split()) <= MOST_WORDS), said[-1])


def overall_evidence(reports: Sequence[WeeklyReport]) -> str:
    """Return the figures behind the headline: of each task that got worse, else of the most urgent one."""
    told = [report for report in reports if report.outcome == "worse"] or list(reports[:1])
    return " ".join(
        f"{subject}: {evidence_sentence(report)}" if (subject := _subject(report)) else evidence_sentence(report)
        for report in told[:_MOST_NAMED]
    )


def overall_actions(reports: Sequence[WeeklyReport]) -> list[Action]:
    """Return the actions of all tasks, each with its task's name."""
    return [
        replace(action, do=f"{one_line(report.data.task, _LONGEST_NAME)}: {action.do}")
        for report in reports
        for action in report.actions
    ]


def task_rows(reports: Sequence[WeeklyReport]) -> list[TaskRow]:
    """Return one row per task, in order."""
    return [
        TaskRow(
            task=report.data.task,
            badge=_badge(report),
            headline=headline(report),
            answers=f"{report.data.answers:,}",
            figures=tuple(_figure(report, name) for name in ROW_FIGURES),
        )
        for report in reports
    ]


def row_titles(metrics: MetricSet) -> list[str]:
    """Return the titles of ``ROW_FIGURES``."""
    return [metrics.named(name).title for name in ROW_FIGURES]


def _subject(report: WeeklyReport) -> str:
    """Return the task's name, "" where what got worse are scored calls, or agreement on them: they belong to no task."""
    of_calls = report.agreement.fallen or report.scores.worse
    return "" if of_calls and not report.worse else one_line(report.data.task, _LONGEST_NAME)


def _is_quiet(report: WeeklyReport) -> bool:
    return not report.actions and _urgency(report) >= _URGENCY.index("better")


def _urgency(report: WeeklyReport) -> int:
    found = report.figures.get((UNHELPFUL.name, report.columns[0].digest, 0)) if report.columns else None
    missed = found is not None and found.target is ComparisonResult.MISSED
    place = _URGENCY.index(report.outcome)
    return min(place, _URGENCY.index("missed")) if missed else place


def _badge(report: WeeklyReport) -> tuple[str, str]:
    results = {result.value: result for result in ComparisonResult}
    return badge(results[report.outcome]) if report.outcome in results else (report.outcome, "few")


def _figure(report: WeeklyReport, name: str) -> tuple[str, str]:
    """Return the figure of all the task's answers."""
    # The first column is that of all pairs together where there are several.
    found = report.figures.get((name, report.columns[0].digest, 0)) if report.columns else None
    if found is None or found.side is None:
        return MISSING, ""
    text = f"{figure(found.metric, found.side)}, n={found.side.n:,}"
    if found.target is ComparisonResult.NONE:
        return text, ""
    return f"{SIGNS[found.target]} {text}", badge(found.target)[1]
