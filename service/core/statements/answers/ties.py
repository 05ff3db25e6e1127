"""Finds what the interactions hold, but not together: a price and its period, a number and its street, parts of two names."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from service.core.statements.answers.finding import Finding
from service.core.statements.grounding.lexicon import ORDINARY, ROLES
from service.core.statements.grounding.names import bare
from service.core.statements.grounding.prefilters import Screened, holds_digit, holds_word
from service.core.statements.grounding.sentence import FIGURE, figure_after

# Each unit of a price: how an answer says it, and what supports it in notes near the amount.
_UNITS: dict[str, tuple[str, str]] = {
    "month": (
        "month|mo",
        r"month(?!'s bill)|\bmos?\b|\bmths?\b|/mo\b|instal|budget|\blevel|\brent\b|mensual|\bmes\b|\bmois\b"
        r"|monat|pension|\bx\s?\d|\d\s?x\b|\bover \d",
    ),
    "year": ("year|annum|yr", r"year|\byrs?\b|annual|annum|anual|\baño|jahr|an\b"),
    "week": ("week|wk|fortnight", r"week|\bwks?\b|semana|semaine|woche|fortnight"),
    "day": ("day|night", r"\bday|daily|night|\bdía|\bjour|\btag\b|per diem"),
    "hour": ("hour|hr|minute", r"hour|\bhrs?\b|hora|heure|minute"),
    "quarter": ("quarter", r"quarter|\bqtr|3 mo|three mo"),
    "kWh": ("kwh|kw|kilowatt-hour|kilowatt", r"kwh|kw\b|kilowatt"),
    "gas": ("therm|ccf|mcf|gallon|hcf|unit", r"therm|[cmh]cf|gal|unit"),
}
_ADVERBS = {
    "monthly": "month", "yearly": "year", "annually": "year", "annual": "year", "weekly": "week", "biweekly": "week",
    "fortnightly": "week", "daily": "day", "nightly": "day", "hourly": "hour", "quarterly": "quarter",
}  # fmt: skip
_UNIT_OF = {word: unit for unit, (words, _) in _UNITS.items() for word in words.split("|")} | _ADVERBS
_UNIT_WORDS = frozenset(word for name in _UNIT_OF for word in (*name.split("-"), f"{name}s"))
_FIGURE = figure_after(r"\w$.,")
_AMOUNT = rf"(?:\$\s?(?P<figure>{FIGURE})(?!\d|\.\d)|(?P<worded>{_FIGURE})\s?(?:dollars?|bucks|usd|cents?)\b)"
_NAMES = "|".join(sorted(_UNIT_OF, key=len, reverse=True))
_PRICE = Screened(
    rf"{_AMOUNT}(?:[ -]{{1,3}}(?P<adverb>{'|'.join(_ADVERBS)})\b|[,\s]{{0,2}}(?:/\s?|(?:(?:for )?(?:an?"
    rf"|per|each|every)\s|-)"
    rf"(?:additional |extra |single |calendar |billing |whole )?)(?P<unit>{_NAMES})s?\b)",
    re.I,
)
_PRICE_AFTER = Screened(
    rf"\b(?P<adverb>{'|'.join(_ADVERBS)})\s(?!and\b|or\b)(?:[a-z-]+\s){{0,2}}?(?:(?:of|at|is|was|to|from"
    rf"|comes to|about)\s){{1,2}}{_AMOUNT}",
    re.I,
)
# Characters on either side of an amount in which a note must name the unit.
_NEAR = 110
_STREET = re.compile(
    r"(?<![\w$.,/-])(?P<number>\d{1,6}[A-Z]?)\s(?:[NSEW]{1,2}\.?\s|North |South |East |West"
    r" )?(?P<name>(?:[A-Z][\w']+\s){1,3}?)"
    r"(?:St|Street|Ave|Avenue|Rd|Road|Dr|Drive|Ln|Lane|Ct|Court|Blvd|Boulevard|Way|Pl|Place|Ter|Terrace"
    r"|Cir|Circle|Pkwy|Parkway"
    r"|Hwy|Highway|Route|Sq|Square|Loop|Trail|Pike|Row|Alley|Crescent|Close|Plaza|Crossing|Bend|Ridge|Run|Path)\b"
)
_BOX = re.compile(r"\bP\.?\s?O\.?\s?Box\s(?P<number>\d+)", re.I)
# The second is only looked at, so that it may be the first of the next pair.
_FULL_NAME = re.compile(r"(?<![\w'.])(?<!\w-)([A-Z][a-z]{2,20})(?=[ -]([A-Z][a-z]{2,20}(?:-[A-Z][a-z]+)?)(?![\w-]))")


_TIMES = {"halv": 2, "doubl": 2, "tripl": 3, "trebl": 3, "quadrupl": 4, "quintupl": 5}
_RATIO = Screened(rf"\b(?P<stem>{'|'.join(_TIMES)})(?:ed|es|ing)\b(?!-)", re.I)
_SHARE = Screened(
    r"\b(?:(?:two|three|four|nine) (?P<part>third|quarter|fifth|tenth)s|(?:one|two|three|four|nine|\d)"
    r" (?:in|out of) (?P<all>two|three|four|five|ten|\d+)) ?(?:of\b|[.,;]|$)",
    re.I,
)
_FIGURES = re.compile(figure_after(r"\w$.,") + r"(?!\.?\d)")
_DOLLARS = re.compile(rf"\$\s?{FIGURE}|\d(?<![\w.,]\d)\d*(?:,\d{{3}})*\.\d\d\b")
_MOST_FIGURES = 40


class Ties:
    """What stands beside what in the interactions; read at its first use."""

    def __init__(self, texts: Sequence[str]) -> None:
        """``texts`` are the interactions'."""
        self._texts = texts

    @cached_property
    def _lower(self) -> list[str]:
        return [text.lower() for text in self._texts]

    def prices(self, figure: str, unit: str) -> bool:
        """Return whether an interaction names ``unit`` beside the amount; anywhere, if none states the amount."""
        known = re.compile(_UNITS[unit][1])
        places = [(text, place) for text in self._lower for place in _written(figure).finditer(text)]
        if not places:
            # Computed, such as by how much an average bill rises; bills are monthly.
            return any(known.search(text) or (unit == "month" and "bill" in text) for text in self._lower)
        return any(known.search(text, max(0, place.start() - _NEAR), place.end() + _NEAR) for text, place in places)

    def holds(self, number: str, name: str) -> bool:
        """Return whether an interaction writes ``number`` before ``name``, the first word of a street, with little between."""
        beside = re.compile(rf"(?<!\d){re.escape(number.lower())}\b.{{0,12}}?{re.escape(name.lower()[:4])}", re.S)
        return any(beside.search(text) for text in self._lower)

    @cached_property
    def _neighbours(self) -> dict[str, set[str]]:
        """For each capitalised word that is no ordinary one, the names written before and after it."""
        beside: dict[str, set[str]] = {}
        for text in self._texts:
            for match in _FULL_NAME.finditer(text):
                first, last = bare(match[1]), bare(match[2])
                if _is_plain(first) or _is_plain(last):
                    continue
                beside.setdefault(first, set()).add(f">{last}")
                beside.setdefault(last, set()).add(f"<{first}")
        return beside

    def join(self, first: str, last: str) -> bool:
        """Return whether ``first`` and ``last`` may be one person's: not if each is written as part of another full name."""
        before, after = self._neighbours.get(last, set()), self._neighbours.get(first, set())
        if (
            f">{last}" in after
            or f"<{last}" in after
            or any(re.search(rf"\b{first}\W.{{0,12}}\b{last}\b|\b{last}, {first}\b", text) for text in self._lower)
        ):
            return True
        return not (any(item[0] == ">" for item in after) and any(item[0] == "<" for item in before))

    def say(self, words: str) -> bool:
        """Return whether an interaction holds ``words``."""
        return any(words.lower().rstrip(" .,;") in text for text in self._lower)

    def in_ratio(self, times: int, stem: str) -> bool:
        """Return whether an interaction says so, or states two figures that are in this ratio, give or take a twelfth."""
        if any(stem in text for text in self._lower):
            return True
        for text in self._lower:
            for pattern in (_DOLLARS, _FIGURES):
                numbers = {float(found.strip("$ ").replace(",", "")) for found in pattern.findall(text)[:_MOST_FIGURES]}
                if any(abs(one - other * times) <= one / 12 for one in numbers for other in numbers if other >= times):
                    return True
        return False


def _is_plain(word: str) -> bool:
    return word in ORDINARY or word in ROLES


def _written(figure: str) -> re.Pattern[str]:
    whole, _, cents = figure.replace(",", "").partition(".")
    digits = ",?".join(re.findall(r"\d{1,3}(?=(?:\d{3})*$)", whole))
    rest = rf"\.{cents}" if cents.strip("0") else r"(?:\.0+)?"
    return re.compile(rf"(?<![\d.,]){digits}{rest}(?![\d]|[.,]\d)")


def ties_in(sentences: list[str], ties: Ties) -> Iterator[Finding]:
    """Yield prices for a period, addresses and full names of ``sentences`` whose parts no interaction holds together."""
    for sentence in sentences:
        if holds_digit(sentence):
            if holds_word(sentence, _UNIT_WORDS):
                yield from _prices(sentence, ties)
            for match in _STREET.finditer(sentence):
                if not ties.holds(match["number"], match["name"]):
                    yield Finding(kind="contact detail", value=match[0], statement=sentence)
            for match in _BOX.finditer(sentence):
                if not ties.holds(match["number"], ""):
                    yield Finding(kind="contact detail", value=match[0], statement=sentence)
        for match in _RATIO.finditer(sentence):
            stem = match["stem"].lower()
            if not ties.in_ratio(_TIMES[stem], stem):
                yield Finding(kind="number", value=match[0], statement=sentence)
        for match in _SHARE.finditer(sentence):
            if not ties.say(match["part"] or match[0]):
                yield Finding(kind="number", value=match[0], statement=sentence)
        for match in _FULL_NAME.finditer(sentence):
            first, last = bare(match[1]), bare(match[2])
            if not (_is_plain(first) or _is_plain(last)) and not ties.join(first, last):
                yield Finding(kind="name", value=f"{match[1]} {match[2]}", statement=sentence)


def _prices(sentence: str, ties: Ties) -> Iterator[Finding]:
    for pattern in (_PRICE, _PRICE_AFTER):
        for match in pattern.finditer(sentence):
            said = match.groupdict()
            unit = _UNIT_OF[(said["adverb"] or said.get("unit") or "").lower()]
            if not ties.prices(said["figure"] or said["worded"], unit):
                yield Finding(kind="amount", value=match[0], statement=sentence)
