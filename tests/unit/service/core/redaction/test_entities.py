"""Detected spans are replaced, tags in the text stay whole, and a span outside the text is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.redaction.entities import EntitySpan, redact_entities


def find(start, end, kind="name"):
    return EntitySpan(start=start, end=end, kind=kind)


def test_spans_become_tags_and_neighbours_of_one_kind_become_one_tag():
    text = "I am Delphine Marchetti, 12 Elm Road, Leeds."
    assert (
        redact_entities(text, [find(5, 13), find(14, 23), find(25, 36, "address")]) == "I am [name], [address], Leeds."
    )
    assert redact_entities(text, [find(25, 36, "address"), find(38, 43, "address")]).endswith(", [address].")
    assert redact_entities(text, []) == text


def test_overlapping_spans_are_replaced_as_a_whole():
    assert (
        redact_entities("call 0113 496 0000 now", [find(5, 14, "number"), find(10, 18, "number")])
        == "call [number] [number] now"
    )
    assert redact_entities("Ann Lee Smith", [find(0, 13), find(4, 7, "address")]) == "[name]"


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
def test_tags_in_the_text_stay_whole(text, place, kept):
    assert redact_entities(text, [find(*place)]) == kept


@pytest.mark.parametrize("place", [(-1, 2), (2, 2), (3, 2), (0, 4)])
def test_a_span_outside_the_text_is_refused(place):
    with pytest.raises(ValueError, match="3 characters"):
        redact_entities("abc", [find(*place)])


@given(st.text(alphabet="ab1 ,", max_size=30), st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), max_size=5))
def test_exactly_the_spans_are_removed(text, places):
    finds = [find(a, b, "secret") for a, b in places if a < b <= len(text)]
    gone = {place for one in finds for place in range(one.start, one.end)}
    left = "".join(letter for place, letter in enumerate(text) if place not in gone and letter.isalnum())
    assert "".join(filter(str.isalnum, redact_entities(text, finds).replace("[secret]", ""))) == left
