"""Finds what a sentence connects with a date: a contact ("the Oct 20 e-mail"), an amount ("$70 on Oct 2"), a weekday.

Only if both are next to each other, so that a date of another clause is not taken for theirs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from service.core.statements.grounding.date_mentions import DAY_DIGITS, MONTH_DAY, month_days, month_number, names_month
from service.core.statements.grounding.mentions import DOLLARS, channel_patterns
from service.core.statements.grounding.relative_days import nearest_year, real_day
from service.core.statements.grounding.sentence import read_number

_TO_DATE = re.compile(r"[ ,]+(?:(?:on|of|from|in)\s+)?\Z")
_FROM_DATE = re.compile(r"\A,?\s+(?:(?:in|by|a|an|the|her|his|their|our|phone|web|website)\s+){0,3}\Z")
_OWN_DATE = re.compile(rf"(?:\s+and\s+\w+)?,?\s+(?:(?:on|of)\s+)?{MONTH_DAY}", re.I)  # "Nov 10, chat Nov 11"
_AMOUNT_TO_DATE = re.compile(r"\A(?:\s+(?!and\b|or\b|but\b|by\b|until\b|since\b|due\b)[a-z-]+){0,4}?\s+on\s+\Z")
# "From Sep 1 to Oct 30 by chat": the end of a period is not the day of the chat.
_STRETCH = re.compile(r"\b(?:to|through|thru|until|till|from|since|between|and|by|before|after)\s+\Z|-\s*\Z", re.I)
_WEEKDAY = re.compile(r"\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?\s+\Z", re.I)
_RELATIVE = re.compile(r"\b(today|tomorrow|yesterday),?\s+\Z", re.I)
_WEEKDAYS = ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")
_OFFSETS = {"today": 0, "tomorrow": 1, "yesterday": -1}
_LEAD = 24  # characters searched on either side: longer than any phrase in between


@dataclass(frozen=True, slots=True, kw_only=True)
class DateTie:
    """A connection with a month and day: ``family`` is set for a contact, ``amount`` for money, ``word`` for a day."""

    kind: Literal["contact", "amount", "day"]
    value: str
    statement: str
    month: int
    day: int
    family: str = ""
    amount: Decimal | None = None
    word: str = ""


def date_ties_in(sentence: str) -> Iterator[DateTie]:
    """Yield the ties of ``sentence`` (after ``clean``) to dates with a month and one day."""
    dates = month_days(sentence) if names_month(sentence) else ()
    if not dates:
        return
    contacts = [
        (family, found)
        for family, pattern in channel_patterns(sentence)
        for found in pattern.finditer(sentence)
        if found[0].lower() != "online"  # how a customer paid, in most texts, and not how they were in touch
    ]
    for match in dates:
        days = DAY_DIGITS.findall(match[2])
        if len(days) == 1:
            yield from _tied(sentence, contacts, match.start(), match.end(), month_number(match[1]), int(days[0]))


def _tied(
    sentence: str, contacts: list[tuple[str, re.Match[str]]], start: int, end: int, month: int, day: int
) -> Iterator[DateTie]:
    before, lead = sentence[:start], max(0, start - _LEAD)
    stretch = bool(_STRETCH.search(before, lead))
    for pattern in (_WEEKDAY, _RELATIVE):
        word = pattern.search(before, lead)
        if word is not None:
            value = sentence[word.start() : end]
            yield DateTie(kind="day", value=value, statement=sentence, month=month, day=day, word=word[1].lower())
    for family, found in contacts:
        left = found.end() <= start and _TO_DATE.fullmatch(sentence[found.end() : start])
        after = found.start() >= end and not stretch and _FROM_DATE.fullmatch(sentence[end : found.start()])
        right = bool(after) and not _OWN_DATE.match(sentence, found.end())
        if left or right:
            value = sentence[min(start, found.start()) : max(end, found.end())]
            yield DateTie(kind="contact", value=value, statement=sentence, month=month, day=day, family=family)
    for found in DOLLARS.finditer(before):
        if not found[2] and _AMOUNT_TO_DATE.fullmatch(sentence[found.end() : start]):
            value = sentence[found.start() : end]
            yield DateTie(
                kind="amount", value=value, statement=sentence, month=month, day=day, amount=read_number(found[1])
            )


def day_fits(item: DateTie, as_of: date) -> bool:
    """Return whether the tie's weekday or relative word fits its date, in the year nearest to ``as_of``."""
    real = real_day(nearest_year(item.month, item.day, as_of), item.month, item.day)
    if item.word in _OFFSETS:
        return real == {as_of + timedelta(days=_OFFSETS[item.word])}
    return all(found.weekday() == _WEEKDAYS.index(item.word) for found in real)
