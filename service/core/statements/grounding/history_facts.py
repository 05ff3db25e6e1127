"""The facts that a history states: words, numbers, days and channels, each read at its first use.

Text, intent and outcome of an interaction are joined and searched as one text. So are all interactions, for facts that do not
depend on the day of writing, since most of the time goes into starting a search. The same notes come again when a customer is
transferred or a shadow pair answers the same request, so the facts of a text are cached, in this process's memory only.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property, lru_cache

from service.core.statements.grounding.currencies import foreign_amounts, without_foreign_amounts
from service.core.statements.grounding.date_mentions import months_of_notes, take_dates
from service.core.statements.grounding.digits import with_plain_digits
from service.core.statements.grounding.informal_numbers import (
    CHANNEL_CUES,
    amounts_of_notes,
    changes_in,
    clocks_in_figures,
    clocks_in_words,
    dark_hours,
    foreign_numbers,
    hours_in,
    said_numbers,
    without_cents,
)
from service.core.statements.grounding.lexicon import CHANNEL_PARTS, CHANNEL_WORDS, ORDINARY
from service.core.statements.grounding.mentions import FIGURES, channel_patterns, clock_key, read_counts, times_of_day
from service.core.statements.grounding.prefilters import holds_digit, holds_part, plain_words
from service.core.statements.grounding.relative_days import (
    in_english,
    nearest_year,
    ordinal_days,
    pointed_days,
    real_day,
)
from service.core.statements.grounding.sentence import (
    FIGURE,
    SentenceScanner,
    clean,
    figure_after,
    without_accents,
)
from service.core.statements.grounding.units import Measurement, Quantity, measured_in, windows_in, without_quantities

# 2 KB each at the median length of a note (140 characters; tracemalloc over the cases' texts). Longer texts are not cached.
_KEPT_TEXTS = 1024
_LONGEST_KEPT = 500

# Separates joined texts: no pattern matches across it, and next to it a word ends as at the end of a text.
SEPARATOR = "\n|\n"
WORD = re.compile(r"[^\W\d_]+")
# "installment 1/3", "pin 2/3 NOMATCH": looks like a date from January to June, but rarely is one.
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[-_/.#][A-Za-z0-9]+)*")
_NO_TOKEN = re.compile(r"[^a-z0-9]")
_DIGIT_RUN = re.compile(r"\d+")
_VERSION = re.compile(r"[vV](?=\d)(?<=\b[vV])")  # "v7.3.0"
_TWO_CAPITALS = re.compile(r"\b[A-Z]{2}\b")
_THREE_CAPITALS = re.compile(r"\b[A-Z]{3}\b")
_DOTTED = re.compile(r"\b([A-Z][a-z]{2})\.(?= [A-Z])")
_SHORT_YEAR = re.compile(r"'(?<!\w')(\d\d)\b(?!['.:,]\d)")
_CENTURY = 2000
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_INITIALS = re.compile(
    r"(?<![\w'.])(?:[^\W\d_][\w'.]{0,30}\s+(?:(?:of|the|and|for|to)\s+){0,2}){1,5}[^\W\d_][\w']{0,30}"
)
_LINKS = frozenset({"of", "the", "and", "for", "to"})
_NTH_CONTACT = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th)?\s*(?:x|(?:time|call|contact|chat|e-?mail|text|attempt|request)s?)\b", re.I
)
_DOLLARS = re.compile(rf"\$\s?({FIGURE})")
_WITH_CENTS = re.compile(r"\d(?<![\w.,]\d)(?:\d{0,2}(?:,\d{3})+|\d*)\.\d\d(?!\d|\.\d)")
_BARE_FIGURES = re.compile(figure_after(r"\w.$"))
# The 13 of "Q-WAIT 13:52" is no bare number: as a duration it carries a unit.
_TIMED = re.compile(r"\d(?<![\d:.]\d)\d?:[0-5]\d(?::[0-5]\d)?(?![\d:])")
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


class TextFacts:
    """The facts of one interaction's text that do not depend on the day of writing.

    Dates are read at once, because every check needs them; facts that only ties need are read at their first use.
    """

    def __init__(self, text: str) -> None:
        self.cleaned = clean(text)
        # For reading days: plain quotes, ordinals as figures, foreign dates in English.
        self.plain = in_english(self.cleaned)
        scanner = SentenceScanner(text=self.plain, remaining=self.plain)
        # As (month, day or None, year or None).
        self.dates = frozenset([(found.month, found.day, found.year) for found in take_dates(scanner)])
        self.undated = scanner.remaining
        # Months without a day; notes write them in lower case.
        self.months = months_of_notes(self.plain)

    @cached_property
    def spoken(self) -> frozenset[str]:
        """The channel families that the text names."""
        return frozenset(family for family, pattern in channel_patterns(self.plain) if pattern.search(self.plain))

    @cached_property
    def amounts(self) -> frozenset[Decimal]:
        """Dollars written as such."""
        return _amounts(without_foreign_amounts(self.plain))

    @cached_property
    def figures(self) -> frozenset[Decimal]:
        """All numbers in figures."""
        return _decimals(FIGURES.findall(self.plain))


class HistoryFacts:
    """The facts of all interactions of a history together; each kind is read at its first use and then kept.

    Most answers mention few kinds of facts, mostly in the source's own spelling. Reading everything in advance took three
    times as long (``omni bench service``).
    """

    def __init__(self, parts: Sequence[TextFacts], reason: TextFacts) -> None:
        """``reason``, the present contact's, contributes words, tokens, channels and stretches of time only."""
        self._parts, self._reason = parts, reason

    @cached_property
    def _cleaned(self) -> str:
        return SEPARATOR.join([self._reason.cleaned, *(part.cleaned for part in self._parts)])

    @cached_property
    def _plain(self) -> str:
        return SEPARATOR.join(part.plain for part in self._parts)

    @cached_property
    def written_words(self) -> frozenset[str]:
        """All words, without accents and in lower case."""
        return _words(self._reason.cleaned).union(*[_words(part.cleaned) for part in self._parts])

    @cached_property
    def camel_words(self) -> frozenset[str]:
        """All words, with CamelCase split into its parts."""
        return _words(_CAMEL.sub(" ", self._cleaned))

    @cached_property
    def initials(self) -> frozenset[str]:
        """Acronyms that consecutive words could form: "liheap", "dob"."""
        return frozenset(_initials(self._cleaned))

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Tokens that hold digits, whole and in parts, in lower case."""
        return frozenset(_tokens(self._cleaned) | _tokens(with_plain_digits(self._cleaned)))

    @cached_property
    def capitals(self) -> frozenset[str]:
        """Words of three capital letters, in lower case, without ordinary ones."""
        return frozenset(map(str.lower, _THREE_CAPITALS.findall(self._cleaned))) - ORDINARY

    @cached_property
    def dotted(self) -> frozenset[str]:
        """Abbreviations of three letters with a dot, in lower case: "dir" of "Dir. Cho"."""
        return frozenset(map(str.lower, _DOTTED.findall(self._cleaned)))

    @cached_property
    def codes(self) -> frozenset[str]:
        """Words of two capital letters, in capitals."""
        return frozenset(_TWO_CAPITALS.findall(self._cleaned))

    def names_channel(self, family: str) -> bool:
        """Return whether the history names the channel or implies it ("on hold")."""
        named = holds_part(self._cleaned, CHANNEL_PARTS[family]) and CHANNEL_WORDS[family].search(self._cleaned)
        return bool(named or (family in CHANNEL_CUES and CHANNEL_CUES[family].search(self._cleaned)))

    @cached_property
    def amounts(self) -> frozenset[Decimal]:
        """Dollars written as such."""
        return _amounts(without_foreign_amounts(self._plain))

    @cached_property
    def foreign_amounts(self) -> frozenset[tuple[str, Decimal]]:
        """Amounts in other currencies, as (currency, amount)."""
        return frozenset(foreign_amounts(self._plain))

    @cached_property
    def quantities(self) -> frozenset[Quantity]:
        """What the numbers with a unit of measure name."""
        asked = (found.quantity for found in measured_in(self._reason.plain))
        return frozenset(found.quantity for found in self._measured).union(windows_in(self._plain), asked)

    @cached_property
    def numbers_with_unit(self) -> frozenset[tuple[Decimal, bool]]:
        """Numbers that carry a unit, each with True if that unit is one of time."""
        return frozenset((found.number, found.of_time) for found in self._measured)

    @cached_property
    def _measured(self) -> frozenset[Measurement]:
        return frozenset(measured_in(self._plain))

    @cached_property
    def bare(self) -> frozenset[Decimal]:
        """Numbers in figures without a unit or a dollar sign, and numbers whose unit another language or script names."""
        foreign = [number for part in self._parts for number in foreign_numbers(part.plain)]
        undated = _TIMED.sub("|", without_quantities(self._undated))
        return _decimals(_BARE_FIGURES.findall(undated)).union(foreign)

    @cached_property
    def priceable(self) -> frozenset[Decimal]:
        """Numbers in figures that may be dollars: those without a unit of measure, cents or another currency."""
        undated = without_cents(without_quantities(self._undated))
        return _decimals([*FIGURES.findall(undated), *_DIGIT_RUN.findall(undated)])

    @cached_property
    def _undated(self) -> str:
        return _VERSION.sub(" ", without_foreign_amounts(SEPARATOR.join(part.undated for part in self._parts)))

    @cached_property
    def noted_amounts(self) -> frozenset[Decimal]:
        """Dollars in informal spelling ("28 cents", "2k", "431 DOLLARS 28 CENTS")."""
        return frozenset(amounts_of_notes(self._plain)).union(changes_in(self._plain))

    @cached_property
    def counted(self) -> frozenset[Decimal]:
        """Numbers in figures, without those of dates: otherwise a long history would support every small number."""
        undated = self._undated
        return _decimals([*FIGURES.findall(undated), *_DIGIT_RUN.findall(undated)])

    @cached_property
    def short_years(self) -> frozenset[int]:
        """Years of which a note gives the last two digits: "on acct since '19"."""
        return frozenset(_CENTURY + int(written) for written in _SHORT_YEAR.findall(self._plain))

    # Few texts hold number words, counts or times of day, so each text is pre-filtered on its own.
    @cached_property
    def said(self) -> frozenset[Decimal]:
        """Numbers in words."""
        return frozenset[Decimal]().union(*(said_numbers(part.plain) for part in self._parts))

    @cached_property
    def counts(self) -> frozenset[tuple[str, int]]:
        """How often something happened, as (channel family or "times", count)."""
        return frozenset[tuple[str, int]]().union(*(_counts(part.plain) for part in self._parts))

    @cached_property
    def hours(self) -> frozenset[Decimal]:
        """Numbers from 0 to 24 that stand where a note writes an hour: "at 9", "8-12", "by nine"."""
        return frozenset(hours_in(self._plain))

    @cached_property
    def dark_hours(self) -> frozenset[str]:
        """Which hours of the dark the texts speak of: "a" those before dawn, "p" the late evening."""
        return dark_hours(self._plain)

    @cached_property
    def clocks(self) -> frozenset[str]:
        """Times of day, as keys of ``service.core.statements.grounding.mentions.clock_key``."""
        in_words = [clock for part in self._parts for clock in clocks_in_words(part.plain)]
        in_figures = clocks_in_figures(self._plain)
        timed = self._plain.replace("&nbsp;", " ")  # "3:41&nbsp;PM" in a mail's HTML
        return frozenset([*in_words, *in_figures, *map(clock_key, times_of_day(timed))])


class TextDays:
    """The days that a text refers to, given the day on which it was written."""

    def __init__(self, facts: TextFacts, written: date) -> None:
        self._facts, self._written = facts, written
        # Dates as (month, day or None, year); without a year in the note, the nearest year.
        self.dates: set[tuple[int, int | None, int]] = {
            (month, day, year or nearest_year(month, day or 15, written)) for month, day, year in facts.dates
        }
        self.dates.update([(month, None, nearest_year(month, 15, written)) for month in facts.months])
        # "May was a half month, we opened on the 14th".
        self.dates.update(
            [
                (month, day, nearest_year(month, day, written))
                for month in facts.months
                for day in ordinal_days(facts.plain)
            ]
        )

    @cached_property
    def named(self) -> frozenset[date]:
        """The dates that have a day and exist in the calendar."""
        return frozenset(
            found for month, day, year in self.dates if day is not None for found in real_day(year, month, day)
        )

    @cached_property
    def pointed(self) -> frozenset[date]:
        """The days that the text refers to without a month: "by Friday", "the 20th"."""
        return frozenset(pointed_days(self._facts.plain, self._written))


class InteractionFacts:
    """The channels, days, amounts and bare figures of one interaction, to check ties."""

    def __init__(self, channel: str, local_days: Iterable[date], facts: TextFacts, days: TextDays) -> None:
        """``local_days`` are the interaction's calendar days in the time zones of the US."""
        self._families = _FAMILY_OF[channel]
        self._local_days = frozenset((day.month, day.day) for day in local_days)
        self._facts, self._days = facts, days

    def has_family(self, family: str) -> bool:
        """Return whether the interaction came through this channel family or names it."""
        return family in self._families or family in self._facts.spoken

    def has_day(self, month: int, day: int) -> bool:
        """Return whether the interaction took place on this day or refers to it."""
        wanted = (month, day)
        return (
            wanted in self._local_days
            or self.writes_day(month, day)
            or any(wanted == (found.month, found.day) for found in self._days.pointed)
        )

    def writes_day(self, month: int, day: int) -> bool:
        """Return whether the interaction's text writes this day with its month."""
        return any((month, day) == (found[0], found[1]) for found in self._days.dates)

    @property
    def names_amounts(self) -> bool:
        """Whether the interaction states any amount in dollars."""
        return bool(self._facts.amounts)

    def has_amount(self, amount: Decimal) -> bool:
        """Return whether the interaction states this amount in dollars."""
        return amount in self._facts.amounts

    def has_figure(self, number: Decimal) -> bool:
        """Return whether the interaction holds this number in figures."""
        return number in self._facts.figures


def families_of(channel: str) -> tuple[str, ...]:
    """Return the channel families (keys of ``CHANNEL_WORDS``) of an interaction's channel."""
    return _FAMILY_OF[channel]


def facts_of(text: str) -> TextFacts:
    """Return the facts of ``text``, from the cache if it is short."""
    return _kept(text) if len(text) <= _LONGEST_KEPT else TextFacts(text)


_kept = lru_cache(maxsize=_KEPT_TEXTS)(TextFacts)


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
    return tokens


def _counts(plain: str) -> set[tuple[str, int]]:
    counts = {
        (mention.family or "times", int(mention.number or 0))
        for mention in read_counts(SentenceScanner(text=plain, remaining=plain))
    }
    if holds_digit(plain):
        counts.update(("times", int(match[1])) for match in _NTH_CONTACT.finditer(plain))
    return counts
