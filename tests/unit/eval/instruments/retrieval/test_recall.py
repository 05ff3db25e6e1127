"""Recall by hand, its ceiling, and intervals over sources rather than questions."""

import numpy as np
import pytest

from eval.instruments.retrieval.measure import ceiling, first_places, gain_of, rate_of, recall_at, recalls
from eval.instruments.retrieval.questions import LabelledQuestion


def asked(source, text, *documents):
    return LabelledQuestion(source=source, text=text, documents=frozenset(documents))


@pytest.mark.parametrize(("cut", "expected"), [(1, 0.0), (2, 0.5), (3, 0.5), (5, 1.0), (10, 1.0)])
def test_recall_counts_needed_documents_among_the_first(cut, expected):
    assert recall_at(cut, ["x", "a", "y", "z", "b"], frozenset({"a", "b"})) == expected


def test_no_ranking_passes_the_ceiling():
    questions = [asked("s", "q", "a"), asked("t", "r", *"abcdefghij")]
    assert ceiling(5, questions) == pytest.approx((1 + 0.5) / 2)
    assert ceiling(10, questions) == 1.0


def test_questions_of_one_source_are_one_observation():
    questions = [asked("s", "hit", "a"), asked("s", "miss", "a"), asked("t", "hit", "a")]
    found = recalls(questions, lambda text: ["a"] if text == "hit" else ["b"])
    assert found[5].tolist() == [0.5, 1.0]


def test_a_document_stands_where_its_first_passage_does():
    assert first_places(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]


def test_intervals_hold_the_mean_and_stay_within_what_a_recall_can_be():
    values = np.array([1.0] * 20 + [0.5])
    found = rate_of(values, seed=1)
    assert found.n == 21
    assert 0.8 < found.low < found.value < found.high <= 1.0
    perfect = rate_of(np.ones(61), seed=1)
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert perfect.low < 0.95


def test_a_gain_is_paired():
    difficulty = np.linspace(0, 0.8, 30)
    better = difficulty + np.resize([0.08, 0.12], 30)
    found = gain_of(better, difficulty, seed=1)
    assert found.value == pytest.approx(0.1)
    assert found.low > 0.08
    assert rate_of(better, seed=1).low < rate_of(difficulty, seed=1).high  # unpaired, the difference would drown
