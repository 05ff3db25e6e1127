import pytest

from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.places import found_places, miles_between

KNOWLEDGE = bank_knowledge()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("London", "London"),
        ("in CENTRAL  london, please", "London"),
        ("Brum", "Birmingham"),
        ("B'ham", "Birmingham"),
        ("manchester city centre", "Manchester"),
        ("lundon", "London"),
        ("near Mancester somewhere", "Manchester"),
        ("birmigham", "Birmingham"),
        ("Didsbury", "Didsbury, Manchester"),
        ("Didsbury, Manchester", "Didsbury, Manchester"),
        ("hamersmith", "Hammersmith, London"),
        ("the bullring", "Bullring, Birmingham"),
        ("M20 2DW", "M20, Manchester"),
        ("my postcode is sw9 6ap", "SW9, London"),
        ("EC1A 1BB", "EC1, London"),
        ("SE22", "SE22, London"),  # a district that the file does not list
        ("SW 9", "SW9, London"),
        ("it's s. w. nine", "SW9, London"),
        ("m twenty", "M20, Manchester"),
        ("B ninety one", "B91, Birmingham"),
        ("e fourteen five qt", "E14, London"),
        ("Piccadilly, London", "Piccadilly, London"),
        ("Manchester Piccadilly", "Piccadilly, Manchester"),
        ("Deansgate, London", "London"),  # only Manchester's Deansgate is in the file
        ("Stratford", "Stratford, London"),
        ("Stratford, not Stratford-upon-Avon", "Stratford, London"),
        ("Victoria in Manchester", "Manchester"),
    ],
)
def test_a_place_is_found_in_any_spelling(text, place):
    (found,) = found_places(text, KNOWLEDGE)
    assert found.name == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Leeds",
        "BS1 4DJ",
        "Brighton",
        "Winchester",
        "Lincoln",
        "popular eating places that brought us here",
        "Stratford-upon-Avon",
        "Warrington",
        "Darlington",
        "E",
        "i have two",
        "in a 5 minute walk",
        "ninety",
        "???",
        "N",
        "x" * 4000,
    ],
)
def test_other_places_are_not_found(text):
    assert found_places(text, KNOWLEDGE) == []


@pytest.mark.parametrize(
    ("text", "cities"),
    [
        ("London or Birmingham", {"London", "Birmingham"}),
        ("Piccadilly", {"London", "Manchester"}),
        ("picadilly", {"London", "Manchester"}),
    ],
)
def test_places_in_two_cities_are_both_found(text, cities):
    assert {place.city for place in found_places(text, KNOWLEDGE)} == cities


def test_an_unlisted_district_is_measured_from_the_centre():
    (found,) = found_places("SE22", KNOWLEDGE)
    assert found.at == KNOWLEDGE.cities["London"].at


def test_distances_are_great_circles():
    # London to Manchester, as the crow flies: 163 miles.
    cities = KNOWLEDGE.cities
    assert miles_between(cities["London"].at, cities["Manchester"].at) == pytest.approx(163, abs=1)
    assert miles_between(cities["London"].at, cities["London"].at) == 0
