"""Numbers of a call as a listener writes them: "fifty-one pounds thirty-four" is £51.34, "two seventy-two" is 272 or 2.72.

Speech leaves out what writing shows: the point, the hundreds, the currency. Each reading that a careful listener may write down
is yielded; a sum of two figures is none of them.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from service.core.statements.grounding.lexicon import ORDINALS, SCALES, SMALL_NUMBERS
from service.core.statements.grounding.sentence import words_to_number

_CURRENCIES = {
    "£": r"£|\bpounds?\b|\bquid\b|\bpence\b|\bpenn(?:y|ies)\b",
    "$": r"\$|\bdollars?\b|\bbucks?\b|\bcents?\b",
    "€": r"€|\beuros?\b",
}
_WORD = "|".join(sorted([*SMALL_NUMBERS, *SCALES, "grand", "oh"], key=len, reverse=True))
_RUN = rf"(?:an? (?=hundred|thousand|grand))?(?:{_WORD})(?:(?:[ -]| and )(?:{_WORD}))*"
_MONEY = r"pounds?|quid|dollars?|bucks|euros?"
_HOUR = r"[ap]\.?m\b\.?|o'clock|in the (?:morning|afternoon|evening)|at night"
_SAID = re.compile(
    rf"\b(?P<run>{_RUN})(?:-odd)?\b"
    rf"(?:[ -](?P<nth>{'|'.join(ORDINALS)})\b| point (?P<digits>(?:{_WORD})(?:[ -](?:{_WORD}))*)"
    rf"| (?:{_MONEY})(?:,? and)? (?P<small>{_RUN})\b| (?P<hour>{_HOUR}))?"
)
_NTH = re.compile(rf"\b(?<!ty-)(?<!ty )(?:{'|'.join(ORDINALS)})\b")
# What is counted in these is no sum of money.
_COUNTED = re.compile(
    r"[ -](?:percent|per cent|second|minute|hour|day|night|week|month|year|time|unit|kilowatt|mile|people|person|call|letter)s?\b"
)


def in_figures(texts: Iterable[str]) -> str:
    """Return the numbers that ``texts`` say in words, in figures, one after the other; "" without any."""
    lowered = [text.lower() for text in texts]
    named = [sign for sign, words in _CURRENCIES.items() if any(re.search(words, text) for text in lowered)]
    return "; ".join(dict.fromkeys(one for text in lowered for one in _figures(text, named or [*_CURRENCIES])))


def _figures(text: str, signs: list[str]) -> Iterator[str]:
    yield from (f"{ORDINALS[match[0]]}th" for match in _NTH.finditer(text))
    for match in _SAID.finditer(text):
        values = list(_values(match["run"]))
        if match["nth"]:
            yield f"{values[0] + ORDINALS[match['nth']]}th"
        elif match["digits"]:
            digits = "".join(str(words_to_number(word)) for word in re.split("[ -]", match["digits"]))
            values = [Decimal(f"{values[0]}.{digits}")]
        elif match["small"]:
            values = [values[0] + words_to_number(match["small"]) / 100]
        for value in values:
            yield f"{value} {match['hour']}" if match["hour"] else str(value)
            if not (match["hour"] or _COUNTED.match(text, match.end())):
                yield from (f"{sign}{value}" for sign in signs)


def _values(run: str) -> Iterator[Decimal]:
    """Yield what ``run`` may be: "two seventy-two" is 272 and 2.72, "nineteen seventy-eight" 1978."""
    words = re.split(r"[ -]", re.sub(r"\ban? |\band ", "", run.replace("grand", "thousand").replace("oh", "zero")))
    if SCALES.keys() & set(words):
        yield words_to_number(" ".join(words))
        return
    groups = list[int]()
    for word in words:
        value = SMALL_NUMBERS[word]
        if groups and groups[-1] >= 20 and not groups[-1] % 10 and 0 < value < 10:
            groups[-1] += value
        else:
            groups.append(value)
    if len(groups) == 2 and groups[1] >= 10:
        yield Decimal(groups[0] * 100 + groups[1])
        yield Decimal(f"{groups[0]}.{groups[1]}")
    yield from map(Decimal, groups)
