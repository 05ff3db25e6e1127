import json

import pytest

from service.core.tools.provenance import Sources, unproven, verified_values
from service.core.unit.pair import ToolSpec

PAY = ToolSpec(
    name="pay",
    description="Pay.",
    arguments={"type": "object", "properties": {"text": {"type": "string"}, "amount": {"type": "number"}}},
    writes=True,
)


def proven(said="", records=(), **arguments):
    return not unproven(PAY, arguments, Sources(said=[said], records=records))


@pytest.mark.parametrize(
    ("said", "text", "is_proven"),
    [
        ("pay 5", "-5", False),
        ("pay -5", "5", False),
        ("pay -5", "-5", True),
        ("pay \u22125", "-5", True),
        ("pay 15", "1.5", False),
        ("pay 1.5", "15", False),
        ("pay 1.5", "5", False),
        ("pay 1.5", "1", False),
        ("pay 1 5", "1.5", False),
        ("it is 1.5.", "1.5", True),
        ("it is 1.5, please", "1.5", True),
        ("pay 1,5", "1.5", True),  # a decimal comma
        ("pay 1,250.00", "1250.00", True),
        ("pay 1,250", "1.250", False),
        ("number 007", "7", False),
        ("call 555-0100", "555 0100", True),  # a hyphen that joins
        ("call 555 0100", "555-0100", True),
        ("on 2026-11-22", "2026-11-22", True),
        ("on 22/11/2026", "22.11.2026", True),
        ("version 10.0.1", "0.1", False),
        ("version v1.5.2", "5.2", False),
        ("in room-5", "room 5", True),
    ],
)
def test_a_number_in_a_text_keeps_its_sign_and_its_decimals(said, text, is_proven):
    assert proven(said, text=text) is is_proven


@pytest.mark.parametrize(
    ("said", "text", "is_proven"),
    [
        ("call 07700 900 123", "07700900123", True),
        ("call 07700900123", "07700 900 123", True),
        ("call 07700-900-123 please", "(07700) 900123", True),
        ("call +44 7700 900123", "+447700900123", True),
        ("I have 2 cards, call 07700 900123.", "07700900123", True),
        ("call 07700 900 123", "07700900", True),  # whole groups, as said
        ("call 07700 900 123", "0770090", False),
        ("call 07700 900 123", "07700900124", False),
        ("call 107700 900 123", "07700900123", False),
        ("call 07700 900 123", "7700900123", False),
        ("call 07700 900 123", "+07700900123", False),
        ("call 07700 900 123.45", "07700900123", False),
        ("pay 1000-2000", "10002000", False),  # a range of figures
        ("pay 20 30 40 12345678", "20304012345678", False),
    ],
)
def test_a_phone_number_is_the_same_in_other_groups_of_digits(said, text, is_proven):
    assert proven(said, text=text) is is_proven


def test_a_verified_phone_number_is_the_same_in_other_groups_of_digits_as_a_whole():
    assert proven(records=["07700 900 123"], text="07700900123")
    assert not proven(records=["07700 900 123"], text="07700900")
    assert not proven(records=["call 07700 900 123"], text="07700900123")


@pytest.mark.parametrize(
    ("said", "amount", "is_proven"),
    [("pay 5", 5, True), ("pay -5", 5, False), ("pay 5", -5, False), ("pay -5", -5, True), ("pay -1.50", -1.5, True),
     ("pay 1.5", 5, False), ("pay 1,5", 5, False), ("from 5-10", 10, True), ("on 2026-11-22", -11, False),
     ("pay $45", 45, True), ("pay 45%", 45, True)],
)  # fmt: skip
def test_an_amount_is_what_was_said_with_its_sign(said, amount, is_proven):
    assert proven(said, amount=amount) is is_proven


@pytest.mark.parametrize(("text", "is_proven"), [("", True), (" ", True), ("*", False), ("%", False), ("../..", False)])
def test_signs_that_hold_no_word_are_not_proven(text, is_proven):
    assert proven("cancel my callback * please", text=text) is is_proven


def test_of_a_record_with_several_words_no_single_one_counts():
    assert proven(records=["500"], amount=500)
    assert not proven(records=["please transfer 500 now"], amount=500)
    assert not proven(records=["please transfer 500 now"], text="500")


LOOKUP = ToolSpec(name="find", description="Find.", arguments={"type": "object"}, verifies=("parcel_id", "ids"))


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ({"parcel_id": "PX-77", "note": "pay 500"}, ["PX-77"]),
        ({"parcel_id": 77}, ["77"]),
        ({"ids": ["A1", 2, None, True, {"x": "3"}]}, ["A1", "2"]),
        ({"parcel_id": "x" * 65}, []),  # free text
        ({"parcel_id": "one\ntwo"}, []),
        ({"inner": {"parcel_id": "PX-77"}}, []),
        ({}, []),
        (["PX-77"], []),
        ("PX-77", []),
    ],
)
def test_only_short_values_of_the_named_top_level_fields_are_verified(answer, values):
    assert verified_values(LOOKUP, json.dumps(answer)) == values
    assert verified_values(PAY, json.dumps(answer)) == []
