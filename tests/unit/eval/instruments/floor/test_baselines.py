"""The digests that anybody could make."""

from datetime import UTC, datetime

import pytest

from eval.instruments.floor.measure import RANDOM_DRAWS, baseline_texts
from service.core.unit.interaction import Interaction

TEXTS = ("One two three. Four five.", "Six seven. Eight nine ten eleven.")
HISTORY = [
    Interaction(
        interaction_id=str(day), channel="agent", timestamp=datetime(2026, 11, day, tzinfo=UTC), intent="Fee", text=text
    )
    for day, text in enumerate(TEXTS, start=1)
]


def test_lead_and_last_are_raw_words():
    texts = baseline_texts(HISTORY, 4, "a")
    assert texts["lead"] == ("One two three. Four",)
    assert texts["last"] == ("Eight nine ten eleven.",)


def test_random_statements_keep_the_order_and_the_length():
    for text in baseline_texts(HISTORY, 6, "a")["random"]:
        words = text.split()
        assert len(words) == 6
        original = " ".join(TEXTS).split()
        assert [original.index(word) for word in words] == sorted(original.index(word) for word in words)


def test_the_seed_decides_the_draws():
    first, again, other = (baseline_texts(HISTORY, 6, seed)["random"] for seed in ("a", "a", "b"))
    assert first == again != other
    assert len(set(first)) > 1
    assert len(first) == RANDOM_DRAWS


@pytest.mark.parametrize("words", [0, 100])
def test_a_history_with_fewer_words_is_given_whole(words):
    texts = baseline_texts(HISTORY, words, "a")
    whole = " ".join(TEXTS) if words else ""
    assert {text for found in texts.values() for text in found} == {whole}
