"""The page's section on what scored calls show: a table per tenant's form, and one of its agent groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from figures.formatting import format_number, plural
from figures.metric import Unit
from figures.stats import Interval
from figures.svg import whisker
from reports.compare.call_scores import (
    EVERY_GROUP,
    CallFigure,
    CallScores,
    ScorePlace,
    calls_sentence,
    change_sentence,
)
from reports.compare.findings import figure
from reports.compare.outcomes import ComparisonResult
from reports.read.metrics import CALL_SCORE, CALLS_PASSED, CRITERION_MET, WeeklyMetric
from reports.write.view import (
    CallSection,
    CallTable,
    GroupTable,
    ReportCell,
    ReportRow,
    as_metric,
    badge,
    changes_words,
)

TITLES = ("this week", "against the week before")
MOST_CHANGES = 8  # listed above the tables, which show all
MOST_GROUPS = 6  # columns of a table, those with the most calls
_T = TypeVar("_T")
SCALES = {Unit.RATE: (0.0, 1.0), Unit.SCORE: (0.0, 100.0)}


def scores_section(found: CallScores) -> CallSection | None:
    """Return the section; None where neither this week nor the week before has scored calls."""
    if not found.figures:
        return None
    changed = found.changed
    tables = [_table(found, tenant, form_id) for tenant, form_id in found.forms]
    return CallSection(
        base=calls_sentence(found),
        words=plural(len(found.forms), "form") + changes_words(changed),
        open=bool(found.worse),
        changes=tuple(f"{change_sentence(item)}." for item in changed[:MOST_CHANGES]),
        further=max(len(changed) - MOST_CHANGES, 0),
        tables=tuple(sorted(tables, key=lambda table: not table.open)),
        tested=found.tested,
    )


def _table(found: CallScores, tenant: str, form_id: str) -> CallTable:
    mine = [item for item in found.figures if (item.place.tenant, item.place.form_id) == (tenant, form_id)]
    lines = _lines([item for item in mine if item.place.group == EVERY_GROUP])
    passed = found.of(ScorePlace(tenant=tenant, form_id=form_id), CALLS_PASSED)
    said = "no calls this week" if passed is None or passed.now is None else _words(passed.now)
    return CallTable(
        title=f"{tenant}: {form_id}",
        words=said,
        open=any((item.place.tenant, item.place.form_id) == (tenant, form_id) for item in found.changed),
        rows=tuple(
            ReportRow(name=_name(item), remark=item.question, cells=(now_cell(item), change_cell(item)))
            for item in lines
        ),
        groups=_groups(found, mine, lines),
    )


def _lines(items: Sequence[CallFigure]) -> list[CallFigure]:
    """Return the figures in the order of the page: passed, score, then the criteria that fewest calls meet."""
    order = (CALLS_PASSED.name, CALL_SCORE.name, CRITERION_MET.name)
    return sorted(
        items,
        key=lambda item: (
            order.index(item.metric.name),
            2.0 if item.now is None or not item.place.criterion else item.now.value,
            item.place.criterion,
        ),
    )


def _words(passed: Interval) -> str:
    return f"{figure(CALLS_PASSED, passed)} of {plural(passed.n, 'call')} passed"


def _name(item: CallFigure) -> str:
    return item.place.criterion or item.metric.title


def now_cell(item: CallFigure) -> ReportCell:
    """Return this week's figure with its interval."""
    if item.now is None:
        return ReportCell(remark="no calls this week")
    text = figure(item.metric, item.now)
    return ReportCell(
        text=text,
        drawing=whisker(
            as_metric(item.metric, item.now),
            SCALES[item.metric.unit],
            bound=None,
            label=f"{_name(item)}: {text}, n={item.now.n:,}",
        ),
        remark=f"n={item.now.n:,}",
    )


def change_cell(item: CallFigure) -> ReportCell:
    """Return the difference to the week before with its result."""
    if item.before is None or item.found is None:
        return ReportCell(remark="no calls the week before" if item.before is None else "")
    unit = item.metric.unit
    past = f"week before: {format_number(item.before.value, unit)}, n={item.before.n:,}"
    past += "; another version of the form" if item.other_version else ""
    past += "; another pair" if item.other_pair else ""
    between = item.found.difference
    if item.result is ComparisonResult.TOO_FEW or between is None:
        return ReportCell(text="", result="… too few to compare", look="few", remark=past)
    result, look = badge(item.result)
    return ReportCell(text=_signed(between.value, item.metric), result=result, look=look, remark=past)


def _signed(value: float, metric: WeeklyMetric) -> str:
    text = format_number(value, metric.unit)
    return text if text.startswith("-") else f"+{text}"


def _groups(found: CallScores, mine: Sequence[CallFigure], lines: Sequence[CallFigure]) -> GroupTable | None:
    """Return the form's agent groups of this week; None where there is only one."""
    sizes = {
        item.place.group: item.now.n
        for item in mine
        if item.metric is CALLS_PASSED and item.place.group != EVERY_GROUP and item.now is not None
    }
    if len(sizes) < 2:
        return None
    return group_table(
        sizes,
        {_name(line): line for line in lines},
        lambda line, group: group_cell(found.of(replace(line.place, group=group), line.metric)),
    )


def group_table(sizes: Mapping[str, int], lines: Mapping[str, _T], cell: Callable[[_T, str], ReportCell]) -> GroupTable:
    """Return the table of the groups with the most calls: for each named line the cell of each group."""
    shown = sorted(sizes, key=lambda group: (-sizes[group], group))[:MOST_GROUPS]
    rows = [
        ReportRow(name=name, remark="", cells=tuple(cell(line, group) for group in shown))
        for name, line in lines.items()
    ]
    return GroupTable(titles=tuple(shown), rows=tuple(rows), left_out=len(sizes) - len(shown))


def group_cell(item: CallFigure | None) -> ReportCell:
    """Return an agent group's figure; marked where it changed."""
    if item is None or item.now is None:
        return ReportCell()
    marked = item.result in (ComparisonResult.WORSE, ComparisonResult.BETTER)
    result, look = badge(item.result) if marked else ("", "")
    remark = f"n={item.now.n:,}"
    if marked and item.before is not None:
        remark += f"; week before: {format_number(item.before.value, item.metric.unit)}"
    return ReportCell(text=format_number(item.now.value, item.metric.unit), result=result, look=look, remark=remark)
