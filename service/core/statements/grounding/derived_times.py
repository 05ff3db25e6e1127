"""Computes how long something took, until when a stated stretch of time lasts, and how often something happened.

Each needs a word of the sentence that announces it, since a long history has gaps and counts of every small number.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from service.core.statements.grounding.arithmetic import near
from service.core.statements.grounding.history_facts import families_of
from service.core.statements.grounding.informal_numbers import clocks_in_figures, clocks_in_words
from service.core.statements.grounding.mentions import clock_key, times_of_day
from service.core.statements.grounding.relative_days import business_day
from service.core.statements.grounding.sentence import LEAD, Mention
from service.core.statements.grounding.units import Quantity, measured_in, quantity_of
from service.core.unit.interaction import Interaction

BETWEEN_DAYS = re.compile(
    r"\A[\s-]*(?:days?|weeks?|months?)\s+(?:too\s+)?(?:early|late|later|earlier|apart|after|before|overdue|ahead|in advance|past"
    r"|short of|prior)\b",
    re.I,
)
_LASTED = re.compile(
    r"\b(?:after|for|within|in|last(?:s|ed|ing)?|took|takes|taking|waited|(?:was|were) (?:out|off|down))"
    r"(?:\s(?:only|just|about|some|nearly|almost|over|around|roughly))?\s*$",
    re.I,
)
_SHIFTED = re.compile(
    r"\A[\s-]*(?:hours?|hrs?|minutes?|mins?)\s+(?:too\s+)?(?:early|late|later|earlier|apart|after|before|overdue|ahead|past)\b",
    re.I,
)
_DIAL_MINUTES = 720
_NEAR_CLOCK = re.compile(
    r"\b(?:just|shortly|short|soon|before|after|around|about|nearly|almost|towards?|past"
    r"|minutes)\s(?:before\s|after\s|of\s)?$",
    re.I,
)
_PART_OF_HOUR = re.compile(r"\b(?:(half|quarter)\s+past|(quarter)\s+to)\s$", re.I)
_NEAR_MINUTES = 45
_MOST_CLOCKS = 12  # a longer list would reach many gaps by chance
_MINUTE, _DAY = 60, 86_400
_LONGEST_DAYS = 366
_DAYS_PER_MONTH = (28, 29, 30, 31)

_THREADS = frozenset({"sms", "social", "chat"})
_MESSAGE = re.compile(r"^[^\n:\]]{1,30}[:\]]", re.M)
_WINDOWS_DAYS = (1, 2, 3, 7, 14, 30, 31)
_EVENT = re.compile(r"\b([a-z]{3,20})(?:\s(?:it|him|her|them|this|that|us))?[\s,]*$", re.I)
_DONE = re.compile(r"\b[a-z]{2,18}ed(?=(?:\s[a-z']+){1,2}\s*$)")
_EVENT_AFTER = re.compile(r"\A\s*([a-z]{3,20})\b", re.I)
_MOST_EVENTS = 4
_LEAST_STEM, _LONGEST_STEM = 4, 6
# "Charged twice" is a statement about money, which two notes on one charge do not support.
_OF_MONEY = re.compile(r"(?:over)?(?:bill|charg|pa(?:y|id)|debit|credit|refund|withdr|collect|deduct|doubl)", re.I)
# Ways to word one event: "does not qualify" refuses, "could you" asks.
_EVENTS = {
    event: re.compile(words, re.I)
    for names, words in (
        (
            "refused declined denied rejected",
            r"\b(?:refus|declin|den(?:y|ie)|reject|turn\w* down|unable)|\b(?:can't|cannot|won't|don't qualify|do not qualify"
            r"|does not qualify|doesn't qualify|not (?:eligible|covered|able|possible|qualify))",
        ),
        (
            "asked requested demanded",
            r"\b(?:ask|request|demand|want|please|pls|plz|insist|could you|can you|would you)|\?",
        ),
        ("promised assured", r"\b(?:promis|assur|guarante|will\b|'ll\b)"),
        ("explained told informed", r"\b(?:expl|told|inform|advised|adv\b)"),
    )
    for event in names.split()
}


class ContactCounts(NamedTuple):
    """How often the customer was in touch: per channel family in all, and each number that a writer may have counted."""

    totals: dict[str, int]
    counts: dict[str, set[int]]

    @classmethod
    def of(cls, interactions: Sequence[Interaction], as_of: date) -> "ContactCounts":
        """Count the contacts within the windows that writers count over."""
        groups: dict[tuple[str, object], int] = defaultdict(int)
        for item in interactions:
            age = (as_of - item.timestamp.date()).days
            windows: list[object] = ["whole", ("intent", item.intent), ("month", item.timestamp.month), ("day", age)]
            windows += [("within", days) for days in _WINDOWS_DAYS if age <= days]
            # "Four calls" may mean only the calls that an agent answered.
            answered = ("answered",) if item.channel == "agent" else ()
            for family in (*families_of(item.channel), *answered, "all"):
                for window in windows:
                    groups[family, window] += 1
        totals = {family: count for (family, window), count in groups.items() if window == "whole"}
        counts: dict[str, set[int]] = defaultdict(set)
        for (family, _), count in groups.items():
            counts["phone" if family == "answered" else family].add(count)
        # One interaction may hold several messages of a thread: any number of them up to all.
        for item in interactions:
            lines = len(_MESSAGE.findall(item.text)) if item.channel in _THREADS else 0
            for family in families_of(item.channel):
                counts[family].update(range(2, lines + 1))
        return cls(totals, counts)

    def has_nth(self, family: str, count: int) -> bool:
        """Return whether there is a ``count``-th contact, the present one included."""
        total = self.totals.get(family, 0)
        # "The fifth contact" is the last one in some count, not one among many.
        return count <= total + 1 if family != "all" else count in {*self.counts.get(family, ()), total + 1}


def is_clock_gap(mention: Mention, texts: Sequence[str]) -> bool:
    """Return whether a number of hours or minutes lies between two times of day of ``texts``, as the sentence says.

    "After 43 minutes" needs both times in one text; in "four hours late", the second may be in the next one.
    """
    lasted = _LASTED.search(mention.statement.partition(mention.value)[0][-LEAD:])
    shifted = _SHIFTED.match(mention.rest)
    if not (lasted or shifted):
        return False
    value = mention.number or Decimal(0)
    wanted = quantity_of(value, mention.unit)[1] / _MINUTE
    clocks = [_clocks_of(text) for text in texts]
    pairs = [*zip(clocks, clocks, strict=True), *(pairwise(clocks) if shifted else ())]
    # Later on the dial, since the day may be another one.
    gaps = {Decimal((end - start) % _DIAL_MINUTES) for ones, others in pairs for start in ones for end in others} - {0}
    return wanted in gaps or (mention.loose and near(wanted, gaps, Decimal("0.1")))


def day_spans(named: Iterable[Iterable[date]]) -> Iterator[int]:
    """Yield how many days lie between neighbours among the days that each text names, both counted: three for "9/1-9/3"."""
    yield from ((end - start).days + 1 for days in named for start, end in pairwise(sorted(days)))


def is_near_clock(mention: Mention, clocks: Iterable[str]) -> bool:
    """Return whether the sentence says that a time was near the mention's, and one of ``clocks`` is.

    "Half past three" is a time of its own: one of ``clocks`` must be it, and in no other half of the day than is said.
    """
    lead = mention.statement.partition(mention.value)[0][-LEAD:]
    wanted, half = int(mention.unit.strip("@ap")), mention.unit.lstrip("@0123456789")
    if part := _PART_OF_HOUR.search(lead):
        wanted += -15 if part[2] else 30 if part[1].lower() == "half" else 15
        known = {int(clock.strip("@ap")) for clock in clocks if not half or clock[-1] == half or clock[-1].isdigit()}
        return wanted % _DIAL_MINUTES in known
    if not _NEAR_CLOCK.search(lead):
        return False
    apart = [(wanted - int(clock.strip("@ap"))) % _DIAL_MINUTES for clock in clocks]
    return any(min(minutes, _DIAL_MINUTES - minutes) <= _NEAR_MINUTES for minutes in apart)


def days_after(sentence: str, stated: frozenset[Quantity], known: Iterable[date]) -> Iterator[date]:
    """Yield the days that lie a stretch of ``sentence``, one of the ``stated`` ones, after a known day."""
    stretches = {found.quantity for found in measured_in(sentence) if found.of_time} & stated
    for dimension, number in stretches:
        if dimension == "time" and number % _DAY == 0 and 0 < number <= _LONGEST_DAYS * _DAY:
            yield from (day + timedelta(days=int(number) // _DAY) for day in known)
        elif dimension == "business day" and number == int(number) and number <= _LONGEST_DAYS:
            yield from (business_day(day, int(number)) for day in known)
        elif dimension == "month" and number == int(number) and number * _DAYS_PER_MONTH[-1] <= _LONGEST_DAYS * 2:
            yield from (_months_after(day, int(number)) for day in known)


def happened(mention: Mention, texts: Sequence[str]) -> bool:
    """Return whether as many texts as the mention says ("twice") tell of the event before or after it."""
    before, _, rest = mention.statement.partition(mention.value)
    times = int(mention.number or 0)
    named = [match[1].lower() for match in (_EVENT.search(before[-LEAD:]), _EVENT_AFTER.match(rest)) if match]
    named += _DONE.findall(before[-LEAD:].lower())  # "missed the visit twice"
    if any(map(_OF_MONEY.match, named)):
        return False
    return 1 < times <= _MOST_EVENTS and any(
        sum(pattern.search(text) is not None for text in texts) >= times for pattern in map(_told_as, named)
    )


def _told_as(event: str) -> re.Pattern[str]:
    if event in _EVENTS:
        return _EVENTS[event]
    return re.compile(rf"\b{event[: min(max(len(event) - 3, _LEAST_STEM), _LONGEST_STEM)]}", re.I)


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.month - 1 + months, 12)
    first = date(day.year + year, month + 1, 1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=min(day.day, (following - first).days) - 1)


def _clocks_of(text: str) -> frozenset[int]:
    keys = [*clocks_in_words(text), *clocks_in_figures(text), *map(clock_key, times_of_day(text))]
    clocks = frozenset(int(key.strip("@ap")) for key in keys)
    return clocks if len(clocks) <= _MOST_CLOCKS else frozenset()
