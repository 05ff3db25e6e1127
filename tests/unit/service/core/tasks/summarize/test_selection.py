"""What is chosen: by value, length, repetition and room."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.tasks.summarize.digest import read_history
from service.core.tasks.summarize.features import content_words
from service.core.tasks.summarize.selection import Weights, choose
from service.core.unit.interaction import Interaction

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def candidates(*texts):
    history = [
        Interaction(
            interaction_id=f"i{number}",
            channel="agent",
            timestamp=NOW + timedelta(days=number),
            intent="Fee",
            text=text,
        )
        for number, text in enumerate(texts)
    ]
    return read_history(history).candidates


def chosen(found, words=100, *, repetition=0.0, length_power=0.0, **features):
    weights = Weights(features=features, length_power=length_power, repetition=repetition)
    return [statement.source for statement in choose(found, words, weights, frozenset())]


FEE, CREW = "The $45 fee is open.", "A crew repaired the meter."


def test_a_value_is_the_sum_of_the_weights_of_the_features():
    (fee,) = candidates(FEE)
    weights = Weights(
        features={"money": 2.0, "open": 0.5, "safety": 9.0, "words": 1.0}, length_power=0.5, repetition=0.5
    )
    assert weights.value_of(fee) == pytest.approx(2.0 + 0.5 + 5 / 10)


def test_the_more_valuable_statement_comes_first_and_one_of_no_value_never():
    assert chosen(candidates(CREW, FEE), money=1.0, settled=0.5) == [FEE, CREW]
    assert chosen(candidates(CREW, FEE), money=1.0, settled=-0.5) == [FEE]


def test_day_channel_and_words_must_fit():
    assert chosen(candidates(FEE), words=8, money=1.0) == [FEE]
    assert chosen(candidates(FEE), words=7, money=1.0) == []


def test_the_length_counts_by_its_power():
    long = "The $45 fee that was added to the bill of last month for the late payment is open."
    assert chosen(candidates(long, FEE), open=1.0, words=100)[0] == FEE
    assert chosen(candidates(long, FEE), words=100, money=0.1, one=0.0, content=1.0)[0] == long
    assert chosen(candidates(long, FEE), money=0.1, content=1.0, length_power=2.0)[0] == FEE


def test_what_was_said_counts_less():
    again, other = "The $45 fee is open since the move.", "A crew repaired the meter for nothing on 11/24."
    features = {"money": 1.0, "day": 0.9}
    assert chosen(candidates(FEE, again, other), **features)[:2] == [again, FEE]
    assert chosen(candidates(FEE, again, other), repetition=1.0, **features)[:2] == [again, other]


def test_a_statement_with_the_same_words_is_not_chosen_twice():
    assert chosen(candidates("The $45 fee is open today.", "today the $45.00 fee is open"), money=1.0) == [
        "today the $45.00 fee is open"
    ]


def test_content_words_are_figures_and_words_of_three_letters():
    assert content_words("The $45.00 fee of 11/24, REQ-7 is at $1,204.50") == {
        "45",
        "fee",
        "11/24",
        "req",
        "7",
        "1,204.50",
    }
