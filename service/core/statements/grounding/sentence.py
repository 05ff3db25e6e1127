"""Splits a text into sentences, and scans one sentence for mentions and numbers."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

from service.core.statements.grounding.lexicon import OPENERS, ROLES, SCALES, SMALL_NUMBERS
from service.core.statements.grounding.prefilters import holds_digit, replaced, same_letters
from service.core.statements.grounding.text import MONTHS

MentionKind = Literal["amount", "date", "number", "name", "id", "channel", "count"]


class Mention(NamedTuple):  # created three times as fast as a frozen dataclass; most answers hold a dozen
    """One checkable statement of a text: as written (``value``) and with its parsed fields.

    ``number`` is set for amounts, numbers and counts, ``month`` (1 to 12) with ``day`` and ``year`` where written for
    dates, ``token`` for ids (lower case, letters and digits only), ``words`` for names, ``family`` for channels and
    counts (a key of ``CHANNEL_WORDS`` or "all"). ``unit`` is the word after a number, or "in all" for a count of the
    whole history; ``rest`` is what follows a number in its sentence. ``loose`` marks "about", "nearly" and the like.
    """

    kind: MentionKind
    value: str
    statement: str
    number: Decimal | None = None
    month: int = 0
    day: int | None = None
    year: int | None = None
    token: str = ""
    words: tuple[str, ...] = ()
    family: str = ""
    unit: str = ""
    rest: str = ""
    loose: bool = False

    def names_day(self, day: date) -> bool:
        """Return whether a date that the text names may be ``day``."""
        return day.month == self.month and self.day in (None, day.day) and self.year in (None, day.year)


WORD_NUMBER = "|".join(sorted([*SMALL_NUMBERS, *SCALES], key=len, reverse=True))
NUMBER_NAMES = frozenset({*SMALL_NUMBERS, *SCALES})
# For a text in lower case: with re.I, an alternation of thirty words takes four times as long.
NUMBER_WORDS = re.compile(rf"\b(?:{WORD_NUMBER})(?:(?:[ -]|\s+and\s+)(?:{WORD_NUMBER}))*\b")
FIGURE = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"


# These patterns start with the digit and put the look-behind after it, so that the search skips to digits. That is several
# times faster than trying a look-behind at every character.
def figure_after(barred: str) -> str:
    """Return a pattern for ``FIGURE`` with none of the characters ``barred`` (as in a character class) before it."""
    return rf"\d(?<![{barred}]\d)(?:\d{{0,2}}(?:,\d{{3}})+|\d*)(?:\.\d+)?"


def hour_after(barred: str) -> str:
    """Return a group for an hour (0 to 23) with none of the characters ``barred`` (as in a character class) before it."""
    return rf"(\d(?<![{barred}]\d)(?:(?<=[01])\d|(?<=2)[0-3])?)"


LOOSE = re.compile(
    r"(?:\b(?:about|around|roughly|approximately|approx\.?|nearly|almost|some|over|under|more than|less than"
    r"|close to|just)|~)\s*$",
    re.I,
)

_SENTENCE_END = re.compile(r"[.!?;\n](?:(?<!\n)[\"')\]]*\s+|(?<=\n)\n*)")
# A title never ends a sentence; an initial ends one where a word follows that is no name ("unit B. The crew"), the others
# where any word with a capital follows ("at 3 p.m. Power came back").
NOT_AN_END = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs)|(?-i:(?<!['\w])[A-Z]))\.$", re.I)
_NO_NAMES = OPENERS | ROLES
_INITIAL = re.compile(r"(?<!['\w])[A-Z]\.$")
_OFTEN_NO_END = re.compile(r"\b(?:no|approx|acct|dept|apt|a\.m|p\.m|" + "|".join(MONTHS) + r"|sept)\.$", re.I)
_CAPITALISED = re.compile(r"[A-Z][a-z]+")
_NEW_SENTENCE = re.compile(r"(?!(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Eastern|Central|Mountain|Pacific)[a-z]*\b)[A-Z][a-z]")
_LONGEST_NO_END = 7  # "approx."
LEAD = 24  # characters searched before a match: longer than any word that may be there
_CLEAN = (
    ("‘", "'"), ("’", "'"), ("“", '"'), ("”", '"'), ("–", "-"), ("—", "-"), ("\u2011", "-"), ("\u00a0", " "), ("\u202f", " "),
)  # fmt: skip


def clean(text: str) -> str:
    """Return ``text`` in NFC with typographic quotes, dashes and spaces replaced by plain ones."""
    return text if text.isascii() else same_letters(replaced(unicodedata.normalize("NFC", text), _CLEAN))


def without_accents(text: str) -> str:
    """Return ``text`` in lower case with accents dropped, so that "Quiñones" and "quinones" are one word."""
    if text.isascii():
        return text.lower()
    return "".join(
        [c for c in unicodedata.normalize("NFKD", text.lower()) if c.isascii() or not unicodedata.combining(c)]
    )


def split_sentences(text: str) -> list[str]:
    """Return the trimmed sentences of ``text``; the dot of a title, an initial or an abbreviated month ends no sentence."""
    parts: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        mark = match[0][0]
        end = match.start() + (mark != "\n")
        if (
            mark == "."
            and "\n" not in match[0]
            and _continues(text, max(start, end - _LONGEST_NO_END), end, match.end())
        ):
            continue
        parts.append(text[start:end].strip())
        start = match.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _continues(text: str, start: int, end: int, following: int) -> bool:
    """Return whether the dot before ``end`` ends no sentence."""
    if NOT_AN_END.search(text, start, end):
        word = _CAPITALISED.match(text, following)
        return word is None or _INITIAL.search(text, start, end) is None or word[0].lower() not in _NO_NAMES
    return bool(_OFTEN_NO_END.search(text, start, end)) and not _NEW_SENTENCE.match(text, following)


def words_to_number(words: str) -> Decimal:
    """Return the value of English number words, such as "two hundred sixty seven" (267)."""
    total = current = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in SMALL_NUMBERS:
            current += SMALL_NUMBERS[word]
        elif word == "hundred":
            current = (current or 1) * 100
        elif word == "thousand":
            total += (current or 1) * 1000
            current = 0
    return Decimal(total + current)


def read_number(written: str) -> Decimal:
    """Return the value of figures ("1,250.00") or number words ("thirty-five")."""
    return Decimal(written.replace(",", "")) if written[0].isdigit() else words_to_number(written)


@dataclass(slots=True)
class SentenceScanner:
    """Scans one sentence: ``remaining`` is ``text``, at the same length, with all taken parts blanked out."""

    text: str
    remaining: str
    may_hold_digit: bool = True

    def holds_digit(self) -> bool:
        """Return whether a digit remains; a negative result is cached, since taking only removes digits."""
        self.may_hold_digit = self.may_hold_digit and holds_digit(self.remaining)
        return self.may_hold_digit

    def take(self, pattern: re.Pattern[str], *, lower: bool = False) -> Iterator[re.Match[str]]:
        """Yield the matches of ``pattern`` in the remaining text (in lower case if ``lower``) and blank each one out."""
        for match in list(pattern.finditer(self.remaining.lower() if lower else self.remaining)):
            self.blank(match.start(), match.end())
            yield match

    def blank(self, start: int, end: int) -> None:
        """Mark ``start`` to ``end`` as taken, with bars: with spaces, the words on both sides could match as one phrase."""
        self.remaining = self.remaining[:start] + "|" * (end - start) + self.remaining[end:]

    def mention(self, kind: MentionKind, start: int, end: int, **reading: object) -> Mention:
        """Return a mention whose ``value`` is the text from ``start`` to ``end``."""
        value = self.text[start:end].strip()
        return Mention(kind=kind, value=value, statement=self.text, **reading)  # type: ignore[arg-type]  # per kind
