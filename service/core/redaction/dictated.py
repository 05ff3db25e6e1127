"""Removes what people dictate: digits one by one or in pairs, as words or as figures, dates of birth, postcodes, spelled names.

A speech recogniser writes "4, 1, 1, 1, ..." for a card, "forty-one eleven" for its PIN and "m a r c h" for a name. A run of such
tokens is read as one detail. How long it must be depends on what was asked: an amount, a time and a count are runs, too.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "dictated")

_UNITS = _TEXTS["units"]
_PHONETIC = _TEXTS["phonetic"]
NUMBER = _TEXTS["number"]
_DIGIT_RUN = re.compile(_TEXTS["digit_run"], re.I)
_TOKEN = re.compile(_TEXTS["token"], re.I)
_MEASURE = re.compile(_TEXTS["measure"], re.I)
_SPELLED = re.compile(_TEXTS["spelled"], re.I)
_CODE = re.compile(_TEXTS["code"], re.I)
_POSTCODE = re.compile(_TEXTS["postcode"], re.I)
_DATE_TOKEN = _TEXTS["date_token"]
_DATE_RUN = re.compile(_TEXTS["date_run"], re.I)
_IN_A_MONTH = re.compile(_TEXTS["in_a_month"], re.I)
_DAY = re.compile(_TEXTS["day"], re.I)
# Nobody disputes a bill of 1989: a date of such a year is somebody's birthday.
_LONG_AGO = re.compile(_TEXTS["long_ago"], re.I)
_MAIL = re.compile(_TEXTS["mail"], re.I)
_ASKS_DIGITS = re.compile(_TEXTS["asks_digits"], re.I)
# "the second and fourth digit of your PIN?": two such answers are half of it.
_ASKS_PLACES = re.compile(
    r"\b(?:first|second|third|fourth|fifth|sixth|last|\d(?:st|nd|rd|th))\b[^?]{0,40}\b(?:digit|number|character)s?\b"
    r"[^?]{0,40}\b(?:pin|pass\s?(?:code|word)|security (?:code|number)|memorable)\b",
    re.I,
)
_ONE_NUMBER = re.compile(rf"\b(?:{NUMBER})\b", re.I)
_ASKS_BIRTH = re.compile(r"\b(?:births?|born|birthday|birthdate|d\.?o\.?b\.?)\b", re.I)
_ASKS_PLACE = re.compile(r"\b(?:post\s?codes?|zip|address|house number|where do you live)\b", re.I)
_ASKS_SPELLING = re.compile(r"\b(?:spell\w*|spelt|names?|surname|e-?mail)\b", re.I)
_SAYS_BIRTH = re.compile(_TEXTS["says_birth"], re.I)
_SAYS_PLACE = re.compile(r"\b(?:post\s?code|zip(?:\s?code)?)\b[^.?!]{0,20}?$", re.I)
_SAYS_SPELLED = re.compile(r"\b(?:spell\w*|spelt|names?(?:'s)?|surname)\b[^.?!]{0,40}?$", re.I)
_SAYS_NUMBER = re.compile(_TEXTS["says_number"], re.I)
_SHORT_WORDS = frozenset("i a is it at in on no my am so we of to".split())
_LONGEST_PIECE = 12  # words
_FEWEST = 4  # figures without a question: "three, two, one" is no detail


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """What a run of number words stands for: its digits, how many tokens it has and how many of them are one digit."""

    digits: int
    tokens: int
    single: int


def redact_dictated(text: str, asked: str) -> str:
    """Return ``text`` with what is dictated replaced by ``[number]``, ``[birthdate]``, ``[address]``, ``[name]`` or ``[email]``.

    ``asked`` is what the other speaker asked before ``text``, or "".
    """
    text = _MAIL.sub("[email]", text)
    text = _POSTCODE.sub("[address]", text)
    birth = _ASKS_BIRTH.search(asked) is not None
    text = _DATE_RUN.sub(lambda run: _date(run, asked=birth), text)
    text = _SPELLED.sub(lambda run: _spelling(run, asked), text)
    if _ASKS_PLACE.search(asked) or _SAYS_PLACE.search(text) or "code" in text.lower():
        place = _ASKS_PLACE.search(asked) is not None
        text = _CODE.sub(lambda run: _code(run, asked=place), text)
    if _ASKS_PLACES.search(asked) and len(text.split()) <= _LONGEST_PIECE:
        text = _ONE_NUMBER.sub("[number]", text)
    digits = _ASKS_DIGITS.search(asked) is not None
    return _DIGIT_RUN.sub(lambda run: _number(run, asked=digits), text)


def still_asked(asked: str, said: str) -> str:
    """Return what remains asked after ``said``, the words that stand for it or "": a number is given in pieces, and read back."""
    if len(said.split()) > _LONGEST_PIECE:
        return ""
    kinds = {"digits": _ASKS_DIGITS, "birth": _ASKS_BIRTH, "postcode": _ASKS_PLACE}
    return " ".join(word for word, asks in kinds.items() if asks.search(asked))


def figures_in(text: str) -> int:
    """Return the number of digits in ``text``, those of number words included; its tags hold none."""
    return _figures(text).digits


def _figures(run: str) -> _Figures:
    digits = tokens = single = 0
    for many, token in _TOKEN.findall(run):
        times = {"d": 2, "t": 3, "q": 4}[many[0].lower()] if many else 1
        length = len(token) if token.isdigit() else 1 if re.fullmatch(_UNITS, token, re.I) else 2
        digits, tokens, single = digits + times * length, tokens + times, single + times * (length == 1)
    return _Figures(digits=digits, tokens=tokens, single=single)


def _number(run: "re.Match[str]", *, asked: bool) -> str:
    found, before = _figures(run[0]), run.string[: run.start()]
    if _MEASURE.match(run.string, run.end()) or re.search(r"[$£€]\s?\d*[.,]?$", before):
        return run[0]
    asked = asked or _SAYS_NUMBER.search(before) is not None
    long = (
        found.digits >= 4 or found.single >= 3
        if asked
        else found.single >= _FEWEST or (found.tokens >= 3 and found.digits >= 6)
    )
    return _kept_ends(run[0], "[number]") if long and not _counts(run[0]) else run[0]


def _counts(run: str) -> bool:
    # "one, two, three, four": a list that counts up, as in "press 1, 2, 3 or 4".
    numbers = [token for _, token in _TOKEN.findall(run)]
    return [number.lower() for number in numbers] in (
        [str(one) for one in range(1, len(numbers) + 1)],
        "one two three four five six seven eight nine".split()[: len(numbers)],
    )


def _date(run: "re.Match[str]", *, asked: bool) -> str:
    said, tokens = run[0], re.findall(_DATE_TOKEN, run[0], re.I)
    if len(tokens) < 2 or tokens[0].lower() == "hundred" or _MEASURE.match(run.string, run.end()):
        return said
    if asked or _SAYS_BIRTH.search(run.string[: run.start()]):
        return _kept_ends(said, "[birthdate]")
    dated = _IN_A_MONTH.search(said) is not None and _DAY.search(said) is not None
    written = re.search(r"\d[./-]\d", said) is not None
    return _kept_ends(said, "[birthdate]") if (dated or written) and _LONG_AGO.search(said) else said


def _spelling(run: "re.Match[str]", asked: str) -> str:
    letters = re.findall(rf"\b(?:{_PHONETIC}|[A-Za-z])\b(?!')", re.sub(r"\b(?:as in|for|like)\s\w+", "", run[0]), re.I)
    told = _ASKS_SPELLING.search(asked) or _SAYS_SPELLED.search(run.string[: run.start()])
    if len(letters) < (3 if told else 4):
        return run[0]
    return _kept_ends(run[0], "[name]")


def _code(run: "re.Match[str]", *, asked: bool) -> str:
    said = run[0]
    if not (asked or _SAYS_PLACE.search(run.string[: run.start()])):
        return said
    words = re.findall(r"\w+", said)
    holds_digit = any(word[0].isdigit() or word[-1].isdigit() or re.fullmatch(NUMBER, word, re.I) for word in words)
    letters = [word for word in words if word.isalpha() and not re.fullmatch(NUMBER, word, re.I)]
    # "it is 5" and "I am at 12": the words of a sentence are no letters.
    odd = sum(word.lower() in _SHORT_WORDS for word in words)
    return _kept_ends(said, "[address]") if holds_digit and letters and len(words) - odd >= 3 else said


def _kept_ends(said: str, tag: str) -> str:
    """Return ``tag`` with the white space that a run begins or ends with."""
    return f"{said[: len(said) - len(said.lstrip())]}{tag}{said[len(said.rstrip()) :]}"
