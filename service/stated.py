"""What one text of a history states: its words, numbers, days and channels. Read once, however many sources it is part of.

Intents and outcomes are few and come again in every history; the same notes come again when a customer is transferred, or when a
shadow answers the same request. What was read is kept by text, in this process's memory alone.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from service.cues import holds_digit, holds_part, holds_word
from service.dated import months_of_notes, read_dates
from service.days import in_english, nearest_year, pointed_days, real_day
from service.lexicon import CHANNEL_PARTS, CHANNEL_WORDS, ORDINARY
from service.mentions import FIGURES, TIME_OF_DAY, clock_key, read_counts
from service.notes import CHANNEL_CUES, amounts_of_notes, clocks_of_notes, foreign_numbers, worded_numbers
from service.sheet import Sheet, clean, read_number, without_accents

# 10 KB each at the median length of a note (140 characters; tracemalloc over the cases' texts). Longer texts are read anew.
_KEPT_TEXTS = 1024
_LONGEST_KEPT = 500

WORD = re.compile(r"[^\W\d_]+")
# "installment 1/3", "pin 2/3 NOMATCH": reads as a date in January or February, which it seldom is.
_FRACTION = re.compile(r"(?<![\d/])([1-6])/([1-6])(?![\d/])")
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[-_/.#][A-Za-z0-9]+)*")
_LETTERS_NUMBER = re.compile(r"\b([A-Za-z]{1,5})[ #:]+(\d{2,})\b")
_NO_TOKEN = re.compile(r"[^a-z0-9]")
_DIGIT_RUN = re.compile(r"\d+")
_VERSION = re.compile(r"\bv(?=\d)", re.I)  # "v7.3.0"
_THREE_CAPITALS = re.compile(r"\b[A-Z]{3}\b")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_INITIALS = re.compile(
    r"(?<![\w'.])(?:[^\W\d_][\w'.]{0,30}\s+(?:(?:of|the|and|for|to)\s+){0,2}){1,5}[^\W\d_][\w']{0,30}"
)
_LINKS = frozenset({"of", "the", "and", "for", "to"})
_NTH_CONTACT = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th)?\s*(?:x|(?:time|call|contact|chat|e-?mail|text|attempt|request)s?)\b", re.I
)
_STATED_AMOUNT = re.compile(
    r"\$\s?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)|(?<![\w.,])((?:\d{1,3}(?:,\d{3})+|\d+)\.\d\d)(?![\d.])"
)
_MULTIPLES = (
    (frozenset("twice double duplicate both pair couple".split()), Decimal(2)),
    (frozenset({"thrice", "triple"}), Decimal(3)),
)
_MULTIPLE = {value: re.compile(rf"\b(?:{'|'.join(sorted(words))})\b", re.I) for words, value in _MULTIPLES}
_FAMILY_OF = {
    "ivr": ("phone", "ivr"),
    "agent": ("phone",),
    "email": ("email",),
    "chat": ("chat",),
    "sms": ("sms",),
    "web": ("web",),
    "mobile_app": ("app",),
    "social": ("social",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a text says, whenever it was written.

    ``words`` are without accents and in lower case, ``tokens`` hold digits, ``capitals`` are three letters in capitals,
    ``spoken`` the channels that it names and ``families`` those that it hints at too. ``amounts`` are written as such,
    ``noted_amounts`` in the way of notes; ``figures`` are all numbers in figures, ``numbers`` those that belong to no date, with
    those in words. ``dates`` are (month, day or None, year or None), ``months`` those of notes, ``plain`` is the text to point at
    days.
    """

    plain: str
    words: frozenset[str]
    tokens: frozenset[str]
    capitals: frozenset[str]
    families: frozenset[str]
    spoken: frozenset[str]
    amounts: frozenset[Decimal]
    noted_amounts: frozenset[Decimal]
    figures: frozenset[Decimal]
    numbers: frozenset[Decimal]
    clocks: frozenset[str]
    counts: frozenset[tuple[str, int]]
    dates: frozenset[tuple[int, int | None, int | None]]
    months: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedDays:
    """What a text says of days, for the day on which it was written.

    ``dates`` are (month, day or None, year), ``named`` those of them with a day that the calendar has, ``pointed`` the days that
    it points at without a month.
    """

    dates: frozenset[tuple[int, int | None, int]]
    named: frozenset[date]
    pointed: frozenset[date]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """What meets in one interaction: channels, days as (month, day), amounts and bare figures."""

    families: frozenset[str]
    days: frozenset[tuple[int, int]]
    amounts: frozenset[Decimal]
    figures: frozenset[Decimal]


def families_of(channel: str) -> tuple[str, ...]:
    """Return the families of words (keys of ``CHANNEL_WORDS``) that an interaction's channel is called by."""
    return _FAMILY_OF[channel]


def meeting(channel: str, local_days: Iterable[date], parts: Sequence[tuple[Stated, StatedDays]]) -> Meeting:
    """Return what meets in an interaction of ``parts``; ``local_days`` are the days that its time may be, by time zone."""
    days = {(day.month, day.day) for day in local_days}
    for _, dated in parts:
        days |= {(month, day) for month, day, _ in dated.dates if day is not None}
        days |= {(day.month, day.day) for day in dated.pointed}
    return Meeting(
        families=frozenset(_FAMILY_OF[channel]).union(*(part.spoken for part, _ in parts)),
        days=frozenset(days),
        amounts=frozenset[Decimal]().union(*(part.amounts for part, _ in parts)),
        figures=frozenset[Decimal]().union(*(part.figures for part, _ in parts)),
    )


def stated_in(text: str) -> Stated:
    """Return what ``text`` states."""
    return _kept(text) if len(text) <= _LONGEST_KEPT else _read(text)


def days_in(stated: Stated, written: date) -> StatedDays:
    """Return the days that a text of day ``written`` names or points at; notes leave the year out."""
    dates = {(month, day, year or nearest_year(month, day or 15, written)) for month, day, year in stated.dates}
    named = {found for month, day, year in dates if day is not None for found in real_day(year, month, day)}
    dates |= {(month, None, nearest_year(month, 15, written)) for month in stated.months}
    return StatedDays(
        dates=frozenset(dates), named=frozenset(named), pointed=frozenset(pointed_days(stated.plain, written))
    )


def _read(text: str) -> Stated:
    cleaned = clean(text)
    plain = in_english(cleaned)
    named = _named_channels(cleaned)
    hinted = {family for family, cue in CHANNEL_CUES.items() if family not in named and cue.search(cleaned)}
    digits = holds_digit(plain)
    sheet = Sheet(text=plain, left=plain)
    dates = frozenset((mention.month, mention.day, mention.year) for mention in read_dates(sheet))
    return Stated(
        plain=plain,
        words=frozenset(_words(cleaned)),
        tokens=frozenset(_tokens(cleaned)),
        capitals=frozenset(word for word in map(str.lower, _THREE_CAPITALS.findall(cleaned)) if word not in ORDINARY),
        families=named | hinted,
        spoken=named if plain == cleaned else _named_channels(plain),
        amounts=frozenset(
            read_number(match[1] or match[2]) for match in (_STATED_AMOUNT.finditer(plain) if digits else ())
        ),
        noted_amounts=frozenset(amounts_of_notes(plain)),
        figures=frozenset(read_number(match[0]) for match in (FIGURES.finditer(plain) if digits else ())),
        # A day or a month is no number: with them, every small number would be in every long history.
        numbers=frozenset(_numbers(plain, sheet.left)),
        clocks=frozenset(_clocks(plain)),
        counts=frozenset(_counts(plain)),
        dates=dates,
        months=frozenset(months_of_notes(plain)),
    )


_kept = lru_cache(maxsize=_KEPT_TEXTS)(_read)


def _named_channels(plain: str) -> frozenset[str]:
    return frozenset(
        family
        for family, pattern in CHANNEL_WORDS.items()
        if holds_part(plain, CHANNEL_PARTS[family]) and pattern.search(plain)
    )


def _words(plain: str) -> set[str]:
    words = set(WORD.findall(without_accents(plain)))
    camel = _CAMEL.sub(" ", plain)
    if camel != plain:
        words.update(WORD.findall(without_accents(camel)))
    for match in _INITIALS.finditer(plain):
        letters = "".join(word[0] for word in WORD.findall(match[0]) if word.lower() not in _LINKS).lower()
        words.update(letters[i:j] for i in range(len(letters)) for j in range(i + 2, min(i + 6, len(letters) + 1)))
    return words


def _tokens(plain: str) -> set[str]:
    tokens: set[str] = set()
    if not holds_digit(plain):
        return tokens
    for match in _TOKEN.finditer(plain):
        token = match[0].lower()
        if token.isalpha() or not any(c.isdigit() for c in token):
            continue
        compact = _NO_TOKEN.sub("", token)
        tokens.add(compact)
        tokens.update(part for part in _NO_TOKEN.split(token) if part)
        tokens.update(_DIGIT_RUN.findall(compact))
    # "SC 20964" is how some write SC-20964.
    tokens.update((letters + figures).lower() for letters, figures in _LETTERS_NUMBER.findall(plain))
    return tokens


def _numbers(plain: str, undated: str) -> set[Decimal]:
    numbers = {*worded_numbers(plain), *foreign_numbers(plain)}
    if holds_digit(plain):
        numbers.update(read_number(match[0]) for match in FIGURES.finditer(_VERSION.sub(" ", undated)))
        numbers.update(Decimal(run) for run in _DIGIT_RUN.findall(undated))
        for match in _FRACTION.finditer(plain):
            if match[1] <= match[2]:
                numbers.update((Decimal(match[1]), Decimal(match[2])))
    numbers.update(value for words, value in _MULTIPLES if holds_word(plain, words) and _MULTIPLE[value].search(plain))
    return numbers


def _clocks(plain: str) -> set[str]:
    clocks = set(clocks_of_notes(plain))
    if holds_digit(plain):
        clocks.update(clock_key(match) for match in TIME_OF_DAY.finditer(plain))
    return clocks


def _counts(plain: str) -> set[tuple[str, int]]:
    counts = {
        (mention.family or "times", int(mention.number or 0)) for mention in read_counts(Sheet(text=plain, left=plain))
    }
    if holds_digit(plain):
        counts.update(("times", int(match[1])) for match in _NTH_CONTACT.finditer(plain))
    return counts
