"""Faults of figures: another currency, unit, half of the day or date, and account numbers in unusual spellings."""

import random
import re

from eval.spine.cases import Case
from service.core.statements.grounding.text import MONTHS

_DOLLARS = re.compile(r"\$\s?(\d[\d,]*(?:\.\d\d)?)")
_CURRENCIES = ("€{0}", "£{0}", "CAD {0}", "{0} euros", "{0} pesos")
_UNITS = (
    (re.compile(r"\bdays?\b"), "weeks"),
    (re.compile(r"\bday\b"), "week"),
    (re.compile(r"\bweeks\b"), "months"),
    (re.compile(r"\bweek\b"), "month"),
    (re.compile(r"\bmonths\b"), "years"),
    (re.compile(r"\bhours\b"), "days"),
    (re.compile(r"\bhour\b"), "day"),
    (re.compile(r"\bminutes\b"), "hours"),
    (re.compile(r"\bkWh\b"), "MWh"),
    (re.compile(r"\bkW\b"), "W"),
    (re.compile(r"\btherms\b"), "gallons"),
    (re.compile(r"(?<=\d)%"), " dollars"),
    (re.compile(r"\bpercent\b"), "dollars"),
)
_NUMBER = r"(?:\d[\d,.]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fourteen|thirty)"
_HALF_DAY = re.compile(r"(?<=\d)(\s?)([ap])(\.?m\b\.?)", re.I)
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b(?!\s?[ap]\.?m)", re.I)
_DATE = re.compile(r"\b(Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)([a-z]*\.?) (\d{1,2})\b")
_DIGITS = "zero one two three four five six seven eight nine".split()


def other_currency(text: str, case: Case, draws: random.Random) -> str:
    """State one amount in another currency."""
    found = list(_DOLLARS.finditer(text))
    if not found:
        return text
    match = draws.choice(found)
    return text[: match.start()] + draws.choice(_CURRENCIES).format(match[1]) + text[match.end() :]


def other_unit(text: str, case: Case, draws: random.Random) -> str:
    """Give one number another unit."""
    places = []
    for pattern, instead in _UNITS:
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 30) : match.start()]
            if re.search(rf"{_NUMBER}(?:[\s-]|(?:business|calendar|working|full)\s)*\Z", before, re.I):
                places.append((match.span(), instead))
    if not places:
        return text
    (start, end), instead = draws.choice(places)
    return text[:start] + instead + text[end:]


def other_half_of_the_day(text: str, case: Case, draws: random.Random) -> str:
    """Move one clock time by twelve hours."""
    found = list(_HALF_DAY.finditer(text))
    if found:
        match = draws.choice(found)
        half = {"a": "p", "p": "a", "A": "P", "P": "A"}[match[2]]
        return text[: match.start()] + match[1] + half + match[3] + text[match.end() :]
    clocks = list(_CLOCK.finditer(text))
    if not clocks:
        return text
    match = draws.choice(clocks)
    return text[: match.start()] + f"{(int(match[1]) + 12) % 24}:{match[2]}" + text[match.end() :]


def other_date(text: str, case: Case, draws: random.Random) -> str:
    """Move one date by some weeks: another month, or another day of the same one."""
    found = list(_DATE.finditer(text))
    if not found:
        return text
    match = draws.choice(found)
    if draws.random() < 0.5:
        month = MONTHS[(MONTHS.index(match[1][:3].lower()) + draws.choice((1, 2, 11))) % 12].capitalize()
        instead = f"{month} {match[3]}"
    else:
        day = (int(match[3]) + draws.choice((3, 7, 9, 12)) - 1) % 28 + 1
        instead = f"{match[1]}{match[2]} {day}"
    return text[: match.start()] + instead + text[match.end() :]


def spelled_account(text: str, case: Case, draws: random.Random) -> str:
    """Print the account's number in full, in a spelling that a search for its digits does not find."""
    number = str(case.inputs["account_number"])
    groups = re.findall(r".{1,3}", number)
    written = draws.choice(
        (
            " ".join(_DIGITS[int(d)] if d.isdigit() else d for d in number),
            ".".join(groups),
            ",".join(groups),
            "/".join(groups),
            "_".join(groups),
            " - ".join(number),
            number.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
            f"{number[:5]} (first half) and {number[5:]} (second half)",
            number.replace("0", "O").replace("1", "l"),
        )
    )
    return f"{text} Account {written}."
