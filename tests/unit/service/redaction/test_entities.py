"""What is found in a text goes, whole words in brackets stay whole, and a find that does not fit is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.redaction.entities import Find, without


def find(start, end, kind="name"):
    return Find(start=start, end=end, kind=kind)


def test_finds_become_their_kinds_and_neighbours_of_one_kind_are_one():
    text = "I am Delphine Marchetti, 12 Elm Road, Leeds."
    assert without(text, [find(5, 13), find(14, 23), find(25, 36, "address")]) == "I am [name], [address], Leeds."
    assert without(text, [find(25, 36, "address"), find(38, 43, "address")]).endswith(", [address].")
    assert without(text, []) == text


def test_of_overlapping_finds_everything_goes():
    assert (
        without("call 0113 496 0000 now", [find(5, 14, "number"), find(10, 18, "number")])
        == "call [number] [number] now"
    )
    assert without("Ann Lee Smith", [find(0, 13), find(4, 7, "address")]) == "[name]"


@pytest.mark.parametrize(
    ("text", "place", "kept"),
    [
        ("it is [name] Marchetti", (6, 22), "it is [name]"),
        ("it is [name] here", (7, 11), "it is [name] here"),
        ("it is [BANK_ACCOUNT_NUMBER] here", (6, 27), "it is [BANK_ACCOUNT_NUMBER] here"),
        ("Ann [PII] Lee", (0, 13), "[name] [PII] [name]"),
        ("a , b", (1, 4), "a , b"),
    ],
)
def test_what_stands_in_brackets_stays_whole(text, place, kept):
    assert without(text, [find(*place)]) == kept


@pytest.mark.parametrize("place", [(-1, 2), (2, 2), (3, 2), (0, 4)])
def test_a_find_outside_the_text_is_refused(place):
    with pytest.raises(ValueError, match="3 characters"):
        without("abc", [find(*place)])


@given(st.text(alphabet="ab1 ,", max_size=30), st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), max_size=5))
def test_nothing_that_was_found_is_left_and_nothing_else_goes(text, places):
    finds = [find(a, b, "secret") for a, b in places if a < b <= len(text)]
    gone = {place for one in finds for place in range(one.start, one.end)}
    left = "".join(letter for place, letter in enumerate(text) if place not in gone and letter.isalnum())
    assert "".join(filter(str.isalnum, without(text, finds).replace("[secret]", ""))) == left
