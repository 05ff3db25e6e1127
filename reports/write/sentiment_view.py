"""The page's section on how customers felt: a table per tenant's form and reader, and one of its agent groups."""

from collections.abc import Sequence

from figures.formatting import format_number, plural
from reports.compare.call_scores import EVERY_GROUP, CallFigure, change_sentence
from reports.compare.call_sentiment import CallSentiments, is_compared, readers_sentence, unread_sentence
from reports.read.metrics import CALL_SENTIMENTS
from reports.write.scores_view import MOST_CHANGES, TITLES, change_cell, group_cell, group_table, now_cell
from reports.write.view import CallSection, CallTable, GroupTable, ReportCell, ReportRow, changes_words


def sentiment_section(found: CallSentiments) -> CallSection | None:
    """Return the section; None where neither week has scored calls."""
    if not found.tables:
        return None
    changed = found.changed
    words = f"read by {', '.join(found.readers)}" if found.readers else "not read"
    return CallSection(
        base=readers_sentence(found),
        words=words + changes_words(changed),
        compared=any(is_compared(reader) for reader in found.readers),
        changes=tuple(f"{change_sentence(item)}." for item in changed[:MOST_CHANGES]),
        tables=tuple(_table(found, *place) for place in found.tables),
        tested=found.tested,
    )


def counted_words(item: CallFigure) -> str:
    """Return a share as a count: ``37 of 60 calls``."""
    assert item.now is not None
    return f"{round(item.now.value * item.now.n):,} of {plural(item.now.n, 'call')}"


def _table(found: CallSentiments, tenant: str, form_id: str, reader: str) -> CallTable:
    mine = [
        item
        for item in found.figures
        if (item.place.tenant, item.place.form_id, item.place.reader) == (tenant, form_id, reader)
    ]
    compared = is_compared(reader)
    return CallTable(
        title=f"{tenant}: {form_id}, read by {reader}" if reader else f"{tenant}: {form_id}",
        titles=TITLES if compared else TITLES[:1],
        compared=compared,
        unread=unread_sentence(found.unread_beside((tenant, form_id, reader))),
        rows=tuple(
            ReportRow(name=item.metric.title, remark="", cells=_cells(item, compared=compared))
            for item in mine
            if item.place.group == EVERY_GROUP
        ),
        groups=_groups(mine, compared=compared),
    )


def _cells(item: CallFigure, *, compared: bool) -> tuple[ReportCell, ...]:
    return (now_cell(item), change_cell(item)) if compared else (_counted(item),)


def _counted(item: CallFigure) -> ReportCell:
    assert item.now is not None
    return ReportCell(text=format_number(item.now.value, item.metric.unit), remark=counted_words(item))


def _groups(mine: Sequence[CallFigure], *, compared: bool) -> GroupTable | None:
    """Return this week's shares of the agent groups, the largest first; None where there is only one."""
    sizes = {item.place.group: item.now.n for item in mine if item.place.group != EVERY_GROUP and item.now is not None}
    if len(sizes) < 2:
        return None
    by_place = {(item.place.group, item.metric.name): item for item in mine}
    cell = group_cell if compared else _counted_group
    names = {metric.title: metric.name for metric in CALL_SENTIMENTS.values()}
    return group_table(sizes, names, lambda name, group: cell(by_place.get((group, name))))


def _counted_group(item: CallFigure | None) -> ReportCell:
    return ReportCell() if item is None else _counted(item)
