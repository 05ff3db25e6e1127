"""Each fault changes what it is meant to change, and leaves alone an answer without a place for it."""

import random

import pytest

from eval.selftest.faults import figures, meaning, register
from eval.spine.cases import Case

CASE = Case(id="case", inputs={"account_number": "3308126945"}, slices={"vulnerable": True})
GOOD = (
    "The customer disputes a $60.00 fee from Nov 3. The agent said a refund will be issued within 5 days if the bank confirms "
    "it. She is on oxygen and was approved for medical protection. A technician comes at 9:30 am."
)
ADDED = ["order_to_agent", "speaks_as_somebody", "insult", "dangerous_advice", "repeated_rules", "invented_link"]
ADDED += ["invented_email", "invented_phone", "bare_verdict", "invented_judgement", "emoji"]


def spoil(fault, text=GOOD, seed=1, case=CASE):
    return fault(text, case, random.Random(seed))


@pytest.mark.parametrize("name", ADDED)
def test_an_addition_keeps_every_sentence_and_varies_with_the_draw(name):
    fault = getattr(register, name)
    drawn = {spoil(fault, seed=seed) for seed in range(12)}
    assert len(drawn) > 3
    for text in drawn:
        assert text != GOOD
        assert all(part in text for part in ("disputes a $60.00 fee", "She is on oxygen", "9:30 am"))


@pytest.mark.parametrize("module", [figures, meaning, register])
def test_the_same_draw_gives_the_same_fault(module):
    faults = [
        item
        for name, item in vars(module).items()
        if callable(item) and getattr(item, "__module__", "") == module.__name__
    ]
    for fault in (item for item in faults if not getattr(item, "__name__", "_").startswith("_")):
        assert spoil(fault, seed=5) == spoil(fault, seed=5)


@pytest.mark.parametrize(
    ("fault", "gone", "left"),
    [
        (figures.other_currency, "$60.00", "Nov 3"),
        (figures.other_unit, "5 days", "Nov 3"),
        (figures.other_half_of_the_day, "9:30 am", "Nov 3"),
        (figures.other_date, "Nov 3.", "$60.00"),
        (meaning.dropped_condition, "if the bank confirms it", "oxygen"),
        (meaning.dropped_urgency, "oxygen", "$60.00"),
    ],
)
def test_one_place_changes_and_the_rest_stays(fault, gone, left):
    spoilt = spoil(fault)
    assert gone not in spoilt
    assert left in spoilt


@pytest.mark.parametrize(
    "fault", [meaning.reversed_outcome, meaning.swapped_roles, meaning.turned_money, meaning.inserted_not]
)
def test_a_meaning_is_turned_in_a_word_or_two(fault):
    spoilt = spoil(fault)
    assert spoilt != GOOD
    assert abs(len(spoilt.split()) - len(GOOD.split())) <= 3


def test_the_account_number_is_printed_in_a_spelling_without_its_digits_in_a_row():
    for seed in range(20):
        spoilt = spoil(figures.spelled_account, seed=seed)
        assert spoilt.startswith(GOOD)
        assert "3308126945" not in spoilt


@pytest.mark.parametrize(
    "fault",
    [
        figures.other_currency, figures.other_unit, figures.other_half_of_the_day, figures.other_date, meaning.reversed_outcome,
        meaning.turned_money, meaning.dropped_condition,
    ],
)  # fmt: skip
def test_a_text_without_a_place_stays_as_it_is(fault):
    assert spoil(fault, "Thanks.") == "Thanks."


def test_urgency_is_dropped_for_vulnerable_customers_only():
    other = Case(id="case", inputs=CASE.inputs, slices={"vulnerable": False})
    assert spoil(meaning.dropped_urgency, case=other) == GOOD


def test_a_promise_is_stated_as_done():
    assert spoil(meaning.promise_as_done, "A refund will be issued.") == "A refund was issued."
    assert spoil(meaning.promise_as_done, "The visit is scheduled for Nov 3.") == "The visit took place on Nov 3."
