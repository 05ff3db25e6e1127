"""Finds the dates that a text names by month: "Nov. 3rd", "11/03/2026", "Sept 15, 16 and 17", "since October"."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from service.core.statements.grounding.prefilters import holds_word
from service.core.statements.grounding.sentence import Mention, SentenceScanner
from service.core.statements.grounding.text import MONTHS

# These patterns and those built from them need a text in lower case: ignoring case takes twice as long.
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_ORD = r"(?:st|nd|rd|th)?\b"
_DAY = rf"(?:(?:1[3-9]|2\d|3[01]){_ORD}(?!\s*%)|(?:1[0-2]|0?[1-9]){_ORD}(?!\s*(?:[ap]\.?m\b|%)))(?![:.]\d|,\d{{3}})"
_LIST_DAY = _DAY + r"(?!\s+(?!(?:is|was|has|as|this|its|his|plus)\b)[a-z]+s\b)"
_MORE_DAYS = rf"(?:(?:,\s*{_LIST_DAY})*,?\s*(?:and|&|or)\s+{_LIST_DAY}|\s*-\s*{_DAY}|\s*(?:to|through)\s*{_LIST_DAY})"
MONTH_DAY = rf"\b({_MONTH})\s*({_DAY}{_MORE_DAYS}?)(?:,?\s+(20\d\d)\b)?"
_MONTH_DAY = re.compile(MONTH_DAY)
# The day is no part of an amount: "the $198.25 November bill".
_DAY_MONTH = re.compile(rf"(?<![\d.,$])\b({_DAY})\s+(?:of\s+)?({_MONTH})(?:,?\s+(20\d\d)\b)?")
# "2 Dec 8-12": what follows are hours.
_DAY_MONTH_HOURS = re.compile(
    rf"(?<![\d.,$])\b({_DAY})\s+(?:of\s+)?({_MONTH})(?=,?\s+\d{{1,2}}(?::\d\d)?\s?(?:-|to)\s?\d)"
)
_BEFORE_MONTH = re.compile(
    rf"\d(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}"
)  # a part of the pattern above, faster to search for
_MONTH_YEAR = re.compile(rf"\b({_MONTH}),?\s+(20\d\d)\b")
# "may" and "march" are verbs, too: without a day they count only if capitalised and after a word such as "in" or "since".
_MONTH_ALONE = re.compile(
    r"\b(?:(Jan(?:uary)?|Feb(?:ruary)?|Apr(?:il)?|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?"
    r"|Dec(?:ember)?)|(?:(?<=\bin )|(?<=\bsince )|(?<=\bearly )|(?<=\blate )|(?<=\bmid-)|(?<=\bof )|(?<=\blast )"
    r"|(?<=\bfrom )|(?<=\bby ))(March|May))\b"
)
# The first letters of the pattern above, faster to search for.
_MONTH_HEAD = re.compile(r"[ADFJMNOS](?:an|eb|ar|pr|ay|un|ul|ug|ep|ct|ov|ec)")
# Notes write months in lower case; there, "may" and "march" are taken as verbs.
_MONTH_IN_NOTES = re.compile(
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|apr(?:il)?|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)\b"
)
# 1 to 12; begins with the digit for the reason given in service.core.statements.grounding.sentence.
# After a hyphen only where that follows a date: "7/3-7/24".
_MONTH_FIGURES = r"([0-9](?:(?<![\d/$.#-].)|(?<=\d/\d-.)|(?<=/\d\d-.))(?:(?<=1)[0-2]|(?<=0)[1-9]|(?<!0)))"
_SLASH_YEAR = re.compile(rf"{_MONTH_FIGURES}/(20\d\d)(?![\d/])")
_ISO = re.compile(r"(2(?<=\b2)0\d\d)-(\d\d)-(\d\d)(?!\d)")
_SLASH_SPAN = re.compile(rf"{_MONTH_FIGURES}/(3[01]|[12]\d|0?[1-9])-(3[01]|[12]\d|0?[1-9])(?![\d/.])")
_SLASH = re.compile(rf"{_MONTH_FIGURES}/(3[01]|[12]\d|0?[1-9])(?:/(20\d\d|\d\d))?(?![\d/])")
_MONTH_WORDS = frozenset(
    "jan january feb february mar march apr april may jun june jul july aug august sep sept sepember"
    " september oct october nov"
    " november dec december".split()
)
DAY_DIGITS = re.compile(r"\d{1,2}")


def month_number(name: str) -> int:
    """Return 1 to 12 for an English month's name or abbreviation."""
    return MONTHS.index(name[:3].lower()) + 1


class Dated(NamedTuple):
    """A date and its position; all days of a list ("Sept 15, 16 and 17") have the position of the list."""

    start: int
    end: int
    month: int
    day: int | None = None
    year: int | None = None


def names_month(text: str) -> bool:
    """Return False if ``text`` certainly names no month."""
    return holds_word(text, _MONTH_WORDS)


def read_dates(scanner: SentenceScanner) -> Iterator[Mention]:
    """Yield every date as a mention; several days after one month are several mentions."""
    for start, end, month, day, year in take_dates(scanner):
        yield scanner.mention("date", start, end, month=month, day=day, year=year)


def take_dates(scanner: SentenceScanner) -> Iterator[Dated]:
    """Yield every date and blank it out."""
    by_name = names_month(scanner.text)
    if scanner.holds_digit():
        if "-" in scanner.remaining or "/" in scanner.remaining:
            yield from _in_figures(scanner)
        if by_name:
            yield from _day_and_month(scanner)
    left = scanner.remaining
    for head in _MONTH_HEAD.finditer(left) if by_name else ():
        if match := _MONTH_ALONE.match(left, head.start()):
            scanner.blank(*match.span())
            yield Dated(*match.span(), month_number(match[1] or match[2]))


def _in_figures(scanner: SentenceScanner) -> Iterator[Dated]:
    if "-" in scanner.remaining:
        for match in scanner.take(_ISO):
            yield Dated(*match.span(), int(match[2]), int(match[3]), int(match[1]))
    if "/" not in scanner.remaining:
        return
    for match in scanner.take(_SLASH_SPAN) if "-" in scanner.remaining else ():
        for day in (match[2], match[3]):
            yield Dated(*match.span(), int(match[1]), int(day))
    for match in scanner.take(_SLASH):
        year = None if match[3] is None else int(match[3]) % 100 + 2000
        yield Dated(*match.span(), int(match[1]), int(match[2]), year)
    if "/20" not in scanner.remaining:
        return
    for match in scanner.take(_SLASH_YEAR):
        yield Dated(*match.span(), int(match[1]), None, int(match[2]))


def _day_and_month(scanner: SentenceScanner) -> Iterator[Dated]:
    for match in scanner.take(_DAY_MONTH_HOURS, lower=True) if _BEFORE_MONTH.search(scanner.remaining.lower()) else ():
        yield Dated(*match.span(), month_number(match[2]), int(DAY_DIGITS.findall(match[1])[0]))
    for match in month_days(scanner.remaining):
        scanner.blank(*match.span())
        year = int(match[3]) if match[3] else None
        for day in DAY_DIGITS.findall(match[2]):
            yield Dated(*match.span(), month_number(match[1]), int(day), year)
    for match in scanner.take(_DAY_MONTH, lower=True) if _BEFORE_MONTH.search(scanner.remaining.lower()) else ():
        day = int(DAY_DIGITS.findall(match[1])[0])
        yield Dated(*match.span(), month_number(match[2]), day, int(match[3]) if match[3] else None)
    for match in scanner.take(_MONTH_YEAR, lower=True) if "20" in scanner.remaining else ():
        yield Dated(*match.span(), month_number(match[1]), None, int(match[2]))


# Cached: a sentence is read for its dates, and again for its date ties.
@lru_cache(maxsize=4)
def month_days(text: str) -> tuple[re.Match[str], ...]:
    """Return the matches of a month with one or more days in ``text``."""
    return tuple(_MONTH_DAY.finditer(text.lower()))


# With a capital they are months, unless they ask: "May I pay on Friday?"
_SPRING = re.compile(r"\bMarch\b|\bMay\b(?!\s+(?:I|we|he|she|you|they|it|be|the|not)\b)")


def months_of_notes(text: str) -> set[int]:
    """Return the months (1 to 12) that a note names, capitalised or not."""
    if not names_month(text):
        return set()
    lower = {month_number(match[0]) for match in _MONTH_IN_NOTES.finditer(text.lower())}
    return lower | {month_number(match[0]) for match in _SPRING.finditer(text)}
