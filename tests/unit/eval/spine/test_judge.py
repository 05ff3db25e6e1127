"""Reading a judge's answer: the last grade counts, off the menu is unscored, several grades become one score."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.spine.judge_spec import Grade, answer_form, combine, preference, read_grade

MENU = ("1", "2", "3", "4")


def form(grade, **more):
    return json.dumps({"evidence": ["quote"], "reasons": "because", "grade": grade} | more)


@pytest.mark.parametrize(("grade", "value"), [("1", 0.0), ("2", 1 / 3), ("4", 1.0), (4, 1.0), (" 4 ", 1.0)])
def test_a_grade_is_its_place_in_the_menu(grade, value):
    read = read_grade(form(grade), MENU, answered_by="m")
    assert read.value == pytest.approx(value)
    assert (read.reasons, read.evidence, read.unscored, read.answered_by) == ("because", ("quote",), None, "m")


@pytest.mark.parametrize("grade", ["5", "0", "good", "", None, True, 3.5, ["4"], {"grade": "4"}])
def test_a_grade_off_the_menu_is_unscored_with_its_reason_and_never_zero(grade):
    read = read_grade(form(grade), MENU)
    assert read.value is None
    assert "is not one of 1, 2, 3, 4" in read.unscored


def test_the_last_of_several_grades_counts():
    text = f"First thought: {form('1')} but on reflection {form('4')}, done."
    assert read_grade(text, MENU).value == 1.0
    assert read_grade('{"grade": "1", "grade": "4"}', MENU).value == 1.0
    assert read_grade(f"{form('4')} or rather {form('nine')}", MENU).value is None


@pytest.mark.parametrize("text", ["", "   ", "grade: 4", "I give it a 4.", "[4]", '{"score": "4"}', '{"grade": "4"'])
def test_prose_is_unscored(text):
    assert read_grade(text, MENU).value is None
    assert read_grade(text, MENU).unscored.startswith("the judge gave")


@given(st.text())
def test_any_text_is_a_grade_or_a_reason(text):
    read = read_grade(text, MENU)
    assert (read.value is None) == (read.unscored is not None)


def test_the_form_asks_for_evidence_first_and_the_grade_last():
    schema = answer_form(MENU)
    assert list(schema["properties"]) == schema["required"] == ["evidence", "reasons", "grade"]
    assert schema["properties"]["grade"]["enum"] == list(MENU)


def grade(value, label="x"):
    return Grade(value=value, label=label, unscored=None if value is not None else "late", evidence=("q",))


def test_repeats_give_their_median_and_show_their_spread():
    score = combine([grade(1.0, "4"), grade(0.0, "1"), grade(1 / 3, "2")])
    assert score.value == pytest.approx(1 / 3)
    assert score.rationale.startswith("grade 4, 1, 2 (spread 1.00")
    assert score.findings == ("judge: q",)


def test_half_of_the_repeats_is_not_enough():
    assert combine([grade(1.0), grade(None)]).unscored == "late"
    assert combine([grade(1.0), grade(None), grade(1.0)]).value == 1.0


@pytest.mark.parametrize(
    ("first", "second", "value"), [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.5), (0.0, 0.0, 0.5)]
)
def test_a_preference_that_the_order_decides_is_a_tie(first, second, value):
    assert preference(grade(first), grade(second)).value == value


def test_a_preference_without_one_of_its_orders_is_unscored():
    assert preference(grade(1.0), grade(None)).unscored == "late"
