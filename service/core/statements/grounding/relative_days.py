"""Finds the calendar days that a note refers to: "by Friday", "the 20th", "within 5 business days", "30 de octubre"."""

import re
from datetime import date, timedelta

from service.core.statements.grounding.lexicon import ORDINALS, SMALL_NUMBERS
from service.core.statements.grounding.prefilters import holds_digit, holds_word, same_letters
from service.core.statements.grounding.sentence import LEAD, Mention

_HALF_A_YEAR = 182
_DAYS_OF_MONTH = range(1, 32)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = re.compile(
    r"\b(?:(mon|fri|sun)(?:day)?|(tue)(?:s(?:day)?)?|(wed)(?:nesday)?|(thu)(?:rs?(?:day)?)?|(sat)(?:urday)?)s?\b", re.I
)
_SHORT_DAYS = "mon tue tues wed thu thur thurs fri sat sun".split()
_DAY_NAMES = frozenset(
    name + end
    for name in (*_SHORT_DAYS, *(f"{day}day" for day in (*_SHORT_DAYS, "wednes", "satur")))
    for end in ("", "s")
)
_FORWARD = re.compile(r"\b(?:next|until|til|till|thru|through|due|coming|before)\s*$", re.I)
_BACKWARD = re.compile(r"\b(?:last|since|past)\s*$", re.I)
_RELATIVE = (
    (re.compile(r"\b(?:tomorrow|tmrw|tmw|mañana)\b", re.I), 1, frozenset({"tomorrow", "tmrw", "tmw"})),
    (re.compile(r"\b(?:yesterday|last night|ayer)\b", re.I), -1, frozenset({"yesterday", "night", "ayer"})),
)
_SPAN = re.compile(
    r"\b(\d{1,2})(?:\s?(?:-|to|or)\s?(\d{1,2}))?\s*(?:(business|bus\.?|working|calendar)\s*)?"
    r"(days?|bd|bds|bizdays?|wks?|weeks?|hrs?|hours?|h)\b"
    r"(\s+ago)?",
    re.I,
)
_SPAN_UNITS = frozenset(
    kind + unit
    for kind in ("", "business", "bus", "working", "calendar")  # "5 businessdays"
    for unit in "day days bd bds bizday bizdays wk wks week weeks hr hrs hour hours h".split()
)
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(SMALL_NUMBERS)})\b")  # in lower case
_COUNTED_FROM = re.compile(r"\A[\s-]*(?:days?|weeks?|months?)\s+(?:ago|earlier|later|after|before|since|prior)\b", re.I)
_AGE = re.compile(r"\A[\s-]*(?:years?|yrs?|months?|weeks?)[\s-]+(?:old\b|of\s+age\b)", re.I)
_COUNTED_AFTER = re.compile(r"\b(?:after|since|for|past|last)\s+(?:the\s+)?(?:past\s+|last\s+)?$", re.I)
_ORDINAL_DAY = re.compile(r"\b(?:the|on|by|since|til|till|until|before|after|thru)\s+(\d{1,2})(?:st|nd|rd|th)\b", re.I)
_ORDINAL_ENDS = frozenset({"st", "nd", "rd", "th"})
_ORDINAL_NAMES = frozenset(ORDINALS)
_ORDINAL_WORD = re.compile(rf"\b(?:{'|'.join(ORDINALS)})\b", re.I)
_FOREIGN_MONTHS = {
    name: month
    for month, names in {
        "jan": "enero janeiro janvier",
        "feb": "febrero fevereiro février",
        "mar": "marzo março mars",
        "apr": "abril avril",
        "may": "mayo maio mai",
        "jun": "junio junho juin",
        "jul": "julio julho juillet",
        "aug": "agosto août",
        "sep": "septiembre setembro septembre",
        "oct": "octubre outubro octobre",
        "nov": "noviembre novembro novembre",
        "dec": "diciembre dezembro décembre",
    }.items()
    for name in names.split()
}
_FOREIGN_NAMES = frozenset(_FOREIGN_MONTHS)
_FOREIGN_DAY = re.compile(rf"\b(\d{{1,2}})\s+(?:de\s+)?({'|'.join(_FOREIGN_MONTHS)})\b", re.I)


def in_english(text: str) -> str:
    """Return ``text`` with ordinal words as figures and Spanish, Portuguese and French dates in English."""
    text = same_letters(text)
    if holds_word(text, _ORDINAL_NAMES):
        text = _ORDINAL_WORD.sub(lambda m: f"{ORDINALS[m[0].lower()]}th", text)
    if holds_word(text, _FOREIGN_NAMES):
        text = _FOREIGN_DAY.sub(lambda m: f"{m[1]} {_FOREIGN_MONTHS[m[2].lower()]}", text)
    return text


def real_day(year: int, month: int, day: int) -> set[date]:
    """Return a set of this one day, or an empty set if the calendar has no such day."""
    try:
        return {date(year, month, day)}
    except ValueError:
        return set()  # "2/30" in a note is a typing error


def nearest_year(month: int, day: int, written: date) -> int:
    """Return the year in which this month and day are nearest to ``written``; notes often omit the year."""
    for same_year in real_day(written.year, month, day):
        if abs((same_year - written).days) <= _HALF_A_YEAR:
            return written.year  # any other is further away
    candidates = [d for year in (written.year - 1, written.year, written.year + 1) for d in real_day(year, month, day)]
    return min(candidates, key=lambda d: abs((d - written).days)).year if candidates else written.year


def pointed_days(text: str, written: date) -> set[date]:
    """Return the days that ``text``, written on day ``written``, refers to without a month.

    If the direction is unclear, it returns both the past and the future day.
    """
    pointed: set[date] = set()
    if holds_word(text, _DAY_NAMES):
        for match in _WEEKDAY.finditer(text):
            ahead = (_WEEKDAYS.index(match[match.lastindex or 0].lower()) - written.weekday()) % 7
            before = text[: match.start()]
            if not _BACKWARD.search(before):
                pointed.add(written + timedelta(days=ahead))
            if not _FORWARD.search(before):
                pointed.add(written + timedelta(days=ahead - 7))
    for pattern, offset, words in _RELATIVE:
        if holds_word(text, words) and pattern.search(text):
            pointed.add(written + timedelta(days=offset))
    if holds_word(text, _SPAN_UNITS):
        for match in _SPAN.finditer(_NUMBER_WORD.sub(lambda m: str(SMALL_NUMBERS[m[0]]), text.lower())):
            pointed |= _spans(match, written)
    for day in ordinal_days(text):
        pointed |= _bare_days(day, written)
    return pointed


def ordinal_days(text: str) -> list[int]:
    """Return the days of the month that ``text`` names without one: "by the 20th"."""
    if not holds_word(text, _ORDINAL_ENDS) or not holds_digit(text):
        return []
    return [day for match in _ORDINAL_DAY.finditer(text) if (day := int(match[1])) in _DAYS_OF_MONTH]


def is_stretch(unit: str) -> bool:
    """Return whether ``unit`` is a unit of ``gap_fits``."""
    return unit.removesuffix("s") in ("day", "night", "week", "month")


def is_age(rest: str) -> bool:
    """Return whether what follows a number makes it an age: "ninety-year-old"."""
    return _AGE.match(rest) is not None


def counts_from_day(mention: Mention) -> bool:
    """Return whether the text counts from one day to another: "two months after the move", "after two months"."""
    before = mention.statement.partition(mention.value)[0]
    return _COUNTED_FROM.match(mention.rest) is not None or _COUNTED_AFTER.search(before[-LEAD:]) is not None


def gap_fits(days: int, said: int, unit: str) -> bool:
    """Return whether ``said`` of ``unit`` (day, night, week or month) describes ``days`` days; weeks ±3 days, months ±10."""
    match unit.removesuffix("s"):
        case "day" | "night":
            return days == said
        case "week":
            return abs(days - 7 * said) <= 3
        case "month":
            return abs(days - 30 * said) <= 10
    return False


def business_day(start: date, count: int) -> date:
    """Return the day ``count`` business days after ``start``, before it if negative."""
    day, step = start, 1 if count > 0 else -1
    left = abs(count)
    while left:
        day += timedelta(days=step)
        left -= day.weekday() < 5
    return day


def _spans(match: re.Match[str], written: date) -> set[date]:
    sign = -1 if match[5] else 1
    unit = match[4].lower()
    days: set[date] = set()
    for said in (match[1], match[2]):
        if said is None:
            continue
        count = int(said)
        if unit.startswith("w"):
            days.add(written + timedelta(weeks=sign * count))
        elif unit.startswith("h"):
            days.add(written + timedelta(days=sign * (count // 24)))
        else:
            if unit in ("day", "days") and (match[3] or "calendar").lower() == "calendar":
                days.add(written + timedelta(days=sign * count))
            days.add(business_day(written, sign * count))
    return days


def _bare_days(day: int, written: date) -> set[date]:
    """Return the last and the next day with this number, since "the 20th" in a note may be either."""
    around = [
        d
        for offset in (-31, 0, 31)
        for d in real_day((written + timedelta(days=offset)).year, (written + timedelta(days=offset)).month, day)
    ]
    past = [d for d in around if d <= written]
    ahead = [d for d in around if d > written]
    return {*past[-1:], *ahead[:1]}
