import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.statements.grounding.text import fold, form_occurs, sentences


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("$45", "$45.00"),
        ("$45", "45 dollars"),
        ("$1,250.50", "$1250.50"),
        ("Nov 3", "November 3rd"),
        ("Nov. 3", "3 November"),
        ("Nov 3 2026", "2026-11-03"),
        ("Nov 3 2026", "11/03/2026"),
        ("nov 3", "11/3"),
        ("two calls", "2 calls"),
        ("called twice", "called 2 times"),
        ("customer’s", "customers"),
    ],
)
def test_spellings_of_one_value_fold_to_the_same_text(left, right):
    assert fold(left) == fold(right)


@pytest.mark.parametrize(("left", "right"), [("$45", "$450"), ("$45", "$45.50"), ("Nov 3", "Nov 30"), ("11/3", "1/13")])
def test_different_values_stay_different(left, right):
    assert fold(left) != fold(right)


@pytest.mark.parametrize(
    ("text", "folded"),
    [("$894.10 Sept 9", "$894.10 sep 9"), ("$65 Sept 21", "$65 sep 21"), ("paid 65 Sept 21", "paid 65 sep 21")],
)
def test_money_before_a_month_is_not_read_as_its_day(text, folded):
    assert fold(text) == folded


def test_numbers_and_abbreviations_do_not_end_a_sentence():
    text = "Paid $45.50 on Nov. 3 at 5 p.m. to Dr. Ames. Still open."
    assert sentences(text)[-1] == "Still open."
    assert form_occurs("$45.50 + dr ames", text)


@pytest.mark.parametrize(
    ("form", "text", "occurs"),
    [
        ("$45 + late fee", "A $45.00 late fee is disputed.", True),
        ("$45 + late fee", "A $450 late fee is disputed.", False),
        ("$45 + late fee", "He owes $45. The late fee was reversed.", False),
        ("1.11", "It costs $1.11.", True),
        ("1.11", "It costs 1.11 EUR.", True),
        ("1,234.50", "It costs $1,234.50.", True),
        ("1.11", "It costs $11.11.", False),
        ("45", "It costs $45.", False),
        ("escalat*", "Escalation pending", True),
        ("escalat", "Escalation pending", False),
        ("refund + paid + !not", "The refund was paid.", True),
        ("refund + paid + !not", "The refund was not paid.", False),
    ],
)
def test_form_occurs(form, text, occurs):
    assert form_occurs(form, text) is occurs


@pytest.mark.parametrize("form", ["", "!not", "refund + *", "..."])
def test_a_form_without_words_is_refused(form):
    with pytest.raises(ValueError, match="no words"):
        form_occurs(form, "anything")


@given(st.text())
def test_folding_is_idempotent(text):
    once = fold(text)
    assert "  " not in once
    assert once == once.strip()
