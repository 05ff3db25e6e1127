"""The customers' sentiment in scored calls: shares by tenant, form, reader and agent group, beside those of the week before.

Shares of two readers are never put together. Of a reader that is too often wrong, calls are counted, and nothing is compared.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figures.formatting import plural
from figures.stats import Interval
from reports.compare.call_scores import EVERY_GROUP, CallFigure, ScorePlace, changes_in, judge_figures
from reports.compare.difference import contrast
from reports.compare.false_discovery import Tested
from reports.read.data import WeekData
from reports.read.metrics import CALL_SENTIMENTS, WeeklyMetric
from reports.read.samples import Rate
from service.warehouse.events import COMPARED_READERS

_KNOWN = {
    "amazon-comprehend": "How often it is right was not measured on labelled calls.",
    "local-words-v1": "It is weak: of 136 labelled calls it named the customer's sentiment right in 49%, where always saying "
    "negative is right in 71%. Of each sentiment it finds 43% on average (33% by chance); AUC of negative against the rest 0.61. "
    "Its calls are counted and not compared with another week.",
}
_UNKNOWN = "How often it is right is not known. Its calls are counted and not compared with another week."
_UNREAD = {
    "": "scored before sentiment was read",
    "no_words": "no words are spoken",
    "language": "in a language that the reader does not know",
    "refused": "refused by the reader",
    "incomplete": "answered in part",
    "unreachable": "the reader did not answer",
    "unstated": "no reason kept",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSentiments:
    """The week's shares; ``figures`` of a weak reader have no interval, no week before and no result.

    ``unread`` counts this week's calls without a sentiment by tenant and form, and by the code of the failure, "" where nobody
    tried. ``tested`` is as in ``CallScores``.
    """

    figures: Sequence[CallFigure]
    unread: Mapping[tuple[str, str], Mapping[str, int]]
    tested: tuple[int, int]

    @property
    def tables(self) -> list[tuple[str, str, str]]:
        """The tenants' forms with their readers, sorted; "" as reader where no call of the form could be read."""
        read = {(item.place.tenant, item.place.form_id, item.place.reader) for item in self.figures}
        forms = {found[:2] for found in read}
        return sorted(read | {(*form, "") for form in self.unread if form not in forms})

    def unread_beside(self, table: tuple[str, str, str]) -> Mapping[str, int]:
        """Return a form's counts of calls without a sentiment for the first of its tables, so that each call counts once."""
        first = next(one for one in self.tables if one[:2] == table[:2])
        return self.unread.get(table[:2], {}) if table == first else {}

    @property
    def readers(self) -> list[str]:
        """Who read, sorted."""
        return sorted({item.place.reader for item in self.figures})

    @property
    def changed(self) -> list[CallFigure]:
        """What changed, as ``CallScores.changed``."""
        return changes_in(self.figures)


def is_compared(reader: str) -> bool:
    """Return whether a reader's shares are compared with the week before; those of readers that are too often wrong are not."""
    return reader in COMPARED_READERS


def call_sentiments_of(data: WeekData) -> CallSentiments:
    """Return the week's shares of sentiments."""
    weeks: dict[int, dict[ScorePlace, Counter[str]]] = {0: {}, -1: {}}
    unread: dict[tuple[str, str], Counter[str]] = {}
    for row in data.call_sentiments.itertuples():
        _add(weeks, unread, row)
    found: list[CallFigure] = []
    tested: dict[int, Tested] = {}
    for place in sorted({*weeks[0], *weeks[-1]}, key=_order):
        for sentiment, metric in CALL_SENTIMENTS.items():
            ours, theirs = (_rate(weeks[period].get(place), sentiment) for period in (0, -1))
            if not is_compared(place.reader):
                if ours is not None:
                    found.append(_counted(place, metric, ours))
                continue
            compared = contrast(metric, ours, theirs)
            if compared is not None and ours is not None and theirs is not None and metric.margin is not None:
                tested[len(found)] = (compared, ours, theirs)
            now, before = (None if side is None else side.interval() for side in (ours, theirs))
            found.append(CallFigure(place=place, metric=metric, question="", now=now, before=before, found=compared))
    figures, counts = judge_figures(found, tested)
    return CallSentiments(figures=figures, unread=unread, tested=counts)


def readers_sentence(found: CallSentiments) -> str:
    """Return who read, and what is known of how often they are right."""
    parts = []
    for reader in found.readers:
        calls = sum(item.now.n for item in _whole(found, reader) if item.now is not None)
        were = "was" if calls == 1 else "were"
        parts.append(f"{plural(calls, 'call')} of this week {were} read by {reader}. {_KNOWN.get(reader, _UNKNOWN)}")
    return " ".join(parts) or "No call of this week could be read."


def unread_sentence(counts: Mapping[str, int]) -> str:
    """Return how many calls have no sentiment, and why; "" where all have one."""
    if not counts:
        return ""
    parts = [f"{count:,} {_UNREAD.get(code, code)}" for code, count in sorted(counts.items(), key=lambda one: -one[1])]
    return f"Without a sentiment: {plural(sum(counts.values()), 'call')} ({'; '.join(parts)})."


def _whole(found: CallSentiments, reader: str) -> list[CallFigure]:
    """Return one figure of each form that ``reader`` read, of all groups: they have the same n."""
    first = next(iter(CALL_SENTIMENTS.values()))
    return [
        item
        for item in found.figures
        if (item.place.reader, item.place.group, item.metric) == (reader, EVERY_GROUP, first)
    ]


def _add(
    weeks: Mapping[int, dict[ScorePlace, Counter[str]]], unread: dict[tuple[str, str], Counter[str]], row: Any
) -> None:
    form = (str(row.tenant_id), str(row.form_id))
    if not row.sentiment:
        if int(row.period) == 0:
            unread.setdefault(form, Counter())[str(row.failure)] += int(row.calls)
        return
    for group in (EVERY_GROUP, str(row.agent_group)):
        place = ScorePlace(tenant=form[0], form_id=form[1], group=group, reader=str(row.reader))
        weeks[int(row.period)].setdefault(place, Counter())[str(row.sentiment)] += int(row.calls)


def _rate(counts: Counter[str] | None, sentiment: str) -> Rate | None:
    return None if counts is None else Rate(successes=counts[sentiment], n=counts.total())


def _counted(place: ScorePlace, metric: WeeklyMetric, ours: Rate) -> CallFigure:
    # An interval would look as if only chance stood between the share and the truth.
    share = Interval(value=ours.successes / ours.n, low=None, high=None, n=ours.n, method="counted")
    return CallFigure(place=place, metric=metric, question="", now=share, before=None, found=None)


def _order(place: ScorePlace) -> tuple[str, str, str, str]:
    return place.tenant, place.form_id, place.reader, place.group
