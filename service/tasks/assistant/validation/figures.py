"""The figures of a text: amounts, percentages, durations, times of day, phone numbers, and other numbers."""

import re
from collections.abc import Iterator
from decimal import Decimal

from service.grounding.text import fold_values
from service.tasks.assistant.phone import uk_number

Figure = tuple[str, str]  # its kind, and its value in one spelling
# "one of our specialists" and "once you have" state no figure; list numbers count lines.
_NO_FIGURE = re.compile(
    r"\b(?:one|once|twice|zero)\b|(?m:^\s*(?:step\s*)?\d{1,2}[.):]\s)|\bstep \d{1,2}\b", re.IGNORECASE
)
_OFFERED = re.compile(r"\b\w+ (?=(?:types?|kinds?|options?|ways?|choices?|questions?)\b)", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w+£.])\+?\d(?:[\s().-]{0,2}\d){8,13}(?!\w)")
_CLOCK = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm|a\.m\.?|p\.m\.?)(?!\w)|\b(\d{1,2}):(\d{2})\b", re.IGNORECASE)
_DURATION = re.compile(
    r"\b(\d+(?:\.\d+)?)(?:\s*(?:to|-|–|or|and)\s*(\d+(?:\.\d+)?))?[\s-]*(?:working |business )?"
    r"(minute|min|hour|day|week|month|year)s?\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"£\s*(\d[\d,]*(?:\.\d+)?)|\b(\d[\d,]*(?:\.\d+)?)\s*(?:pounds?|quid|gbp)\b", re.IGNORECASE)
_PERCENT = re.compile(r"\b(\d+(?:\.\d+)?)\s*(?:%|per ?cent\b)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?!\w)")


def figures_in(text: str) -> frozenset[Figure]:
    """Return the figures that ``text`` states."""
    return frozenset(_found(fold_values(_OFFERED.sub(" ", _NO_FIGURE.sub(" ", text)))))


def unsupported(stated: frozenset[Figure], known: frozenset[Figure]) -> tuple[Figure, ...]:
    """Return the figures of ``stated`` that are not among ``known``; a bare number may be any figure's value."""
    values = {value for _, value in known}
    return tuple(
        sorted(
            figure for figure in stated if figure not in known and not (figure[0] == "number" and figure[1] in values)
        )
    )


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
        yield kind, str((hour % 12 + (12 if half == "p" else 0) if half else hour) * 60 + minute)
    elif kind == "duration":
        unit = "minute" if match[3].lower() == "min" else match[3].lower()
        for value in (match[1], match[2]):
            if value:
                yield kind, f"{_plain(value)} {unit}"
    else:
        yield kind, _plain(next(group for group in match.groups() if group))


def _plain(number: str) -> str:
    return f"{Decimal(number.replace(',', '')).normalize():f}"
