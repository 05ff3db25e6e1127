"""End states and arguments are compared as a reader would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.dialogue.states import changes, equal, holds, same_changes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (25, 25.0, True),
        (25, "25.00", True),
        ("0042", "42", False),  # an account number
        ("0042", "0042", True),
        ("-5", "5", False),
        (["a", "b"], ["b", "a"], True),
        (["a", "a"], ["a", "b"], False),
        ("12 Oak Street", "12 oak street ", True),
        ("12 Oak Street", "12 Oak Lane", False),
        (True, 1, False),
        (None, "", False),
        ({"a": 1}, {"a": "1.0"}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("NaN", "NaN", True),
        ("12E4", "120000", False),  # an id, and no number that anybody writes
        ("1_000", 1000, False),
        ("12e4", "12E4", True),
        ("07700 900123", "07700900123", True),
        ("(07700) 900-123", "07700 900 123", True),
        ("+44 7700 900123", "+447700900123", True),
        ("07700 900123", "07700 900124", False),
        ("+07700 900123", "07700 900123", False),
        ("call 07700 900123", "call 07700900123", False),
        ("£5", "€5", False),
        ("$5.00", "£5.00", False),
        ("€5", "€5.00", True),
        ("£5", 5, True),  # a field for pounds
        (1e16, "10000000000000000", True),
        (".5", 0.5, True),
        (1e-7, "0.0000001", True),
        (True, True, True),
    ],
)
def test_values_are_equal_to_a_reader(one, other, same):
    assert equal(one, other) is same
    assert equal(other, one) is same


@given(JSON)
def test_nothing_changes_between_a_state_and_itself(state):
    assert changes({"all": state}, {"all": state}) == {}


def test_changes_are_named_by_path_and_free_text_can_be_left_out():
    before = {"parcels": {"A": {"address": "1 Oak Street", "log": ["read"]}}, "gone": 1}
    after = {"parcels": {"A": {"address": "2 Oak Street", "log": ["read", "read"]}, "B": {"address": "new"}}}
    found = changes(before, after, ignored=("log",))
    assert found == {"parcels.A.address": "2 Oak Street", "parcels.B.address": "new", "gone": None}
    assert same_changes({"parcels.A.address": "2 oak street", "parcels.B": {"address": "new"}, "gone": None}, found)
    assert not same_changes({"parcels.A.address": "2 Oak Street"}, found)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"bookings": {}}, {"bookings": {"b1": {"day": 3}}}, {"bookings.b1.day": 3}),
        ({"bookings": {"b1": {"day": 3}}}, {"bookings": {}}, {"bookings.b1.day": None}),
        ({"bookings": {"b1": {}}}, {"bookings": {}}, {"bookings.b1": None}),
        ({}, {"bookings": {}}, {"bookings": {}}),
        ({"note": "x"}, {"note": {"text": "x"}}, {"note": None, "note.text": "x"}),
        ({"bookings": {}}, {"bookings": [1]}, {"bookings": [1]}),
    ],
)
def test_the_first_and_the_last_entry_of_a_table_change_nothing_but_themselves(before, after, found):
    assert changes(before, after) == found
    assert same_changes(found, changes(before, after))


def test_a_call_holds_the_arguments_that_are_expected_of_it():
    assert holds({"amount": "20.0", "to": "12"}, {"amount": 20})
    assert not holds({"to": "12"}, {"amount": 20})
