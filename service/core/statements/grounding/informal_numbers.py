"""Reads informal numbers of notes: times of day ("1140", "18h", "half past noon"), spoken amounts, foreign number words.

Used for the source only: a summary is expected to write "11:40", "6 PM" and "$431.28".
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from service.core.statements.grounding.lexicon import SMALL_NUMBERS
from service.core.statements.grounding.prefilters import Screened, holds_digit, holds_word, plain_words
from service.core.statements.grounding.sentence import (
    FIGURE,
    NUMBER_NAMES,
    NUMBER_WORDS,
    WORD_NUMBER,
    hour_after,
    read_number,
    without_accents,
)

# Starts at the first digit of a run only: starting at each digit, a note of 19,000 digits took 27 seconds.
_FIGURES = r"(\d(?<!\d\d)\d*(?:\.\d+)?)"
_CENTS = re.compile(rf"{_FIGURES}(?:\s*(?:cents?\b|¢|c/)|c\b)", re.I)
_THOUSANDS = re.compile(rf"{_FIGURES}\s?k\b", re.I)
_IN_DOLLARS = re.compile(rf"{_FIGURES}\s?(?:dollars?|bucks)\b", re.I)
_SAID = rf"(?:\d[\d,]*|(?:{WORD_NUMBER})(?:(?:[ -]|\s+and\s+)(?:{WORD_NUMBER}))*)"
_SPOKEN = re.compile(rf"\b({_SAID})\s+dollars?,?\s+(?:and\s+)?({_SAID})(?:\s+cents?)?\b", re.I)
# "1140" and "855" in a note; "1100PM" and "11p"; "18h" and "21h30" as in French and Portuguese.
_HOUR_FIGURES = hour_after(r"\w$.,:/#-")
_RUN_TOGETHER = re.compile(rf"{_HOUR_FIGURES}([0-5]\d)\s?(?:[ap]\.?m?\.?)?(?![\w$:/-]|[.,]\d)", re.I)
_HOURS = re.compile(rf"{_HOUR_FIGURES}\s?h\s?([0-5]\d)?\b", re.I)
_NOON = re.compile(r"\b(?:noon|midday|midnight)\b", re.I)
_HOUR = rf"(?P<hour>\d{{1,2}}|noon|midnight|{'|'.join(SMALL_NUMBERS)})"
# The end of _PAST below, much faster to search for; both need a text in lower case.
_PAST_HOUR = re.compile(rf"\s(?:past|after|to)\s+{_HOUR}\b")
_PAST_WAYS = frozenset({"past", "after", "to"})
_NOON_NAMES = frozenset({"noon", "midday", "midnight"})
_DOLLAR_NAMES = frozenset({"dollar", "dollars"})
_PAST = re.compile(rf"\b(?P<part>half|quarter|\d{{1,2}}|{WORD_NUMBER})\s+(?P<way>past|after|to)\s+{_HOUR}\b")
_FOREIGN = {
    number: value
    for value, numbers in {
        2: "dos dois duas deux",
        3: "tres trois",
        4: "cuatro quatro quatre",
        5: "cinco cinq",
        6: "seis",
        7: "siete sete",
        8: "ocho oito huit",
        9: "nueve nove neuf",
        10: "diez dez dix",
        12: "doce doze douze",
        15: "quince quinze",
        20: "veinte vinte vingt",
        30: "treinta trinta trente",
    }.items()
    for number in numbers.split()
}
_CHANGED = re.compile(
    rf"\$?({FIGURE})\s*(?:-+>|→|to|vs\.?|versus|against|instead of|not)\s*(?:abt\.?|about"
    rf"|now)?\s*\$?({FIGURE})(?![\d/:%]|\s?[ap]\.?m|-\d)",
    re.I,
)
_WRITTEN_HOUR = rf"(?:2[0-4]|1\d|0?\d|{'|'.join(word for word, value in SMALL_NUMBERS.items() if 0 < value <= 12)})"
_WRITTEN_HOURS = Screened(
    rf"\b({_WRITTEN_HOUR})\s?(?:-|/|to|or|and|&)\s?({_WRITTEN_HOUR})(?!\d|(?![ap]m?\b)[a-z])|\b({_WRITTEN_HOUR})\s?(?:o'?clock|uhr"
    rf"|hrs?\b|ish|sharp)"
    r"|(?:\b(?:at|by|before|b4|after|aft|until|till?|from|fr|to|around|about|btw|betw|between|or|since"
    r"|call|cb|past|las?|vers|às|um|ab|bis)\s"
    rf"|@\s?)({_WRITTEN_HOUR})\b(?![:/%]\d|[.,]\d)",
    re.I,
)
# The hours before dawn. Not "I am", and not "11 a.m.": a source that speaks of the forenoon says nothing of the night.
_NIGHT = re.compile(
    r"(?<!\d)(?:12|0?[1-6])(?::?[0-5]\d)?\s?a\.?m?\b|\b(?:this|the|in|every|each|tomorrow|tmrw|next|early"
    r"|(?:mon|tue|wed|thu|fri|sat|sun)\w*)\s+a\.?m\b"
    r"|night|\bearly\b|morning|asleep|sleep|woke|noche|madrugada|nuit|nacht|notte|noite",
    re.I,
)
_LATE = re.compile(
    r"(?<!\d)(?:0?[6-9]|1[01])(?::?[0-5]\d)?\s?p\.?m?\b|\b(?:this|the|in|every|each|tomorrow|tmrw|next|late"
    r"|(?:mon|tue|wed|thu|fri|sat|sun)\w*)\s+p\.?m\b"
    r"|night|\blate\b|evening|asleep|sleep|woke|\bbed\b|noche|nuit|soir|nacht|abend|notte|sera|noite",
    re.I,
)
_FRACTION = re.compile(r"([1-6](?<![\d/].))/([1-6])(?![\d/])")
_MULTIPLES = (
    (frozenset("twice double duplicate both pair couple".split()), Decimal(2)),
    (frozenset({"thrice", "triple", "third"}), Decimal(3)),
    (frozenset({"fourth", "quarter", "quadruple"}), Decimal(4)),
    (frozenset({"fifth"}), Decimal(5)),
    (frozenset({"sixth"}), Decimal(6)),
    (frozenset({"dozen"}), Decimal(12)),
    (frozenset({"fortnight"}), Decimal(14)),
)
_MULTIPLE = {value: re.compile(rf"\b(?:{'|'.join(sorted(words))})\b", re.I) for words, value in _MULTIPLES}
# Words that imply a channel without naming it: "cant pick up at work".
CHANNEL_CUES = {
    "phone": re.compile(
        r"\b(?:on hold|pick(?:s|ed)? up|hung up|hang(?:s|ing)? up|dial(?:s|led|ed|ing)?|iphone\w*)\b", re.I
    ),
    "email": re.compile(r"[\w.+-]@[\w-]{1,63}\.\w|\be-?bill|\bpaperless|\binbox", re.I),
    "social": re.compile(r"\b(?:fb|insta)\b|(?<![\w.])@[a-z]\w{2,}", re.I),
    "web": re.compile(r"\b(?:electronic(?:ally)?|e-?sign\w*|links?|logged in|log ?in|upload\w*|download\w*)\b", re.I),
}


def amounts_of_notes(text: str) -> Iterator[Decimal]:
    """Yield amounts in dollars written as cents, in thousands, or as an automated line speaks them."""
    if holds_digit(text):
        for match in _CENTS.finditer(text):
            yield read_number(match[1]) / 100
        for match in _THOUSANDS.finditer(text):
            yield Decimal(match[1]) * 1000
    if holds_word(text, _DOLLAR_NAMES):
        yield from (read_number(match[1]) for match in _IN_DOLLARS.finditer(text))
        for match in _SPOKEN.finditer(text):
            yield read_number(match[1]) + read_number(match[2]) / 100


def without_cents(text: str) -> str:
    """Return ``text`` without amounts in cents: "17.9 cents" supports no "$17.90"."""
    return _CENTS.sub("|", text)


def hours_in(text: str) -> Iterator[Decimal]:
    """Yield numbers from 0 to 24 that stand where a note writes an hour: "at 9", "8-12", "by nine"."""
    for match in _WRITTEN_HOURS.finditer(text):
        yield from (read_number(number.lower()) for number in match.groups() if number)


def dark_hours(text: str) -> frozenset[str]:
    """Return of which hours of the dark ``text`` speaks: "a" for those before dawn or a morning, "p" for a time after noon."""
    return frozenset(half for half, pattern in (("a", _NIGHT), ("p", _LATE)) if pattern.search(text))


def changes_in(text: str) -> Iterator[Decimal]:
    """Yield by how much two figures side by side differ: "610 -> 662"."""
    for old, new in _CHANGED.findall(text):
        yield abs(read_number(old) - read_number(new))


def clocks_in_figures(text: str) -> Iterator[str]:
    """Yield times of day as ``grounding.mentions.clock_key`` writes them: ``@minutes`` on a 12-hour dial."""
    for pattern in (_RUN_TOGETHER, _HOURS):
        for match in pattern.finditer(text):
            yield _key(int(match[1]) * 60 + int(match[2] or 0))


def clocks_in_words(text: str) -> Iterator[str]:
    """Yield times of day written in words, in the same format."""
    if holds_word(text, _NOON_NAMES):
        for match in _NOON.finditer(text):
            yield "@0a" if match[0].lower() == "midnight" else "@0p"
    if not holds_word(text, _PAST_WAYS):
        return
    lower = text.lower()
    for match in _PAST.finditer(lower) if _PAST_HOUR.search(lower) else ():
        part = {"half": 30, "quarter": 15}.get(match["part"]) or int(read_number(match["part"]))
        hour = 0 if match["hour"] in ("noon", "midnight") else int(read_number(match["hour"]))
        yield _key(hour * 60 + (-part if match["way"] == "to" else part))


def foreign_numbers(text: str) -> Iterator[Decimal]:
    """Yield numbers written as Spanish, Portuguese or French words; those that are also English words are left out."""
    for word in plain_words(text) or re.findall(r"[a-z]+", without_accents(text)):
        if word in _FOREIGN:
            yield Decimal(_FOREIGN[word])


def worded_numbers(text: str) -> Iterator[Decimal]:
    """Yield the values of English number words, of the whole phrase and of each word; noon is 12."""
    if holds_word(text, NUMBER_NAMES):
        for match in NUMBER_WORDS.finditer(text.lower()):
            yield read_number(match[0])
            yield from (read_number(word) for word in re.split(r"[\s-]+", match[0]))
    if _names_noon(text):
        yield Decimal(12)


def said_numbers(plain: str) -> set[Decimal]:
    """Return the numbers in words, also of fractions and multiples."""
    numbers = {*worded_numbers(plain), *foreign_numbers(plain)}
    if "/" in plain:
        for match in _FRACTION.finditer(plain):
            if match[1] <= match[2]:
                numbers.update((Decimal(match[1]), Decimal(match[2])))
    numbers.update(value for words, value in _MULTIPLES if holds_word(plain, words) and _MULTIPLE[value].search(plain))
    return numbers


def _names_noon(text: str) -> bool:
    return holds_word(text, _NOON_NAMES) and _NOON.search(text) is not None


def _key(minutes: int) -> str:
    return f"@{minutes % 720}"
