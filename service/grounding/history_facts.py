"""What a history states: its words, numbers, days and channels. Read once, and only as far as somebody asks.

The texts of one interaction are read as one, and so are, for whatever does not depend on the day of writing, all interactions:
what looking costs for each text anew is most of what looking costs. The same notes come again when a customer is transferred, or
when a shadow answers the same request; what was read of one interaction is kept by its text, in this process's memory alone.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property, lru_cache

from service.grounding.date_mentions import months_of_notes, take_dates
from service.grounding.informal_numbers import (
    CHANNEL_CUES,
    amounts_of_notes,
    clocks_in_figures,
    clocks_in_words,
    foreign_numbers,
    worded_numbers,
)
from service.grounding.lexicon import CHANNEL_PARTS, CHANNEL_WORDS, ORDINARY
from service.grounding.mentions import FIGURES, TIME_OF_DAY, channel_patterns, clock_key, read_counts
from service.grounding.prefilters import holds_digit, holds_part, holds_word, plain_words
from service.grounding.relative_days import in_english, nearest_year, pointed_days, real_day
from service.grounding.sentence import FIGURE, Sheet, clean, without_accents

# 2 KB each at the median length of a note (140 characters; tracemalloc over the cases' texts). Longer texts are read anew.
_KEPT_TEXTS = 1024
_LONGEST_KEPT = 500

# Stands between texts that are read as one: no pattern reads across it, and beside it a word ends as it does beside nothing.
APART = "\n|\n"
WORD = re.compile(r"[^\W\d_]+")
# "installment 1/3", "pin 2/3 NOMATCH": reads as a date in January or February, which it seldom is.
_FRACTION = re.compile(r"([1-6](?<![\d/].))/([1-6])(?![\d/])")
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[-_/.#][A-Za-z0-9]+)*")
_LETTERS_NUMBER = re.compile(r"\b([A-Za-z]{1,5})[ #:]+(\d{2,})\b")
_NO_TOKEN = re.compile(r"[^a-z0-9]")
_DIGIT_RUN = re.compile(r"\d+")
_VERSION = re.compile(r"[vV](?=\d)(?<=\b[vV])")  # "v7.3.0"
_THREE_CAPITALS = re.compile(r"\b[A-Z]{3}\b")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_INITIALS = re.compile(
    r"(?<![\w'.])(?:[^\W\d_][\w'.]{0,30}\s+(?:(?:of|the|and|for|to)\s+){0,2}){1,5}[^\W\d_][\w']{0,30}"
)
_LINKS = frozenset({"of", "the", "and", "for", "to"})
_NTH_CONTACT = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th)?\s*(?:x|(?:time|call|contact|chat|e-?mail|text|attempt|request)s?)\b", re.I
)
_DOLLARS = re.compile(rf"\$\s?({FIGURE})")
_WITH_CENTS = re.compile(r"\d(?<![\w.,]\d)(?:\d{0,2}(?:,\d{3})+|\d*)\.\d\d(?![\d.])")
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
    """What one interaction says, whenever it was written.

    Its dates are read at once: every source is asked for days. What only ties ask for is read when the first one does.
    """

    def __init__(self, text: str) -> None:
        self.cleaned = clean(text)
        # To point at days: quotes made plain, ordinals in figures, foreign dates in English.
        self.plain = in_english(self.cleaned)
        sheet = Sheet(text=self.plain, left=self.plain)
        # As (month, day or None, year or None).
        self.dates = frozenset([(found.month, found.day, found.year) for found in take_dates(sheet)])
        self.undated = sheet.left
        # The months of notes, which write them small.
        self.months = months_of_notes(self.plain)

    @cached_property
    def spoken(self) -> frozenset[str]:
        """The channels that it names."""
        return frozenset(family for family, pattern in channel_patterns(self.plain) if pattern.search(self.plain))

    @cached_property
    def amounts(self) -> frozenset[Decimal]:
        """Dollars written as such."""
        return _amounts(self.plain)

    @cached_property
    def figures(self) -> frozenset[Decimal]:
        """All numbers in figures."""
        return _decimals(FIGURES.findall(self.plain))


class StatedTogether:
    """What the interactions of a history say together; each part is read when it is first asked for, and then kept.

    Most answers mention a few kinds of things, and most of what they mention stands in the source as they write it. Reading
    everything beforehand took three times as long (``omni bench service``).
    """

    def __init__(self, parts: Sequence[Stated], reason: Stated) -> None:
        """``reason``, that of the present contact, gives words, and nothing else."""
        self._parts, self._reason = parts, reason

    @cached_property
    def _cleaned(self) -> str:
        return APART.join([self._reason.cleaned, *(part.cleaned for part in self._parts)])

    @cached_property
    def _plain(self) -> str:
        return APART.join(part.plain for part in self._parts)

    @cached_property
    def written_words(self) -> frozenset[str]:
        """The words as written, without accents and in lower case."""
        return _words(self._reason.cleaned).union(*[_words(part.cleaned) for part in self._parts])

    @cached_property
    def camel_words(self) -> frozenset[str]:
        """The words that CamelCase is made of."""
        return _words(_CAMEL.sub(" ", self._cleaned))

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
        return frozenset(map(str.lower, _THREE_CAPITALS.findall(self._cleaned))) - ORDINARY

    def names_channel(self, family: str) -> bool:
        """Say whether they name the channel or hint at it."""
        named = holds_part(self._cleaned, CHANNEL_PARTS[family]) and CHANNEL_WORDS[family].search(self._cleaned)
        return bool(named or (family in CHANNEL_CUES and CHANNEL_CUES[family].search(self._cleaned)))

    @cached_property
    def amounts(self) -> frozenset[Decimal]:
        """Dollars written as such."""
        return _amounts(self._plain)

    @cached_property
    def noted_amounts(self) -> frozenset[Decimal]:
        """Dollars written in the way of notes."""
        return frozenset(amounts_of_notes(self._plain))

    @cached_property
    def counted(self) -> frozenset[Decimal]:
        """Numbers in figures. A day or a month is none: every small number would be in every long history."""
        undated = APART.join(part.undated for part in self._parts)
        return _decimals([*FIGURES.findall(_VERSION.sub(" ", undated)), *_DIGIT_RUN.findall(undated)])

    # Words for numbers, counts and clocks stand in few texts: each is asked whether it has any.
    @cached_property
    def said(self) -> frozenset[Decimal]:
        """Numbers in words."""
        return frozenset[Decimal]().union(*(_said_numbers(part.plain) for part in self._parts))

    @cached_property
    def counts(self) -> frozenset[tuple[str, int]]:
        """How often something was, as (family or "times", count)."""
        return frozenset[tuple[str, int]]().union(*(_counts(part.plain) for part in self._parts))

    @cached_property
    def clocks(self) -> frozenset[str]:
        """Times of day, as ``service.grounding.mentions.clock_key`` writes them."""
        in_words = [clock for part in self._parts for clock in clocks_in_words(part.plain)]
        in_figures = clocks_in_figures(self._plain)
        return frozenset([*in_words, *in_figures, *map(clock_key, TIME_OF_DAY.finditer(self._plain))])


class StatedDays:
    """What a text says of days, for the day on which it was written."""

    def __init__(self, stated: Stated, written: date) -> None:
        self._stated, self._written = stated, written
        # Dates as (month, day or None, year); notes leave the year out, so it is the nearest one.
        self.dates: set[tuple[int, int | None, int]] = {
            (month, day, year or nearest_year(month, day or 15, written)) for month, day, year in stated.dates
        }
        self.dates.update([(month, None, nearest_year(month, 15, written)) for month in stated.months])

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

    def __init__(self, channel: str, local_days: Iterable[date], stated: Stated, dated: StatedDays) -> None:
        """``local_days`` are the days that the interaction's time may be, by time zone."""
        self._families = _FAMILY_OF[channel]
        self._local_days = frozenset((day.month, day.day) for day in local_days)
        self._stated, self._dated = stated, dated

    def has_family(self, family: str) -> bool:
        """Say whether it came by that family of channels, or names it."""
        return family in self._families or family in self._stated.spoken

    def has_day(self, month: int, day: int) -> bool:
        """Say whether it was then, names that day or points at it."""
        wanted = (month, day)
        return (
            wanted in self._local_days
            or any(wanted == (found[0], found[1]) for found in self._dated.dates)
            or any(wanted == (found.month, found.day) for found in self._dated.pointed)
        )

    def has_amount(self, amount: Decimal) -> bool:
        """Say whether it states these dollars."""
        return amount in self._stated.amounts

    def has_figure(self, number: Decimal) -> bool:
        """Say whether it holds this number in figures."""
        return number in self._stated.figures


def families_of(channel: str) -> tuple[str, ...]:
    """Return the families of words (keys of ``CHANNEL_WORDS``) that an interaction's channel is called by."""
    return _FAMILY_OF[channel]


def stated_in(text: str) -> Stated:
    """Return what ``text`` states."""
    return _kept(text) if len(text) <= _LONGEST_KEPT else Stated(text)


_kept = lru_cache(maxsize=_KEPT_TEXTS)(Stated)


def _words(cleaned: str) -> frozenset[str]:
    words = plain_words(cleaned)
    return frozenset(WORD.findall(without_accents(cleaned))) if words is None else words


def _decimals(figures: Iterable[str]) -> frozenset[Decimal]:
    return frozenset(Decimal(written.replace(",", "")) for written in frozenset(figures))


def _amounts(plain: str) -> frozenset[Decimal]:
    return _decimals([*_DOLLARS.findall(plain), *_WITH_CENTS.findall(plain)])


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
    for written in _TOKEN.findall(plain):
        if written.isalpha() or not _DIGIT_RUN.search(written):
            continue
        token = written.lower()
        compact = _NO_TOKEN.sub("", token)
        tokens.add(compact)
        tokens.update(part for part in _NO_TOKEN.split(token) if part)
        tokens.update(_DIGIT_RUN.findall(compact))
    # "SC 20964" is how some write SC-20964.
    tokens.update((letters + figures).lower() for letters, figures in _LETTERS_NUMBER.findall(plain))
    return tokens


def _said_numbers(plain: str) -> set[Decimal]:
    numbers = {*worded_numbers(plain), *foreign_numbers(plain)}
    if "/" in plain:
        for match in _FRACTION.finditer(plain):
            if match[1] <= match[2]:
                numbers.update((Decimal(match[1]), Decimal(match[2])))
    numbers.update(value for words, value in _MULTIPLES if holds_word(plain, words) and _MULTIPLE[value].search(plain))
    return numbers


def _counts(plain: str) -> set[tuple[str, int]]:
    counts = {
        (mention.family or "times", int(mention.number or 0)) for mention in read_counts(Sheet(text=plain, left=plain))
    }
    if holds_digit(plain):
        counts.update(("times", int(match[1])) for match in _NTH_CONTACT.finditer(plain))
    return counts
