"""Normalises spellings, so that "$45.00", "45 dollars" and "$45", or "Nov. 3rd" and "11/3", compare as equal."""

import re
import unicodedata
from functools import lru_cache

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90"}
_TIMES = {"once": "1 time", "twice": "2 times", "thrice": "3 times"}

_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "\u00a0": " "})
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?:[t ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:z|\+00:00)?)?")
_US_DATE = re.compile(r"(?<![\d/$.])(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?(?![\d/])")
_MONTH_DAY = re.compile(rf"\b({_MONTH_NAMES})\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.]\d)")
# Not "$65 Sept 21" or "894.10 Sept 9": there the number before the month is money, and the day follows the month.
_DAY_MONTH = re.compile(
    rf"(?<![\d$.,/-])(0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?:\s+of)?\s+({_MONTH_NAMES})(?!\s+\d{{1,2}}(?!\d))(?=\W|$)"
)
_DOLLARS = re.compile(r"\$\s*(\d[\d,]*)(\.\d+)?")
_DOLLAR_WORDS = re.compile(r"(?<![\d$.,])(\d[\d,]*)(\.\d{2})?\s*(?:dollars?|usd|bucks)\b")
_WORDS = re.compile(r"[a-z]+")
# A period after one of these ends no sentence; lookbehinds must have one width each.
_ABBREVIATIONS = (
    "dr",
    "mr",
    "mrs",
    "ms",
    "st",
    "apt",
    "no",
    "acct",
    "approx",
    "vs",
    "p.m",
    "a.m",
    "dept",
    "inc",
    "ext",
)
_SENTENCE_END = re.compile(
    "".join(rf"(?<!\b{re.escape(word)}\.)" for word in _ABBREVIATIONS) + r"(?<=[.!?;])\s+|\n+", re.IGNORECASE
)
_BARE_AMOUNT = re.compile(r"\d[\d,]*\.\d\d")
_NOT_WORD = re.compile(r"[^\w$%.@]+")
_LOOSE_DOT = re.compile(r"(?<!\d)\.|\.(?!\d)")


def _month(name: str) -> str:
    return name[:3]


def _iso(match: re.Match[str]) -> str:
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    return f"{MONTHS[month - 1]} {day} {year}" if 1 <= month <= 12 else match[0]


def _slash(match: re.Match[str]) -> str:
    month, day = int(match[1]), int(match[2])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    year = "" if match[3] is None else f" {match[3] if len(match[3]) == 4 else '20' + match[3]}"
    return f"{MONTHS[month - 1]} {day}{year}"


def _money(match: re.Match[str]) -> str:
    whole, cents = match[1].replace(",", ""), match[2] or ""
    # "$45," ends with a comma; zero cents are dropped.
    return f"${whole}" if cents in ("", ".0", ".00") else f"${whole}{cents}"


def fold_values(text: str) -> str:
    """Lower-case ``text`` and write dates as ``nov 3 2026``, money as ``$45`` or ``$45.50``, small number words as digits.

    Sentence punctuation stays. Dates with slashes are read in US order (month first).
    """
    folded = unicodedata.normalize("NFKC", text).translate(_QUOTES).lower()
    folded = _ISO_DATE.sub(_iso, folded)
    folded = _US_DATE.sub(_slash, folded)
    folded = _MONTH_DAY.sub(lambda m: f"{_month(m[1])} {int(m[2])}", folded)
    folded = _DAY_MONTH.sub(lambda m: f"{_month(m[2])} {int(m[1])}", folded)
    folded = _WORDS.sub(lambda m: _NUMBER_WORDS.get(m[0]) or _TIMES.get(m[0]) or m[0], folded)
    folded = _DOLLARS.sub(_money, folded)
    return _DOLLAR_WORDS.sub(_money, folded)


def sentences(text: str) -> list[str]:
    """Split ``text`` into trimmed sentences; a period inside a number or after an abbreviated month does not split."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


@lru_cache(maxsize=65_536)
def fold(text: str) -> str:
    """Return ``fold_values(text)`` without punctuation that carries no meaning, with single spaces between words."""
    folded = _NOT_WORD.sub(" ", fold_values(text).replace("'", ""))
    return " ".join(_LOOSE_DOT.sub(" ", folded).replace("_", " ").split())


@lru_cache(maxsize=65_536)
def _part_pattern(part: str) -> re.Pattern[str]:
    stem = part.endswith("*")
    body = re.escape(fold(part.removesuffix("*")))
    return re.compile(rf"(?<![\w$.]){body}" + ("" if stem else r"(?![\w%]|\.\d)"))


def _part_occurs(part: str, sentence: str) -> bool:
    if _BARE_AMOUNT.fullmatch(part) and _part_occurs(f"${part}", sentence):
        return True
    # A substring search first: most parts are absent, and compiling a pattern for each would take longer.
    return fold(part.removesuffix("*")) in sentence and _part_pattern(part).search(sentence) is not None


@lru_cache(maxsize=65_536)
def folded_sentences(text: str) -> tuple[str, ...]:
    """Return the folded, non-empty sentences of ``text``."""
    return tuple(s for s in (fold(sentence) for sentence in sentences(fold_values(text))) if s)


def form_occurs(form: str, text: str) -> bool:
    """Return whether a surface form occurs in ``text``.

    A form is one or more parts joined by `` + ``: all parts must occur in one sentence, in any order. A part that starts
    with ``!`` must not occur in that sentence; a part that ends with ``*`` matches as the beginning of a word. Parts match
    whole words after folding, so ``$45`` matches "$45.00" and "45 dollars", not "$450"; ``1.11`` matches "$1.11" and "1.11 EUR".

    Raises:
        ValueError: the form has no positive part.
    """
    parts = [part.strip() for part in form.split(" + ")]
    wanted = [part for part in parts if part and not part.startswith("!")]
    barred = [part[1:].strip() for part in parts if part.startswith("!")]
    if not wanted or not all(fold(part.removesuffix("*")) for part in wanted + barred):
        raise ValueError(f"surface form {form!r} has no words to look for")
    return any(
        all(_part_occurs(part, sentence) for part in wanted)
        and not any(_part_occurs(part, sentence) for part in barred)
        for sentence in folded_sentences(text)
    )
