"""What one text of a history states: its words, numbers, days and channels. Read once, and only as far as somebody asks.

Intents and outcomes are few and come again in every history; the same notes come again when a customer is transferred, or when a
shadow answers the same request. What was read is kept by text, in this process's memory alone.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property, lru_cache

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


class Stated:
    """What a text says, whenever it was written; each part is read when it is first asked for, and then kept.

    Most answers mention a few kinds of things, and most of what they mention stands in the source as they write it. Reading
    everything beforehand took three times as long (``make bench-service``).
    """

    def __init__(self, text: str) -> None:
        self._cleaned = clean(text)

    @cached_property
    def plain(self) -> str:
        """The text to point at days: quotes made plain, ordinals in figures, foreign dates in English."""
        return in_english(self._cleaned)

    @cached_property
    def written_words(self) -> frozenset[str]:
        """The words as written, without accents and in lower case; of CamelCase both the whole and the parts."""
        words = set(WORD.findall(without_accents(self._cleaned)))
        camel = _CAMEL.sub(" ", self._cleaned)
        if camel != self._cleaned:
            words.update(WORD.findall(without_accents(camel)))
        return frozenset(words)

    @cached_property
    def initials(self) -> frozenset[str]:
        """What words in a row are shortened to: "LIHEAP", "dob"."""
        return frozenset(_initials(self._cleaned))

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Runs that hold digits, whole and in parts, letters in lower case."""
        return frozenset(_tokens(self._cleaned))

    @cached_property
    def capitals(self) -> frozenset[str]:
        """Three letters in capitals, in lower case."""
        return frozenset(
            word for word in map(str.lower, _THREE_CAPITALS.findall(self._cleaned)) if word not in ORDINARY
        )

    @cached_property
    def families(self) -> frozenset[str]:
        """The channels that it names or hints at."""
        named = _named_channels(self._cleaned)
        return named | {
            family for family, cue in CHANNEL_CUES.items() if family not in named and cue.search(self._cleaned)
        }

    @cached_property
    def spoken(self) -> frozenset[str]:
        """The channels that it names."""
        return _named_channels(self.plain)

    @cached_property
    def amounts(self) -> frozenset[Decimal]:
        """Dollars written as such."""
        if not self._has_digits:
            return frozenset()
        return frozenset(read_number(match[1] or match[2]) for match in _STATED_AMOUNT.finditer(self.plain))

    @cached_property
    def noted_amounts(self) -> frozenset[Decimal]:
        """Dollars written in the way of notes."""
        return frozenset(amounts_of_notes(self.plain))

    @cached_property
    def figures(self) -> frozenset[Decimal]:
        """All numbers in figures."""
        if not self._has_digits:
            return frozenset()
        return frozenset(read_number(match[0]) for match in FIGURES.finditer(self.plain))

    @cached_property
    def counted(self) -> frozenset[Decimal]:
        """Numbers in figures. A day or a month is none: every small number would be in every long history."""
        if not self._has_digits:
            return frozenset()
        undated = self._dated[1]
        numbers = {read_number(match[0]) for match in FIGURES.finditer(_VERSION.sub(" ", undated))}
        return frozenset(numbers.union(Decimal(run) for run in _DIGIT_RUN.findall(undated)))

    @cached_property
    def numbers(self) -> frozenset[Decimal]:
        """Numbers in figures and in words."""
        return self.counted | _said_numbers(self.plain)

    @cached_property
    def clocks(self) -> frozenset[str]:
        """Times of day, as ``service.mentions.clock_key`` writes them."""
        return frozenset(_clocks(self.plain))

    @cached_property
    def counts(self) -> frozenset[tuple[str, int]]:
        """How often something was, as (family or "times", count)."""
        return frozenset(_counts(self.plain))

    @property
    def dates(self) -> frozenset[tuple[int, int | None, int | None]]:
        """Dates as (month, day or None, year or None)."""
        return self._dated[0]

    @cached_property
    def months(self) -> frozenset[int]:
        """The months of notes, which write them small."""
        return frozenset(months_of_notes(self.plain))

    @cached_property
    def _has_digits(self) -> bool:
        return holds_digit(self.plain)

    @cached_property
    def _dated(self) -> tuple[frozenset[tuple[int, int | None, int | None]], str]:
        # The dates, and the text without them.
        sheet = Sheet(text=self.plain, left=self.plain)
        return frozenset((mention.month, mention.day, mention.year) for mention in read_dates(sheet)), sheet.left


class StatedDays:
    """What a text says of days, for the day on which it was written; read when it is first asked for."""

    def __init__(self, stated: Stated, written: date) -> None:
        self._stated, self._written = stated, written

    @cached_property
    def dates(self) -> frozenset[tuple[int, int | None, int]]:
        """Dates as (month, day or None, year); notes leave the year out, so it is the nearest one."""
        written = self._written
        dates = {
            (month, day, year or nearest_year(month, day or 15, written)) for month, day, year in self._stated.dates
        }
        return frozenset(dates | {(month, None, nearest_year(month, 15, written)) for month in self._stated.months})

    @cached_property
    def named(self) -> frozenset[date]:
        """Those of the dates with a day that the calendar has."""
        return frozenset(
            found for month, day, year in self.dates if day is not None for found in real_day(year, month, day)
        )

    @cached_property
    def pointed(self) -> frozenset[date]:
        """The days that it points at without a month."""
        return frozenset(pointed_days(self._stated.plain, self._written))


class Meeting:
    """What meets in one interaction: channels, days, amounts and bare figures."""

    def __init__(self, channel: str, local_days: Iterable[date], parts: Sequence[tuple[Stated, StatedDays]]) -> None:
        """``local_days`` are the days that the interaction's time may be, by time zone."""
        self._families = _FAMILY_OF[channel]
        self._local_days = frozenset((day.month, day.day) for day in local_days)
        self._parts = parts

    def has_family(self, family: str) -> bool:
        """Say whether it came by that family of channels, or names it."""
        return family in self._families or any(family in part.spoken for part, _ in self._parts)

    def has_day(self, month: int, day: int) -> bool:
        """Say whether it was then, names that day or points at it."""
        wanted = (month, day)
        return (
            wanted in self._local_days
            or any(wanted == (found[0], found[1]) for _, dated in self._parts for found in dated.dates)
            or any(wanted == (found.month, found.day) for _, dated in self._parts for found in dated.pointed)
        )

    def has_amount(self, amount: Decimal) -> bool:
        """Say whether it states these dollars."""
        return any(amount in part.amounts for part, _ in self._parts)

    def has_figure(self, number: Decimal) -> bool:
        """Say whether it holds this number in figures."""
        return any(number in part.figures for part, _ in self._parts)


def families_of(channel: str) -> tuple[str, ...]:
    """Return the families of words (keys of ``CHANNEL_WORDS``) that an interaction's channel is called by."""
    return _FAMILY_OF[channel]


def stated_in(text: str) -> Stated:
    """Return what ``text`` states."""
    return _kept(text) if len(text) <= _LONGEST_KEPT else Stated(text)


_kept = lru_cache(maxsize=_KEPT_TEXTS)(Stated)


def _named_channels(plain: str) -> frozenset[str]:
    return frozenset(
        family
        for family, pattern in CHANNEL_WORDS.items()
        if holds_part(plain, CHANNEL_PARTS[family]) and pattern.search(plain)
    )


def _initials(plain: str) -> set[str]:
    words: set[str] = set()
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


def _said_numbers(plain: str) -> set[Decimal]:
    numbers = {*worded_numbers(plain), *foreign_numbers(plain)}
    if holds_digit(plain):
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
