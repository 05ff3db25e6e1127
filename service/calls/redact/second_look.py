"""The second look at a redacted call: another instrument than what redacted it, so that it can find what that one overlooked.

It knows no form of a number. It counts what is left of figures where an agent asked for figures, of dates where somebody asked
for a birthday and of single letters where somebody asked for a spelling, whatever stands between them; and it computes the check
digits of all that the figures of neighbouring turns could be together.
"""

import re
from collections import Counter
from collections.abc import Sequence

from service.core.statements.tags import ANY_TAG
from service.core.tasks.scorecard.transcript import Turn

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_FIGURES = {
    **{word: str(value) for value, word in enumerate(f"{_UNITS} eighteen nineteen".split())},
    **{word: str(value) for value, word in enumerate(_TENS.split(), 2)},
    "oh": "0",
    "nought": "0",
}
_MONTHS = frozenset(
    "january february march april may june july august september october november december jan feb apr jun jul aug sep sept oct "
    "nov dec".split()
)
_WORD = re.compile(r"[a-z]+|\d+")
_WORDS_FOR = {
    "number": re.compile(
        r"\b(?:digits?|card|pin|pass(?:code|word)|cvv|cvc|sort code|security (?:code|number)|account (?:number|code)|routing|iban"
        r"|social|passport|licen[cs]e)\b"
    ),
    "birthdate": re.compile(r"\b(?:birth\w*|born|dob)\b"),
    "name": re.compile(r"\b(?:spell\w*|spelt)\b"),
}
_ANSWERS = 3  # turns after the question that may still answer it
_FEWEST_FIGURES, _FEWEST_LETTERS = 4, 4
_CARD = range(13, 20)
_NEIGHBOURS = 6
_AMOUNT = re.compile(
    r"[$£€]\s?[\d.,]+|\b\d+(?:[.,]\d+)?\s?(?:%|percent|dollars|pounds|euros|kwh)|\b(?:19|20)\d\d\b", re.I
)


def overlooked(turns: Sequence[Turn]) -> dict[str, int]:
    """Return how many turns of a redacted call look as if a detail were left in them, by kind."""
    found: Counter[str] = Counter()
    open_: dict[str, int] = {}
    for index, turn in enumerate(turns):
        words = _words(turn.text)
        if turn.speaker != "agent":
            for kind in [kind for kind, asked in open_.items() if index - asked <= _ANSWERS and _holds(kind, words)]:
                found[kind] += 1
        elif turn.text:
            asked = turn.text.lower()
            open_ |= {kind: index for kind, wanted in _WORDS_FOR.items() if wanted.search(asked) and "?" in asked}
    found["number"] += _checked(turns)
    return {kind: n for kind, n in sorted(found.items()) if n}


def _words(text: str) -> list[str]:
    return _WORD.findall(_AMOUNT.sub(" ", ANY_TAG.sub(" ", text)).lower())


def _digits(words: Sequence[str]) -> str:
    return "".join(word if word.isdigit() else _FIGURES.get(word, "") for word in words)


def _holds(kind: str, words: Sequence[str]) -> bool:
    if kind == "number":
        return len(_digits(words)) >= _FEWEST_FIGURES
    if kind == "birthdate":
        return (bool(_MONTHS & set(words)) and len(_digits(words)) > 0) or len(_digits(words)) >= _FEWEST_FIGURES
    return sum(len(word) == 1 and word not in "ai" for word in words) >= _FEWEST_LETTERS


def _checked(turns: Sequence[Turn]) -> int:
    """Return how many stretches of neighbouring turns hold a card's number: its digits in order, and a right check digit."""
    count = start = 0
    for end in range(len(turns)):
        start = max(start, end - _NEIGHBOURS + 1)
        digits = "".join(_digits(_words(turn.text)) for turn in turns[start : end + 1] if turn.speaker != "system")
        if len(digits) in _CARD and digits[0] in "3456" and _luhn(digits):
            count, start = count + 1, end + 1
    return count


def _luhn(number: str) -> bool:
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
