"""Passages are cut where a text is structured, hold all of it, never exceed the bound, and keep their ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.knowledge.documents import Document
from service.core.knowledge.passages import Splitter, split

GUIDE = """# Cards

What to know about cards.

## Lost cards

### At home

Freeze the card in the app. Then order another one.

### Abroad

Call the number on the back of this leaflet, at any hour of the day, and have your passport at hand when you do so.

## Limits

```
# this is no heading
```

The limit is 500 a day.
"""
PIECES = st.sampled_from(
    ["# A\n", "## B b\n", "text ", "\n", "\n\n", "```\n", "One. Two! ", "wörter" * 9, "漢字。", "\t"]
)


def document(text, id_="guide"):
    return Document(id=id_, version="1", title="Guide", text=text)


def passages(text, most=100):
    return split(document(text), Splitter(most_characters=most))


def test_a_short_document_is_one_passage():
    (only,) = passages("  A short text.\n", 100)
    assert (only.text, only.headings, only.start, only.end) == ("A short text.", (), 2, 15)


def test_sections_come_apart_at_their_headings_which_stand_above_the_passages():
    found = passages(GUIDE)
    assert [(one.headings, one.text.split("\n")[0]) for one in found] == [
        ((), "# Cards"),
        (("Cards",), "## Lost cards"),
        (("Cards", "Lost cards"), "### Abroad"),
        (("Cards", "Lost cards", "Abroad"), "passport at hand when you do so."),
        (("Cards",), "## Limits"),
    ]


def test_a_comment_in_a_block_of_code_is_no_heading():
    assert all("this is no heading" not in one.headings for one in passages(GUIDE, 100))


@pytest.mark.parametrize(
    "text", ["x" * 1_000, "word " * 300, "漢" * 999, "Ein Satz. " * 90, "\n".join("line" * 9 for _ in "x" * 50)]
)
def test_a_text_without_structure_is_cut_anyway(text):
    found = passages(text)
    assert len(found) > 5
    assert max(len(one.text) for one in found) <= 100


def test_a_change_elsewhere_leaves_a_passages_id():
    before = {one.id for one in passages(GUIDE)}
    after = {one.id for one in passages(GUIDE.replace("500 a day", "800 a day"))}
    assert len(before & after) == len(before) - 1
    assert all(one.startswith("guide#") for one in before)


def test_a_text_that_stands_twice_has_two_ids():
    first, second = passages(f"{'same words ' * 9}\n\n{'same words ' * 9}")
    assert second.id == f"{first.id}-2"


@given(st.lists(PIECES, min_size=1, max_size=80).map("".join), st.integers(min_value=100, max_value=200))
def test_passages_hold_the_whole_text_in_order_within_the_bound(text, most):
    if not text.strip():
        return
    found = passages(text, most)
    assert len({one.id for one in found}) == len(found)
    place = 0
    for one in found:
        assert 0 < len(one.text) <= most
        assert text[one.start : one.end] == one.text
        assert text[place : one.start].strip() == ""
        place = one.end
    assert text[place:].strip() == ""


@pytest.mark.parametrize("piece", ["# a\n", "# ", "```\n", " \n", "a ", ".'", "~~~\n# a\n"])
def test_a_megabyte_of_anything_is_split(piece):
    """Work that grows with the square of the length would take minutes here."""
    text = piece * (1_000_000 // len(piece) - 1) + "x"
    assert sum(len(one.text) for one in passages(text, 1_000)) <= len(text)
