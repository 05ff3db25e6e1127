"""Reads numbers with a unit of measure, so that "3 days" does not support "3 weeks".

A quantity is a dimension and a value in the dimension's own unit: "24 hours" and "1 day" are one quantity. Business days,
months and years are dimensions of their own, because they have no fixed length.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from service.core.statements.grounding.prefilters import holds_digit, holds_word
from service.core.statements.grounding.sentence import NUMBER_NAMES, NUMBER_WORDS, figure_after, read_number

Quantity = tuple[str, Decimal]


class Measurement(NamedTuple):
    """A number with its unit as written, and the quantity that both together name."""

    number: Decimal
    quantity: Quantity

    @property
    def of_time(self) -> bool:
        """True for stretches of time, also those without a fixed length."""
        return self.quantity[0] in TIMES


TIMES = frozenset({"time", "month", "business day"})

_MINUTE, _HOUR, _DAY, _WEEK = 60, 3_600, 86_400, 604_800
# dimension -> (factor, ways to write it in a note); foreign words are those of notes in other languages.
_UNITS: tuple[tuple[str, str, str], ...] = (
    ("time", "1", "second seconds sec secs segundos secondes sekunden"),
    ("time", str(_MINUTE), "minute minutes min mins minutos minuto minuten"),
    ("time", str(_HOUR), "hour hours hr hrs h hora horas heure heures stunde stunden ore"),
    ("time", str(_DAY), "day days d dy dys night nights día días dia dias jour jours tag tage tagen giorni"),
    ("time", str(_WEEK), "week weeks wk wks semana semanas semaine semaines woche wochen"),
    ("month", "1", "month months mo mos mth mths mnths mes meses mois monat monate monaten mesi"),
    ("month", "12", "year years yr yrs yo año años ans jahr jahre anni"),
    ("business day", "1", "bd bds"),
    ("power", "1", "kw kilowatt kilowatts"),
    ("power", "0.001", "w watt watts"),
    ("power", "1000", "mw megawatt megawatts"),
    ("energy", "1", "kwh kwhs kwhr"),
    ("energy", "0.001", "wh"),
    ("energy", "1000", "mwh"),
    ("gas", "1", "therm therms"),
    ("volume", "1", "ccf hcf"),
    ("volume", "10", "mcf"),
    ("gallon", "1", "gallon gallons gal gals"),
    ("liter", "1", "liter liters litre litres"),
    ("rate", "1", "mbps"),
    ("rate", "1000", "gbps"),
    ("data", "1", "gb"),
    ("data", "0.001", "mb"),
    ("share", "1", "% percent pct"),
    ("voltage", "1", "v volt volts"),
    ("current", "1", "amp amps ampere amperes"),
    ("length", "1", "foot feet ft"),
    ("distance", "1", "mile miles mi"),
    ("kilometer", "1", "km kilometer kilometers"),
    ("inch", "1", "inch inches"),
    ("meter", "1", "metre metres"),
    ("degree", "1", "degree degrees"),
)
_UNIT_OF = {word: (dimension, Decimal(factor)) for dimension, factor, words in _UNITS for word in words.split()}
_BUSINESS = r"(?:business|working|bus\.?|biz|wkg|work)[ -]?(?:days?|d)\b"
_NAME = "|".join(sorted((word for word in _UNIT_OF if word != "%"), key=len, reverse=True))
_WRITTEN_UNIT = rf"(?:(?P<business>{_BUSINESS})|(?P<unit>%|(?!w/)(?:{_NAME})(?![^\W\d_])))"
# "412 night kWh": a word may describe what is metered.
METERED = r"(?:[a-z-]{2,12}\s(?=(?i:kwh|kw|therms?|gallons?|gals?|ccf|mcf|hcf)\b))?"
_FILLER = rf"(?:(?:calendar|more|full|straight|whole|consecutive|additional|extra|other|solid|long)\s)?{METERED}"
_FIGURE = figure_after(r"\w$.,:/")
_FIGURES = re.compile(
    rf"(?P<low>{_FIGURE})(?:(?:-some|ish|\+)?(?:\s?(?:-|/|to|or|and|a|bis|till)\s?(?P<high>{figure_after('.,:')}))?)"
    rf"(?:-some|ish|\+)?[\s-]{{0,2}}{_FILLER}{_WRITTEN_UNIT}",
    re.I,
)
_AFTER_WORDS = re.compile(
    rf"(?:\s?(?:-|to|or|and)\s?(?:\w{{1,12}})?)?[\s-]{{1,2}}(?:of\s)?(?:a\s|an\s)?{_FILLER}{_WRITTEN_UNIT}", re.I
)
_ONE = re.compile(rf"\b(?P<said>half\s(?:an?\s)?|couple\s(?:of\s)?|an?\s|one\s|per\s)(?P<unit>{_NAME})\b", re.I)
_ONE_WORDS = frozenset("half couple a an one per".split())
_SAID = {"half": Decimal("0.5"), "couple": Decimal(2)}
# Not "9:30a": a time of day.
_DURATION = re.compile(r"\d(?<![\d:.]\d)\d?:[0-5]\d(?![\d:]|\s?[ap]\.?(?:m\b|\b))", re.I)
_WINDOW = re.compile(
    r"\d(?<![\d:$.,/-]\d)\d?(?::[0-5]\d)?\s?(?:[ap]\.?m?\.?)?\s?(?:-|to|until|till?)\s?\d\d?(?::[0-5]\d)?\s?[ap]\.?(?:m\b|\b)",
    re.I,
)
_CLOCK = re.compile(r"(\d\d?)(?::(\d\d))?")
_DIAL = 12 * _HOUR
_DAYS_PER_MONTH = (28, 30, 31)
_DAYS_PER_YEAR = (365, 366)


@cache
def dimension_of(unit: str) -> str | None:
    """Return the dimension of a unit as a text writes it (lower case), None if it is no known unit."""
    return _named(unit)[0] if re.fullmatch(_BUSINESS, unit) or unit in _UNIT_OF else None


def quantity_of(number: Decimal, unit: str) -> Quantity:
    """Return ``number`` of a known ``unit`` as a quantity."""
    dimension, factor = _named(unit)
    return dimension, number * factor


def equal_quantities(quantity: Quantity) -> Iterator[Quantity]:
    """Yield the quantity, and what else a writer may call it: 30 days a month, 365 days a year."""
    dimension, value = quantity
    yield quantity
    if dimension == "month":
        for days in _DAYS_PER_MONTH:
            yield "time", value * days * _DAY
        if value % 12 == 0:
            for days in _DAYS_PER_YEAR:
                yield "time", value / 12 * days * _DAY
    elif dimension == "time" and value and value % _DAY == 0:
        for days in _DAYS_PER_MONTH:
            if value / _DAY % days == 0:
                yield "month", value / _DAY / days
        for days in _DAYS_PER_YEAR:
            if value / _DAY % days == 0:
                yield "month", value / _DAY / days * 12


def measured_in(text: str) -> Iterator[Measurement]:
    """Yield every number of ``text`` with its unit, in figures or words; both ends of a range; "13:52" as minutes."""
    if holds_digit(text):
        for match in _FIGURES.finditer(text):
            for number in _ends(match):
                yield _measured(number, match)
        for match in _DURATION.finditer(text):
            minutes, seconds = map(int, match[0].split(":"))
            # A writer rounds "8:52" to nine minutes, or cuts it to eight.
            for stated in {minutes * _MINUTE + seconds, minutes * _MINUTE, (minutes + 1) * _MINUTE}:
                yield Measurement(Decimal(minutes), ("time", Decimal(stated)))
    if holds_word(text, NUMBER_NAMES):
        lower = text.lower()
        for said in NUMBER_WORDS.finditer(lower):
            unit = _AFTER_WORDS.match(lower, said.end())
            if unit:
                yield _measured(read_number(said[0]), unit)
    if holds_word(text, _ONE_WORDS):
        for match in _ONE.finditer(text):
            number = _SAID.get(match["said"].split()[0].lower(), Decimal(1))
            yield Measurement(number, quantity_of(number, match["unit"].lower()))


def windows_in(text: str) -> Iterator[Quantity]:
    """Yield how long the windows of ``text`` between two times of day last: "1-4 pm" three hours."""
    for match in _WINDOW.finditer(text) if holds_digit(text) else ():
        start, end = (int(hour) * _HOUR + int(minute or 0) * _MINUTE for hour, minute in _CLOCK.findall(match[0]))
        yield "time", Decimal((end - start) % _DIAL or _DIAL)


def without_quantities(text: str) -> str:
    """Return ``text`` without figures that carry a unit, so that only bare ones are left."""
    return _FIGURES.sub(_blanked, text) if holds_digit(text) else text


def _ends(match: re.Match[str]) -> list[Decimal]:
    """Return the numbers that carry the unit: one, or both ends of a range. In "5,000/60 mo" only the second does."""
    low, high = read_number(match["low"]), match["high"]
    if high is None:
        return [low]
    return [low, read_number(high)] if low <= read_number(high) else [read_number(high)]


def _blanked(match: re.Match[str]) -> str:
    kept = match["low"] if len(_ends(match)) == 1 and match["high"] else ""
    return kept + "|" * (len(match[0]) - len(kept))


def _measured(number: Decimal, match: re.Match[str]) -> Measurement:
    return Measurement(number, quantity_of(number, "business day" if match["business"] else match["unit"].lower()))


def _named(unit: str) -> Quantity:
    return _UNIT_OF.get(unit) or ("business day", Decimal(1))
