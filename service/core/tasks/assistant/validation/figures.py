"""The figures of a text: amounts, percentages, durations, times of day, phone numbers, and other numbers."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from service.core.statements.grounding.text import fold_values
from service.core.tasks.assistant.phone import uk_number
from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "figures")

Figure = tuple[str, str]  # its kind, and its value in one spelling
_HALF_DAY = 12 * 60  # minutes
# "one of our specialists" and "once you have" state no figure; list numbers count lines.
_NO_FIGURE = re.compile(_TEXTS["no_figure"], re.I)
_OFFERED = re.compile(r"\b\w+ (?=(?:types?|kinds?|options?|ways?|choices?|questions?)\b)", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w+£.])\+?\d(?:[\s().-]{0,2}\d){8,13}(?!\w)")
_CLOCK = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm|a\.m\.?|p\.m\.?)(?!\w)|\b(\d{1,2}):(\d{2})\b", re.IGNORECASE)
_DURATION = re.compile(_TEXTS["duration"], re.I)
_AMOUNT = re.compile(r"£\s*(\d[\d,]*(?:\.\d+)?)|\b(\d[\d,]*(?:\.\d+)?)\s*(?:pounds?|quid|gbp)\b", re.IGNORECASE)
_PERCENT = re.compile(r"\b(\d+(?:\.\d+)?)\s*(?:%|per ?cent\b)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?!\w)")


# Spellings of times, in digits.
_HALF_PAST = re.compile(r"\bhalf past (\d{1,2})\b")
_QUARTER = re.compile(r"\bquarter (past|to) (\d{1,2})\b")
_O_CLOCK = re.compile(r"\b(\d{1,2}) ?o'?clock\b")
_DOTTED = re.compile(r"(?<![£\d.])\b(\d{1,2})\.([0-5]\d)\b(?! ?(?:%|per ?cent|pounds?|miles?|\d))")
_COUPLE = re.compile(r"\ba couple of (?=\w+)")
_WITHIN_A = re.compile(r"\b(within|in|about|under) an? (?=(?:minute|hour|day|week|month|year)\b)")


def _in_digits(text: str) -> str:
    """Return folded ``text`` with times of day as "9:30" and lengths of time with their number."""
    text = _HALF_PAST.sub(r"\1:30", text)
    text = _QUARTER.sub(lambda m: f"{m[2]}:15" if m[1] == "past" else f"{int(m[2]) - 1 or 12}:45", text)
    text = _DOTTED.sub(r"\1:\2", _O_CLOCK.sub(r"\1:00", text))
    return _WITHIN_A.sub(r"\1 1 ", _COUPLE.sub("2 ", text.replace("a fortnight", "2 weeks")))


def figures_in(text: str) -> frozenset[Figure]:
    """Return the figures that ``text`` states."""
    return frozenset(_found(_in_digits(fold_values(_OFFERED.sub(" ", _NO_FIGURE.sub(" ", text))))))


def unsupported(stated: frozenset[Figure], known: frozenset[Figure]) -> tuple[Figure, ...]:
    """Return the figures of ``stated`` that are not among ``known``.

    A bare number may be any figure's value, or a full hour; a time without its half of the day may be in either.
    """
    hours = {int(value) for kind, value in known if kind in ("clock", "half_clock")}
    values = {value for _, value in known} | {str((at // 60 + 11) % 12 + 1) for at in hours if at % 60 == 0}
    halves = {str(at % _HALF_DAY) for at in hours}

    def supported(kind: str, value: str) -> bool:
        if (kind, value) in known or (kind == "number" and value in values):
            return True
        return kind == "half_clock" and value in halves

    return tuple(sorted(figure for figure in stated if not supported(*figure)))


def worked_out(stated: frozenset[Figure], own: frozenset[Figure]) -> frozenset[Figure]:
    """Return what follows from the figures: a year of a monthly amount, and a percentage of an amount that the customer named."""
    amounts = [Decimal(value) for kind, value in stated if kind == "amount"]
    shares = [Decimal(value) for kind, value in stated if kind == "percent"]
    theirs = [Decimal(value) for kind, value in own if kind in ("amount", "number")]
    found = [12 * amount for amount in amounts] + [share * amount / 100 for share in shares for amount in theirs]
    return frozenset(("amount", f"{amount.normalize():f}") for amount in found)


def _found(text: str) -> Iterator[Figure]:
    for kind, pattern in (
        ("phone", _PHONE),
        ("clock", _CLOCK),
        ("duration", _DURATION),
        ("amount", _AMOUNT),
        ("percent", _PERCENT),
    ):
        rest = text
        for match in pattern.finditer(text):
            found = list(_values(kind, match))
            if found:
                yield from found
                rest = rest.replace(match[0], " " * len(match[0]), 1)
        text = rest
    for match in _NUMBER.finditer(text):
        yield "number", _plain(match[0])


def _values(kind: str, match: re.Match[str]) -> Iterator[Figure]:
    if kind == "phone":
        number = uk_number(match[0])
        if number is not None:
            yield kind, number
    elif kind == "clock":
        hour, minute = int(match[1] or match[4]), int(match[2] or match[5] or 0)
        half = (match[3] or "")[:1].lower()
        if half or hour > 12:
            yield kind, str((hour % 12 + (12 if half == "p" else 0) if half else hour) * 60 + minute)
        else:
            yield "half_clock", str((hour % 12) * 60 + minute)
    elif kind == "duration":
        unit = "minute" if match[3].lower() == "min" else match[3].lower()
        for value in (match[1], match[2]):
            if value:
                yield kind, f"{_plain(value)} {unit}"
    else:
        yield kind, _plain(next(group for group in match.groups() if group))


def _plain(number: str) -> str:
    return f"{Decimal(number.replace(',', '')).normalize():f}"
