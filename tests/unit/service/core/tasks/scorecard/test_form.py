"""Forms and their arithmetic: hand-worked totals, properties, and the errors of invalid forms."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.core.tasks.scorecard.arithmetic import add_up
from service.core.tasks.scorecard.form import MOST_CRITERIA, Form


def raw_form(*criteria: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields = [
        {"question": f"Did the agent do thing {number}?", "weight": 1} | item for number, item in enumerate(criteria)
    ]
    form = {
        "form_id": "support",
        "tenant": "demo-tenant",
        "name": "Support",
        "version": 1,
        "pass_threshold": 0.7,
        "sections": [{"id": "all", "title": "All", "criteria": fields}],
    }
    return form | changes


# The default template of R-QA-FORM, weights 1, 1, 1, 0.5, 1; its example passes greet, resolve and confirm.
SEED = Form.model_validate(
    raw_form(
        {"id": "greet_01", "required": True},
        {"id": "empathy_02", "required": True},
        {"id": "resolve_03", "required": True},
        {"id": "confirm_04", "weight": 0.5},
        {"id": "compliance_05", "required": True},
    )
)
SEED_VERDICTS = {"greet_01": "yes", "empathy_02": "no", "resolve_03": "yes", "confirm_04": "yes", "compliance_05": "no"}


@pytest.mark.acceptance("score-01")
def test_the_example_of_the_requirements_is_55_6_per_cent_and_fails() -> None:
    total = add_up(SEED, SEED_VERDICTS)
    assert (total.total, total.maximum, total.percentage) == (Decimal("2.5"), Decimal("4.5"), Decimal("55.6"))
    assert total.passed is False
    assert total.failed == total.failed_required == ("empathy_02", "compliance_05")


@pytest.mark.acceptance("score-02")
def test_not_applicable_criteria_are_left_out_of_the_maximum() -> None:
    total = add_up(SEED, SEED_VERDICTS | {"empathy_02": "na", "compliance_05": "na"})
    assert (total.total, total.maximum, total.percentage, total.passed) == (
        Decimal("2.5"),
        Decimal("2.5"),
        Decimal("100.0"),
        True,
    )
    assert total.not_applicable == ("empathy_02", "compliance_05")


@pytest.mark.acceptance("score-02")
def test_a_failed_required_criterion_fails_the_call_whatever_the_share() -> None:
    form = Form.model_validate(raw_form({"id": "a", "weight": 99}, {"id": "b", "required": True}))
    total = add_up(form, {"a": "yes", "b": "no"})
    assert (total.percentage, total.passed, total.failed_required) == (Decimal("99.0"), False, ("b",))
    assert add_up(form, {"a": "no", "b": "yes"}).failed_required == ()


@pytest.mark.parametrize(
    ("threshold", "passed"), [("0.6667", False), ("0.6666", True)], ids=["just above two thirds", "just below"]
)
def test_the_unrounded_share_is_compared_with_the_threshold(threshold: str, passed: bool) -> None:
    form = Form.model_validate(raw_form({"id": "a"}, {"id": "b"}, {"id": "c"}, pass_threshold=threshold))
    total = add_up(form, {"a": "yes", "b": "yes", "c": "no"})
    assert (total.percentage, total.passed) == (Decimal("66.7"), passed)


def test_a_share_at_the_threshold_passes() -> None:
    form = Form.model_validate(raw_form({"id": "a", "weight": 0.7}, {"id": "b", "weight": 0.3}))
    assert add_up(form, {"a": "yes", "b": "no"}).passed is True  # 0.7 + 0.3 in binary fractions is not 1


def test_a_half_is_rounded_up() -> None:
    form = Form.model_validate(raw_form({"id": "a", "weight": 0.5}, {"id": "b", "weight": 999.5}))
    assert add_up(form, {"a": "yes", "b": "no"}).percentage == Decimal("0.1")  # 0.05


def test_without_any_applicable_weight_there_is_no_score() -> None:
    total = add_up(SEED, dict.fromkeys(SEED_VERDICTS, "na"))
    assert (total.percentage, total.passed, total.maximum) == (None, None, 0)


@pytest.mark.parametrize("wrong", [{"greet_01": "yes"}, SEED_VERDICTS | {"other": "yes"}])
def test_a_partial_total_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="verdicts for"):
        add_up(SEED, wrong)


_criteria = st.lists(
    st.tuples(st.decimals("0.01", "10", places=2), st.booleans(), st.sampled_from(["yes", "no", "na"])),
    min_size=1,
    max_size=8,
)


@given(_criteria, st.decimals(0, 1, places=2))
def test_totals_agree_with_fractions(criteria: list[tuple[Decimal, bool, Any]], threshold: Decimal) -> None:
    items = [
        {"id": f"c{n}", "weight": weight, "required": required} for n, (weight, required, _) in enumerate(criteria)
    ]
    form = Form.model_validate(raw_form(*items, pass_threshold=threshold))
    total = add_up(form, {f"c{n}": verdict for n, (_, _, verdict) in enumerate(criteria)})
    reached = sum((Fraction(weight) for weight, _, verdict in criteria if verdict == "yes"), Fraction(0))
    reachable = sum((Fraction(weight) for weight, _, verdict in criteria if verdict != "na"), Fraction(0))
    assert (Fraction(total.total), Fraction(total.maximum)) == (reached, reachable)
    if reachable:
        broken = any(required and verdict == "no" for _, required, verdict in criteria)
        assert total.passed == (reached / reachable >= Fraction(threshold) and not broken)
        assert abs(Fraction(total.percentage) - 100 * reached / reachable) <= Fraction(1, 20)
    else:
        assert total.passed is None
    assert set(total.failed_required) <= set(total.failed)


@given(_criteria)
def test_one_more_yes_never_lowers_the_percentage(criteria: list[tuple[Decimal, bool, Any]]) -> None:
    form = Form.model_validate(
        raw_form(*({"id": f"c{n}", "weight": weight} for n, (weight, _, _) in enumerate(criteria)))
    )
    verdicts = {f"c{n}": verdict for n, (_, _, verdict) in enumerate(criteria)}
    before = add_up(form, verdicts)
    for name in before.failed:
        assert add_up(form, verdicts | {name: "yes"}).percentage > before.percentage - Decimal("0.05")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (raw_form({"id": "a", "weight": 0}), "a weight must be above 0"),
        (raw_form({"id": "a", "weight": -1}), "a weight must be above 0"),
        (raw_form({"id": "a", "weight": "NaN"}), "finite"),
        (raw_form({"id": "a", "weight": "Infinity"}), "finite"),
        (raw_form({"id": "a", "weight": 0.00001}), "at most 4 decimals"),
        (raw_form({"id": "a", "weight": True}), "must be a number, not true or false"),
        (raw_form({"id": "a"}, {"id": "b"}, {"id": "a"}), "criterion id 'a' appears twice"),
        (raw_form({"id": "Greet"}, {"id": "greet"}), "criterion id 'greet' appears twice"),
        (
            raw_form(sections=[raw_form({"id": "a"})["sections"][0], raw_form({"id": "b"})["sections"][0]]),
            "section id 'all' appears twice",
        ),
        (
            raw_form(
                sections=[
                    raw_form({"id": "a"})["sections"][0],
                    {"id": "more", "title": "More", "criteria": raw_form({"id": "a"})["sections"][0]["criteria"]},
                ]
            ),
            "criterion id 'a' appears twice",
        ),
        (raw_form(*({"id": f"c{n}"} for n in range(MOST_CRITERIA + 1))), "split it into two forms"),
        (raw_form(sections=[]), "at least 1 item"),
        (raw_form(), "at least 1 item"),
        (raw_form({"id": "a b"}), "match pattern"),
        (raw_form({"id": "a"}, pass_threshold=70), "must be from 0 to 1"),
        (raw_form({"id": "a"}, tenant="Demo/Tenant"), "match pattern"),
        (raw_form({"id": "a", "question": "x\x00yz"}), "control characters"),
        (raw_form({"id": "a", "question": "  "}), "at least 3 characters"),
        (raw_form({"id": "a", "wieght": 2}), "Extra inputs"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
@pytest.mark.acceptance("form-01")
def test_a_wrong_form_is_refused_with_its_reason(form: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Form.model_validate(form)


def test_an_empty_condition_becomes_none() -> None:
    form = Form.model_validate(raw_form({"id": "a", "applies_when": "  "}))
    assert form.criterion("a").applies_when is None
    with pytest.raises(KeyError):
        form.criterion("b")
