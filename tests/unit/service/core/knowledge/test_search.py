"""Two rankings become one by reciprocal ranks, and a query is bounded before anything reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.knowledge.search import MOST_QUERY_CHARACTERS, fuse, readable_query

RANKING = st.lists(st.integers(0, 30), unique=True)


def test_reciprocal_ranks_by_hand():
    found = fuse([7, 8, 9], [9, 7], constant=60)
    assert [(one.key, one.word_rank, one.meaning_rank) for one in found] == [(7, 1, 2), (9, 3, 1), (8, 2, None)]
    assert [one.score for one in found] == pytest.approx([1 / 61 + 1 / 62, 1 / 63 + 1 / 61, 1 / 62])


def test_equal_scores_stand_in_the_order_of_their_keys():
    assert [one.key for one in fuse([5], [3])] == [3, 5]


@given(RANKING, RANKING)
def test_each_key_appears_once_and_scores_fall(words, meaning):
    found = fuse(words, meaning)
    assert sorted(one.key for one in found) == sorted({*words, *meaning})
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert {one.key: one for one in fuse(meaning, words)}.keys() == {one.key for one in found}


@given(st.text())
def test_a_query_becomes_one_bounded_line(text):
    read = readable_query(text * 50)
    assert len(read) <= MOST_QUERY_CHARACTERS
    assert read.isprintable()
    read.encode()


def test_half_characters_and_control_characters_are_no_query():
    assert readable_query("lost\ud800 \x1b[31mcard\x00\n") == "lost? [31mcard"
