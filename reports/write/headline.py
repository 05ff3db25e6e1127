"""The sentences at the top of page and digest: headline, evidence, further findings, the target and the coverage."""

from figures.formatting import format_number, plural
from reports.compare.agreement import fall_sentence
from reports.compare.call_scores import CallFigure, change_sentence
from reports.compare.comparisons import Comparison
from reports.compare.findings import WeekFinding, answers_named, change_text, finding_sentence
from reports.compare.findings import figure as figure_text
from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import WeeklyReport
from reports.read.metrics import EDITS, HELPFUL, SMALLEST, UNHELPFUL
from reports.read.weeks import day_words
from service.kit.frame.display.inert import one_line

MOST_WORDS = 12  # what is read at a glance
WORDS = {
    "no worse": "Nothing got worse this week",
    "inconclusive": "Too little evidence to say whether answers got worse",
    "too few to say": "Too few ratings to say whether answers got worse",
    "first week": "First week: nothing to compare with yet",
}
_LONGEST_NAME = 24


SIMULATED_WARNING = (
    "Simulated week: `omni traffic` invented customers, ratings and releases. It says nothing about real production"
)
SIMULATED_NOTE = f"{SIMULATED_WARNING}; the commands below act on the simulation alone."


def file_name(report: WeeklyReport, name: str) -> str:
    """Return ``name`` as the report's files are called: those of a simulated week begin with ``simulated-``."""
    return f"simulated-{name}" if report.simulated else name


def simulated_first(report: WeeklyReport, text: str) -> str:
    """Return a headline, which of a simulated week says so first."""
    return f"Simulated week: {text}" if report.simulated else text


def headline(report: WeeklyReport, *, about: str = "") -> str:
    """Return the week's outcome and the first action in at most ``MOST_WORDS`` words; a simulated week says so first.

    ``about`` is the task's name where the reader sees several tasks.
    """
    told = [f"{about}: {text}" if about else text for text in _wordings(report)]
    wordings = [simulated_first(report, text) for text in told]
    return next((text for text in wordings if len(text.split()) <= MOST_WORDS), wordings[-1])


def _wordings(report: WeeklyReport) -> list[str]:
    """Return headlines of the same content, the most specific first; the last one has few words whatever the data are."""
    do = f": {report.actions[0].short}" if report.actions else ""
    if not do and report.outcome in ("better", "no worse"):
        do = ": no action needed"
    if report.outcome == "no data":
        if report.scores.worse:
            return _calls_changed(report.scores.worse[0], do)
        calls = f"{plural(report.scores.calls, 'scored call')}, no" if report.scores.calls else "No"
        return [f"{calls} answers in {report.data.week.name}{do}"]
    if report.worse:
        return _changed(report.worse[0], "got worse", do)
    if report.agreement.fallen:
        name = one_line(report.agreement.fallen[0].criterion, _LONGEST_NAME)
        return [f"People and model agree less on criterion {name}{do}", f"People and model agree less{do}"]
    if report.scores.worse:
        return _calls_changed(report.scores.worse[0], do)
    if report.outcome == "better":
        return _changed(next(item for item in report.findings if item.metric.name == HELPFUL.name), "got better", do)
    if report.outcome == "no worse" and _misses_target(report):
        return [f"Nothing got worse, but the {UNHELPFUL.title} misses its target{do}"]
    return [WORDS[report.outcome] + do]


def _calls_changed(item: CallFigure, do: str) -> list[str]:
    place = item.place
    form = one_line(place.form_id, _LONGEST_NAME)
    if not place.criterion:
        return [f"Scored calls of form {form} got worse{do}", f"Scored calls got worse{do}"]
    name = one_line(place.criterion, _LONGEST_NAME)
    return [
        f"Fewer calls meet criterion {name} of form {form}{do}",
        f"Fewer calls meet criterion {name}{do}",
        f"Fewer calls meet a criterion{do}",
    ]


def _changed(item: WeekFinding, verb: str, do: str) -> list[str]:
    first, metric = item.first, item.metric
    what = "Answers" if metric.name == HELPFUL.name else f"{metric.title[0].upper()}{metric.title[1:]}"
    subject = f"{what} for {one_line(first.slice, 2 * _LONGEST_NAME)}" if first.dimension else what
    if metric.name == HELPFUL.name:
        named = answers_named(first, 2 * _LONGEST_NAME)
        subject = named[0].upper() + named[1:]
    release = item.blamed
    cause = "this week"
    if first.baseline.against == "production beside it":
        cause = f"with candidate {one_line(first.baseline.label, _LONGEST_NAME)}"
    elif release is not None and release.sequence is not None:
        cause = f"with {release.name}"
    return [
        f"{subject} {verb} {cause}{do}",
        f"{subject} {verb}{do}",
        f"{what} {verb} {cause}{do}",
        f"{what} {verb}{do}",
    ]


def evidence_sentence(report: WeeklyReport) -> str:
    """Return the figures behind the headline in one sentence."""
    if report.outcome == "no data":
        if report.scores.worse:
            return f"{change_sentence(report.scores.worse[0])}."
        calls = f", and {plural(report.scores.calls, 'scored call')}" if report.scores.calls else ""
        return f"The warehouse holds no answers of task {report.data.task} in this week{calls}."
    if report.worse:
        return f"{finding_sentence(report.worse[0])}."
    if report.agreement.fallen:
        return f"{fall_sentence(report.agreement.fallen[0])}."
    if report.scores.worse:
        return f"{change_sentence(report.scores.worse[0])}."
    if report.outcome == "better":
        return f"{finding_sentence(next(item for item in report.findings if item.metric.name == HELPFUL.name))}."
    deciding = _helpful(report)
    if deciding is None:
        return _rated(report)
    found = deciding.contrast
    if found.result is ComparisonResult.TOO_FEW:
        return f"Only {min(found.ours.n, found.theirs.n)} ratings on one side, at least {SMALLEST} are needed. {_others(report)}"
    now, before = (format_number(side.value, HELPFUL.unit) for side in (found.ours, found.theirs))
    text = (
        f"{HELPFUL.title.capitalize()} {now} (n={found.ours.n:,}) against {before} (n={found.theirs.n:,}) "
        f"{_place(deciding)}, difference {change_text(deciding)}"
    )
    if report.outcome == "inconclusive":
        return f"{text}; the interval includes the margin of {HELPFUL.margin}."
    return f"{text}; no slice is worse."


def more_findings(report: WeeklyReport) -> list[str]:
    """Return one sentence for each change that the evidence does not report."""
    falls, scores = report.agreement.fallen, report.scores.worse
    # The evidence reports the first one.
    if report.outcome == "no data":
        scores = scores[1:]
    elif not report.worse:
        falls, scores = (falls[1:], scores) if falls else (falls, scores[1:])
    rest = report.worse[1:] + [item for item in report.findings if item.result is ComparisonResult.BETTER]
    if report.outcome == "better":
        rest = [item for item in rest if item is not next(f for f in report.findings if f.metric.name == HELPFUL.name)]
    worse = [f"{finding_sentence(item)}." for item in rest if item.result is ComparisonResult.WORSE]
    better = [f"{finding_sentence(item)}." for item in rest if item.result is not ComparisonResult.WORSE]
    calls = [*(f"{fall_sentence(item)}." for item in falls), *(f"{change_sentence(item)}." for item in scores)]
    return [*worse, *calls, *better]


def target_sentence(report: WeeklyReport) -> str:
    """Return the unhelpful rate against its target of 15% (R-HELPFUL)."""
    if not report.columns:
        return ""
    found = report.figures[UNHELPFUL.name, report.columns[0].digest, 0]
    if found.side is None:
        return "No answers were rated."
    words = {
        ComparisonResult.MET: "meets the target (below 0.15)",
        ComparisonResult.MISSED: "misses the target (below 0.15)",
        ComparisonResult.INCONCLUSIVE: "inconclusive against the target (below 0.15)",
        ComparisonResult.TOO_FEW: "too few ratings to compare with the target (below 0.15)",
    }
    return f"Unhelpful rate {figure_text(UNHELPFUL, found.side)}, n={found.side.n:,}: {words[found.target]}."


def coverage_sentence(report: WeeklyReport) -> str:
    """Return the number of answers, pairs and ratings, and up to when the report reads if the week is not over."""
    data = report.data
    rated = report.selection.overall
    text = f"{plural(data.answers, 'answer')} from {plural(len(report.pairs), 'pair')}"
    if rated is not None and data.answers:
        text += f", {round(rated.value * rated.n):,} rated ({rated.value:.0%})"
    if data.now < data.week.end and data.now > data.week.start:
        text += f"; the week is not over: data up to {data.now.astimezone(data.week.zone):%a %H:%M}"
    return f"{text}."


def span(report: WeeklyReport) -> str:
    """Return ``Mon 16 Nov to Sun 22 Nov, UTC``."""
    week = report.data.week
    return f"{day_words(week.monday)} to {day_words(week.day(6))}, {week.zone.key}"


def _helpful(report: WeeklyReport) -> Comparison | None:
    """Return the comparison of the helpful rate that decides the outcome; None without one."""
    found = [item for item in report.whole if item.contrast.metric.name == HELPFUL.name]
    for result in (ComparisonResult.NO_WORSE, ComparisonResult.INCONCLUSIVE, ComparisonResult.TOO_FEW):
        for item in found:
            if item.result is result:
                return item
    return found[0] if found else None


def _place(item: Comparison) -> str:
    against, label = item.baseline.against, item.baseline.their_label
    return label if against == "week before" else f"on {label}"


def _misses_target(report: WeeklyReport) -> bool:
    return report.figures[UNHELPFUL.name, report.columns[0].digest, 0].target is ComparisonResult.MISSED


def _rated(report: WeeklyReport) -> str:
    last = report.figures.get((HELPFUL.name, report.columns[0].digest, -1)) if report.columns else None
    if last is None or last.side is None:
        return f"There are no ratings from the week before. {target_sentence(report)}"
    return f"No answers were rated this week. {_others(report)}"


def _others(report: WeeklyReport) -> str:
    """Return a sentence on the comparisons that need no ratings, "" where there are none."""
    words = [item.result for item in report.whole if item.contrast.metric not in (HELPFUL, EDITS)]
    held = words.count(ComparisonResult.NO_WORSE) + words.count(ComparisonResult.BETTER)
    return (
        f"Of {len(words)} comparisons that need no ratings, {held} are no worse or better and none is worse."
        if words
        else ""
    )
