"""Finds the dates that a text names by month: "Nov. 3rd", "11/03/2026", "Sept 15, 16 and 17", "since October"."""

import re
from collections.abc import Iterator

from service.cues import holds_digit, holds_part
from service.sheet import Mention, Sheet
from service.text import MONTHS

# "may" and "march" are verbs too: alone they count only capitalised and after a word that leads a month in.
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_ORD = r"(?:st|nd|rd|th)?\b"
_DAY = rf"(?:(?:1[3-9]|2\d|3[01]){_ORD}(?!\s*%)|(?:1[0-2]|0?[1-9]){_ORD}(?!\s*(?:[ap]\.?m\b|%)))(?![:.]\d|,\d{{3}})"
_LIST_DAY = _DAY + r"(?!\s+(?!(?:is|was|has|as|this|its|his|plus)\b)[a-z]+s\b)"
_MORE_DAYS = rf"(?:(?:,\s*{_LIST_DAY})*,?\s*(?:and|&|or)\s+{_LIST_DAY}|\s*(?:-|to|through)\s*{_LIST_DAY})"
MONTH_DAY = re.compile(rf"\b({_MONTH})\s*({_DAY}{_MORE_DAYS}?)(?:,?\s+(20\d\d)\b)?", re.I)
_DAY_MONTH = re.compile(rf"\b({_DAY})\s+(?:of\s+)?({_MONTH})(?:,?\s+(20\d\d)\b)?", re.I)
_MONTH_YEAR = re.compile(rf"\b({_MONTH}),?\s+(20\d\d)\b", re.I)
_MONTH_ALONE = re.compile(
    r"\b(?:(Jan(?:uary)?|Feb(?:ruary)?|Apr(?:il)?|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?"
    r"|Dec(?:ember)?)|(?:(?<=\bin )|(?<=\bsince )|(?<=\bearly )|(?<=\blate )|(?<=\bmid-)|(?<=\bof )|(?<=\blast )"
    r"|(?<=\bfrom )|(?<=\bby ))(March|May))\b"
)
# Notes write months small; "may" and "march" stay verbs there.
_MONTH_IN_NOTES = re.compile(
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|apr(?:il)?|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)\b",
    re.I,
)
_SLASH_YEAR = re.compile(r"(?<![\d/$.#-])(1[0-2]|0?[1-9])/(20\d\d)(?![\d/])")
_ISO = re.compile(r"\b(20\d\d)-(\d\d)-(\d\d)(?!\d)")
_SLASH = re.compile(r"(?<![\d/$.#-])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?:/(20\d\d|\d\d))?(?![\d/])")
DAY_DIGITS = re.compile(r"\d{1,2}")


def month_number(name: str) -> int:
    """Return 1 to 12 for an English month's name or abbreviation."""
    return MONTHS.index(name[:3].lower()) + 1


def read_dates(sheet: Sheet) -> Iterator[Mention]:
    """Yield every date of the sheet; several days after one month are several mentions."""
    in_figures = holds_digit(sheet.left)
    by_name = holds_part(sheet.left, MONTHS)
    if in_figures:
        yield from _in_figures(sheet)
    if in_figures and by_name:
        yield from _day_and_month(sheet)
    if by_name:
        for match in sheet.take(_MONTH_ALONE):
            yield sheet.mention("date", *match.span(), month=month_number(match[1] or match[2]))


def _in_figures(sheet: Sheet) -> Iterator[Mention]:
    for match in sheet.take(_ISO):
        yield sheet.mention("date", *match.span(), month=int(match[2]), day=int(match[3]), year=int(match[1]))
    for match in sheet.take(_SLASH):
        year = None if match[3] is None else int(match[3]) % 100 + 2000
        yield sheet.mention("date", *match.span(), month=int(match[1]), day=int(match[2]), year=year)
    for match in sheet.take(_SLASH_YEAR):
        yield sheet.mention("date", *match.span(), month=int(match[1]), year=int(match[2]))


def _day_and_month(sheet: Sheet) -> Iterator[Mention]:
    for match in sheet.take(MONTH_DAY):
        year = int(match[3]) if match[3] else None
        for day in DAY_DIGITS.findall(match[2]):
            yield sheet.mention("date", *match.span(), month=month_number(match[1]), day=int(day), year=year)
    for match in sheet.take(_DAY_MONTH):
        day = int(DAY_DIGITS.findall(match[1])[0])
        yield sheet.mention(
            "date", *match.span(), month=month_number(match[2]), day=day, year=int(match[3]) if match[3] else None
        )
    for match in sheet.take(_MONTH_YEAR):
        yield sheet.mention("date", *match.span(), month=month_number(match[1]), year=int(match[2]))


def months_of_notes(text: str) -> set[int]:
    """Return the months (1 to 12) that a note names, capitalised or not."""
    if not holds_part(text, MONTHS):
        return set()
    return {month_number(match[0]) for match in _MONTH_IN_NOTES.finditer(text)}
