"""Finds the place that a customer names: a city in any spelling, a neighbourhood, or a postcode."""

import difflib
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from service.core.tasks.assistant.knowledge import BankKnowledge, Point

_POSTCODE = re.compile(r"\b([a-z]{1,2})(\d{1,2})[a-z]?(?:\s*\d[a-z]{2})?\b")
# As people say and type them: "sw nine", "S.W. 9", "m twenty".
_SPOKEN_POSTCODE = re.compile(r"\b([a-z]) ?([a-z])? (\d{1,2})\b")
_ONES = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"
_NUMBERS = {word: number for number, word in enumerate(f"{_ONES} nineteen".split(), start=1)}
_TENS = {
    word: 10 * number for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_APOSTROPHES = re.compile(r"['’]")
_NO_WORD = re.compile(r"[^a-z0-9]+")
# Shorter names are too much like other words: "popular" is not Poplar, nor "eating" Ealing.
_LEAST_CITY_CHARS, _LEAST_DISTRICT_CHARS = 6, 8
_ALIKE = 0.82  # "birmigham", "mancester" and "lundon" pass, "lincoln" does not
_EARTH_MILES = 3958.8


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A place by the name that it is called, in a city with branches, at a latitude and longitude."""

    name: str
    city: str
    at: Point


def found_places(text: str, knowledge: BankKnowledge) -> list[FoundPlace]:
    """Return the places that ``text`` names: none, one, or one for each of several cities."""
    words = _without_elsewhere(_plain(text), knowledge)
    found = list(_by_postcode(words, knowledge)) or list(_by_name(words, knowledge))
    found = found or list(_by_postcode(_SPOKEN_POSTCODE.sub(_written, _with_digits(words)), knowledge))
    cities = {place.city for place in found if place.name == place.city}
    # "Piccadilly, London": the city settles which one is meant, also where only the other one is known.
    if len(cities) == 1:
        found = [place for place in found if place.city in cities]
    return _one_per_city(found or list(_by_likeness(words, knowledge)))


def miles_between(one: Point, other: Point) -> float:
    """Return the great-circle distance in miles (haversine)."""
    (lat1, lon1), (lat2, lon2) = (map(math.radians, point) for point in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_MILES * math.asin(math.sqrt(half))


def _by_postcode(words: str, knowledge: BankKnowledge) -> Iterator[FoundPlace]:
    for found in _POSTCODE.finditer(words):
        area = found[1].upper()
        code = area + found[2]
        for name, city in knowledge.cities.items():
            if area in city.postcode_areas:
                district = city.districts.get(code)
                yield FoundPlace(f"{code}, {name}", name, city.at if district is None else district.at)


def _with_digits(words: str) -> str:
    """Return ``words`` with the numbers from one to ninety-nine as digits."""
    found: list[str] = []
    for word in words.split():
        number, after_tens = (
            _NUMBERS.get(word),
            bool(found) and found[-1].isdigit() and int(found[-1]) in _TENS.values(),
        )
        if number is not None and number < 10 and after_tens:
            found[-1] = str(int(found[-1]) + number)
        else:
            found.append(str(number or _TENS.get(word) or word))
    return " ".join(found)


def _written(postcode: re.Match[str]) -> str:
    return "".join(postcode.groups(""))


def _by_name(words: str, knowledge: BankKnowledge) -> Iterator[FoundPlace]:
    """Places whose whole name occurs; neighbourhoods first, which say more than their city."""
    padded = f" {words} "
    names = sorted(_names(knowledge), key=lambda item: (item[1].at == knowledge.cities[item[1].city].at, -len(item[0])))
    return (place for name, place in names if f" {name} " in padded)


def _by_likeness(words: str, knowledge: BankKnowledge) -> Iterator[FoundPlace]:
    known: dict[str, list[FoundPlace]] = defaultdict(list)
    for name, place in _names(knowledge):
        if len(name) >= (_LEAST_CITY_CHARS if place.name == place.city else _LEAST_DISTRICT_CHARS):
            known[name].append(place)
    for word in words.split():
        if len(word) >= _LEAST_CITY_CHARS:
            for name in difflib.get_close_matches(word, known, n=1, cutoff=_ALIKE):
                yield from known[name]


def _names(knowledge: BankKnowledge) -> Iterator[tuple[str, FoundPlace]]:
    for name, city in knowledge.cities.items():
        centre = FoundPlace(name, name, city.at)
        for spelling in (name, *city.spellings):
            yield _plain(spelling), centre
        for district in city.districts.values():
            for each in district.names:
                yield _plain(each), FoundPlace(f"{each.title()}, {name}", name, district.at)


def _one_per_city(places: list[FoundPlace]) -> list[FoundPlace]:
    first: dict[str, FoundPlace] = {}
    for place in places:
        first.setdefault(place.city, place)
    return list(first.values())


def _without_elsewhere(words: str, knowledge: BankKnowledge) -> str:
    padded = f" {words} "
    for name in knowledge.elsewhere:
        padded = padded.replace(f" {_plain(name)} ", " ")
    return padded.strip()


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NO_WORD.sub(" ", _APOSTROPHES.sub("", folded)).strip()
