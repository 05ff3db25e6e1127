"""Reads digits however they are written: in other scripts, as words, with letters that look like digits, in groups."""

import re
import unicodedata

from service.core.statements.grounding.prefilters import words_in_order

_ONES = {
    "zero": "0", "oh": "0", "o": "0", "nought": "0", "naught": "0", "nil": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "niner": "9", "ten": "10", "eleven": "11", "twelve": "12",
    "thirteen": "13", "fourteen": "14", "fifteen": "15", "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19",
    "cero": "0", "uno": "1", "dos": "2", "tres": "3", "cuatro": "4", "cinco": "5", "seis": "6", "siete": "7",
    "ocho": "8", "nueve": "9",
}  # fmt: skip
_TENS = {
    "twenty": "2",
    "thirty": "3",
    "forty": "4",
    "fifty": "5",
    "sixty": "6",
    "seventy": "7",
    "eighty": "8",
    "ninety": "9",
}
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_NAMES = frozenset({*_ONES, *_TENS, *_TIMES, "hundred"})
_BETWEEN = frozenset({"and", "then", "dash", "hyphen", "space", "dot"})
_WORDS = "|".join(sorted({*_ONES, *_TENS, *_TIMES, "hundred"}, key=len, reverse=True))
_LEAST_WORDS = 3
_SPOKEN = re.compile(
    rf"\b(?:{_WORDS})(?:[\s,./_-]{{1,3}}(?:(?:and|then|dash|hyphen|space"
    rf"|dot)[\s,]{{1,2}})?(?:{_WORDS})){{{_LEAST_WORDS - 1},40}}\b",
    re.I,
)
_SPOKEN_WORD = re.compile(rf"\b(?:{_WORDS})\b", re.I)
# "33O8l26945": at least four digits among letters that look like digits.
_LOOKALIKE = re.compile(r"(?<![A-Za-z\d])(?=(?:[OoQIl|SBZ]{0,3}\d){4})[\dOoQIl|SBZ]{6,40}(?![A-Za-z\d])")
# Part of every one that has a letter; it begins with the digit, so that the search skips to digits.
_BESIDE_LOOKALIKE = re.compile(r"\d(?:[OoQIl|SBZ]|(?<=[OoQIl|SBZ]\d))")
_LETTERS = str.maketrans("OoQIl|SBZ", "000111582")
_RUN = re.compile(r"\d+")


def with_plain_digits(text: str) -> str:
    """Return ``text`` with digits of other scripts, spoken digits and look-alike letters written as 0 to 9."""
    if not text.isascii():
        text = "".join(_digit(char) for char in unicodedata.normalize("NFKC", text))
    if _may_spell_digits(text):
        text = _SPOKEN.sub(lambda match: _spoken(match[0]), text)
    if _BESIDE_LOOKALIKE.search(text) is None:
        return text
    return _LOOKALIKE.sub(lambda match: match[0].translate(_LETTERS), text)


def _may_spell_digits(text: str) -> bool:
    """Return whether ``text`` may hold three number words in a row (never wrongly False)."""
    words = words_in_order(text)
    if words is None:
        return True
    if _NAMES.isdisjoint(words):
        return False
    in_row = 0
    for word in words:
        if word in _NAMES:
            in_row += 1
            if in_row == _LEAST_WORDS:
                return True
        elif word not in _BETWEEN:
            in_row = 0
    return False


def digit_runs(text: str) -> list[str]:
    """Return the runs of digits in ``text``."""
    return _RUN.findall(text)


def holds_number_of(known: str, runs: list[str]) -> bool:
    """Return whether ``runs`` give away the digits ``known``: joined, backwards, in pieces in any order, or but for a few."""
    joined = "".join(runs)
    if known in joined or known[::-1] in joined:
        return True
    most = max(6, len(known) - 3)
    if any(known[place : place + most] in joined for place in range(len(known) - most + 1)):
        return True
    pieces = {run for run in runs if 3 <= len(run) < len(known)}
    reached = {0}
    for place in range(len(known)):
        if place in reached:
            reached |= {place + len(piece) for piece in pieces if known.startswith(piece, place)}
    return len(known) in reached


def _digit(char: str) -> str:
    if char.isascii() or not char.isdigit():
        return char
    return str(unicodedata.digit(char))


def _spoken(phrase: str) -> str:
    digits: list[str] = []
    repeat, tens = 1, ""
    for word in _SPOKEN_WORD.findall(phrase.lower()):
        if word in _TIMES:
            repeat = _TIMES[word]
        elif word in _TENS:
            digits.append(tens + "0" if tens else "")
            tens = _TENS[word]
        elif word == "hundred":
            digits.append("00")
        else:
            digits.append(
                (
                    tens + _ONES[word]
                    if len(_ONES[word]) == 1 and _ONES[word] != "0"
                    else (tens + "0" if tens else "") + _ONES[word]
                )
                * repeat
            )
            repeat, tens = 1, ""
    return "".join(digits) + (tens + "0" if tens else "")
