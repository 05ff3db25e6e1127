"""Removes what people dictate: digits one by one or in pairs, as words or as figures, dates of birth, postcodes, spelled names.

A speech recogniser writes "4, 1, 1, 1, ..." for a card, "forty-one eleven" for its PIN and "m a r c h" for a name. A run of such
tokens is read as one detail. How long it must be depends on what was asked: an amount, a time and a count are runs, too.
"""

import re
from dataclasses import dataclass

_UNITS = "zero|oh|nought|naught|nil|one|two|three|four|five|six|seven|eight|nine|niner"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fourty|fifty|sixty|seventy|eighty|ninety"
_ORDINALS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth"
    "|seventeenth|eighteenth|nineteenth|twentieth|thirtieth|(?:twenty|thirty)[\\s-](?:first|second|third|fourth|fifth|sixth"
    "|seventh|eighth|ninth)"
)
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_SHORT_MONTHS = "jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
_PHONETIC = (
    "alpha|alfa|bravo|charlie|delta|echo|foxtrot|golf|hotel|india|juliet|juliett|kilo|lima|mike|november|oscar|papa|quebec"
    "|romeo|sierra|tango|uniform|victor|whiskey|whisky|xray|x-ray|yankee|zulu"
)
NUMBER = rf"(?:\d+|(?:{_TENS})(?:[\s-](?:{_UNITS}))?|{_TEENS}|{_UNITS})"
_MANY = r"(?:double|triple|treble|quadruple)\s"
# What people say between two digits: "4, 1, uh, 1 1, then 8".
_GAP = r"(?:[\s,.;:…/-]|\b(?:uh|um|er|erm|and|then|dash|hyphen|dot|stroke|slash|space|so|again)\b)"
_DIGIT_RUN = re.compile(rf"(?<![\w$£€])(?:{_MANY})?{NUMBER}(?:{_GAP}+(?:{_MANY})?{NUMBER})+\b(?!\s?%|[.,]\d)", re.I)
_TOKEN = re.compile(rf"({_MANY})?\b({NUMBER})\b", re.I)
_MEASURE = re.compile(
    r"\s?(?:dollars?|pounds?|euros?|cents?|pence|p\b|quid|bucks|percent|per cent|kwh|kilowatts?|units?|degrees?|miles?|minutes?"
    r"|mins?|hours?|days?|weeks?|months?|years?|times|people|a\.?m\b|p\.?m\b|o'?clock|thousand|hundred|million|grand|euro)",
    re.I,
)
_LETTER = rf"(?:(?:double|triple)\s)?(?:[A-Za-z](?:\s(?:as\sin|for|like)\s\w+)?|{_PHONETIC})"
_APART = r"(?:\s*[-,.…]\s*|\s+)(?:and\s)?"
_SPELLED = re.compile(rf"(?<![\w'.@])(?:{_LETTER}{_APART}){{2,}}{_LETTER}(?![\w'])", re.I)
_CODE_PART = (
    rf"(?:(?:{_MANY})?(?:{_UNITS}|{_TEENS}|{_TENS}|{_PHONETIC}"
    rf"|\d{{1,2}}|[A-Za-z]{{1,2}}\d{{1,2}}[A-Za-z]?|\d[A-Za-z]{{2}}|[A-Za-z]{{1,2}}))"
)
_CODE = re.compile(rf"(?<![\w'])(?:{_CODE_PART}{_APART})+{_CODE_PART}(?![\w'])", re.I)
_POSTCODE = re.compile(
    r"\b[A-Z]{1,2}\d[A-Z\d]?[\s,-]{0,2}\d(?!(?:st|nd|rd|th|am|pm|kw|mb|gb|kg|km|ft|cm|mm|by|in|to|of|or)\b)[A-Z]{2}\b",
    re.I,
)
_DATE_TOKEN = rf"(?:{_ORDINALS}|\d+(?:st|nd|rd|th)|{_MONTHS}|(?:{_SHORT_MONTHS})\b\.?|{NUMBER}|hundred)"
_DATE_GAP = r"(?:[\s,./-]|\b(?:of|the|and|in|uh|um|oh|day|month)\b)"
_DATE_RUN = re.compile(rf"(?<![\w$£€])(?:the\s+)?{_DATE_TOKEN}(?:{_DATE_GAP}+{_DATE_TOKEN})+(?!\w)", re.I)
_IN_A_MONTH = re.compile(rf"\b(?:{_MONTHS}|(?:{_SHORT_MONTHS}))\b", re.I)
_DAY = re.compile(rf"\b(?:{_ORDINALS}|\d{{1,2}}(?:st|nd|rd|th)?)\b", re.I)
# Nobody disputes a bill of 1989: a date of such a year is somebody's birthday.
_LONG_AGO = re.compile(
    rf"(?:\b19\d\d|\b200\d|\bnineteen[\s-](?:{_TENS}|{_TEENS}|oh)\b|\btwo thousand(?:\sand)?(?:\s(?:{_UNITS}))?\b"
    rf"|(?:\bthirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[\s-](?:{_UNITS}))?|'[3-9]\d|[/.-][3-9]\d)\W*$",
    re.I,
)
_MAIL = re.compile(
    r"\b(?:[\w.+-]+\s(?:dot|underscore|dash|hyphen|point)\s)*[\w.+-]+\s(?:at|@)\s(?:[\w-]+\s?(?:dot|\.|point)\s?){1,3}"
    r"(?:com|net|org|edu|gov|info|io|co|uk|us|ca|ie|de|fr|es|nl|eu|example|test)\b(?:\s?(?:dot|\.)\s?uk)?",
    re.I,
)
_ASKS_DIGITS = re.compile(
    r"\b(?:digits?|account|acct|card|pin|passcode|passwords?|code|cvv|cvc|security|number|sort|routing|iban|social|ssn|phone"
    r"|telephone|mobile|reference|policy|claim|member\w*|expir\w+|last (?:four|4|three|3|two)|meter|national insurance|nhs|id"
    r"|licen[cs]e|passport|zip)\b",
    re.I,
)
_ASKS_BIRTH = re.compile(r"\b(?:births?|born|birthday|birthdate|d\.?o\.?b\.?)\b", re.I)
_ASKS_PLACE = re.compile(r"\b(?:post\s?codes?|zip|address|house number|where do you live)\b", re.I)
_ASKS_SPELLING = re.compile(r"\b(?:spell\w*|spelt|names?|surname|e-?mail)\b", re.I)
_SAYS_BIRTH = re.compile(
    r"\b(?:born|birthday|date of birth|birthdate|d\.?o\.?b\.?)\b(?:[^.?!,\w]|\b(?:is|was|on|in|the|it's|it|mine|my)\b){0,8}$",
    re.I,
)
_SAYS_PLACE = re.compile(r"\b(?:post\s?code|zip(?:\s?code)?)\b[^.?!]{0,20}?$", re.I)
_SAYS_SPELLED = re.compile(r"\b(?:spell\w*|spelt|names?(?:'s)?|surname)\b[^.?!]{0,40}?$", re.I)
_SAYS_NUMBER = re.compile(
    r"\b(?:digits?|account|acct|card|pin|passcode|code|cvv|cvc|number|sort|routing|social|ssn|phone|mobile|reference|policy|claim"
    r"|ending|ends|national insurance|nhs|licen[cs]e|passport)\b[^.?!]{0,30}?$",
    re.I,
)
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
    odd = sum(
        word.lower() in ("i", "a", "is", "it", "at", "in", "on", "no", "my", "am", "so", "we", "of", "to")
        for word in words
    )
    return _kept_ends(said, "[address]") if holds_digit and letters and len(words) - odd >= 3 else said


def _kept_ends(said: str, tag: str) -> str:
    """Return ``tag`` with the white space that a run begins or ends with."""
    return f"{said[: len(said) - len(said.lstrip())]}{tag}{said[len(said.rstrip()) :]}"
