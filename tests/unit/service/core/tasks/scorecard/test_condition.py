"""Conditions of criteria: evaluated in code, checked with the form; forms with conditions in prose keep their meaning."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from service.core.tasks.scorecard.card import Scorecard, make_card
from service.core.tasks.scorecard.condition import Condition, ConditionFacts
from service.core.tasks.scorecard.form import Form, only_data
from service.core.tasks.scorecard.reading import CriterionRating, Reading
from service.core.tasks.scorecard.transcript import Turn
from service.core.tasks.scorecard.windows import criterion_text, plan

TURNS = (
    Turn(speaker="agent", start_s=0, text="Good morning, this is the billing desk."),
    Turn(speaker="customer", start_s=8, text="I'd like my money back, a refund please."),
    Turn(speaker="agent", start_s=30, text="I have verified your identity and opened the refund."),
)


def form_of(*criteria: dict[str, Any]) -> Form:
    fields = [{"question": f"Did the agent do {item['id']}?", "weight": 1} | item for item in criteria]
    return Form.model_validate(
        {
            "form_id": "support",
            "tenant": "demo-tenant",
            "name": "Support",
            "version": 1,
            "pass_threshold": 0.7,
            "sections": [{"id": "all", "title": "All", "criteria": fields}],
        }
    )


def card_of(form: Form, **verdicts: str | None) -> Scorecard:
    quote = {"quote": TURNS[0].text, "turn": 0}
    answers = {
        name: CriterionRating(verdict=verdict, **(quote if verdict == "yes" else {}))  # type: ignore[arg-type]
        for name, verdict in verdicts.items()
        if verdict is not None
    }
    parts = plan(TURNS, form, budget=None, answer_tokens=4000)
    return make_card("call-1", form, TURNS, parts, [Reading(answers=answers, overview=None, valid=True)])


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"all": [{"fact": "duration_s", "at_least": 30}]}, True),
        ({"all": [{"fact": "duration_s", "at_least": 30.5}]}, False),
        ({"all": [{"fact": "turns", "at_most": 3}, {"fact": "agent_turns", "at_least": 3}]}, False),
        ({"any": [{"fact": "agent_turns", "at_least": 3}, {"words": ["Refund"]}]}, True),
        ({"none": [{"words": ["refund"]}]}, False),
        ({"all": [{"words": ["fund"]}]}, False),  # whole words
        ({"all": [{"words": ["money  back"], "by": "customer"}]}, True),
        ({"all": [{"words": ["money back"], "by": "agent"}]}, False),
        ({"all": [{"criterion": "a", "answered": ["yes"]}]}, True),
        ({"all": [{"criterion": "b", "answered": ["yes", "na"]}]}, False),
        ({"all": [{"criterion": "open", "answered": ["yes"]}]}, None),
        ({"all": [{"criterion": "open", "answered": ["yes"]}, {"words": ["lawyer"]}]}, False),
        ({"any": [{"criterion": "open", "answered": ["yes"]}, {"words": ["refund"]}]}, True),
        ({"any": [{"criterion": "open", "answered": ["yes"]}, {"words": ["lawyer"]}]}, None),
        ({"none": [{"criterion": "open", "answered": ["yes"]}]}, None),
    ],
)
@pytest.mark.acceptance("form-05")
def test_a_condition_is_evaluated(condition: dict[str, Any], holds: bool | None) -> None:
    facts = ConditionFacts(turns=TURNS, verdicts={"a": "yes", "b": "no", "open": None})
    assert Condition.model_validate(condition).holds(facts) is holds


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"all": [{"criterion": "nobody", "answered": ["yes"]}]}, "which the form does not have; it has a, b, c"),
        ({"all": [{"criterion": "a", "answered": ["yes"]}]}, "goes in a circle: a -> b -> a"),
        ({"all": [{"criterion": "b", "answered": ["yes"]}]}, "goes in a circle: b -> b"),
        ({"all": [{"criterion": "c", "answered": ["maybe"]}]}, "'yes', 'no' or 'na'"),
        ({"all": [{"fact": "duration_s"}]}, "needs at_least or at_most"),
        ({"all": [{"fact": "duration_s", "at_least": 9, "at_most": 3}]}, "at_least 9 is above at_most 3"),
        ({"all": [{"fact": "duration_s", "at_least": "long"}]}, "valid number"),
        ({"all": [{"fact": "weather", "at_least": 1}]}, "'duration_s', 'turns', 'agent_turns' or 'customer_turns'"),
        ({"all": [{"words": ["..."]}]}, "holds no word"),
        ({"all": []}, "no test"),
        ({"when": "a plan is agreed"}, "Extra inputs"),
    ],
)
@pytest.mark.acceptance("form-05")
def test_a_wrong_condition_is_refused_with_its_reason(condition: dict[str, Any], said: str) -> None:
    needs_b = {"all": [{"criterion": "b", "answered": ["yes"]}]}
    with pytest.raises(ValidationError, match=said):
        form_of({"id": "a", "applies_when": needs_b}, {"id": "b", "applies_when": condition}, {"id": "c"})


@pytest.mark.acceptance("form-05")
def test_what_does_not_apply_leaves_the_maximum_and_says_why() -> None:
    """The model's answer about it is not counted, and criteria that depend on it follow, whatever their order on the form."""
    form = form_of(
        {"id": "late", "applies_when": {"all": [{"criterion": "check", "answered": ["na"]}]}},
        {"id": "check", "weight": 3, "applies_when": {"all": [{"criterion": "greet", "answered": ["yes"]}]}},
        {"id": "greet"},
    )
    card = card_of(form, late="yes", check="no", greet="no")
    assert card.score is not None
    assert (card.score.total, card.score.maximum, card.score.not_applicable) == (Decimal(1), Decimal(2), ("check",))
    check = next(item for item in card.criteria if item.id == "check")
    assert (check.verdict, check.reason) == ("na", "does not apply: it is not so that greet is yes")
    applied = card_of(form, late="yes", check="no", greet="yes")
    assert applied.score is not None
    assert (applied.score.total, applied.score.maximum, applied.score.not_applicable) == (1, 4, ("late",))


@pytest.mark.acceptance("form-05")
def test_without_an_answer_that_decides_there_is_no_score() -> None:
    form = form_of({"id": "a", "applies_when": {"all": [{"criterion": "b", "answered": ["yes"]}]}}, {"id": "b"})
    card = card_of(form, a="yes", b=None)
    assert card.status == "incomplete"
    assert {item.criterion for item in card.review if item.code == "unanswered"} == {"a", "b"}


def test_a_model_that_answers_na_where_the_condition_holds_is_reviewed() -> None:
    form = form_of({"id": "a", "applies_when": {"all": [{"words": ["refund"]}]}}, {"id": "b"})
    assert [item.code for item in card_of(form, a="na", b="yes").review if item.criterion == "a"] == [
        "na_without_condition"
    ]
    other = form_of({"id": "a", "applies_when": {"none": [{"words": ["refund"]}]}}, {"id": "b"})
    assert not [item.code for item in card_of(other, a="na", b="yes").review if item.criterion == "a"]


@pytest.mark.acceptance("form-06")
def test_a_model_reads_conditions_in_prose_alone() -> None:
    data = form_of({"id": "a", "applies_when": {"all": [{"words": ["refund"]}]}})
    assert criterion_text(data.criterion("a")) == "a: Did the agent do a?"
    prose = form_of({"id": "a", "applies_when": "A plan is agreed."})
    assert criterion_text(prose.criterion("a")).endswith("Applies only when: A plan is agreed.")


def test_a_form_with_conditions_is_read_back_as_it_was_written() -> None:
    form = form_of({"id": "a", "applies_when": {"any": [{"words": ["refund"], "by": "customer"}]}}, {"id": "b"})
    assert Form.model_validate_json(form.model_dump_json()) == form
    assert '"applies_when":"A plan."' in form_of({"id": "a", "applies_when": "A plan."}).model_dump_json()


@pytest.mark.acceptance("form-06")
def test_a_new_sentence_is_refused_and_an_old_one_stays() -> None:
    old = form_of({"id": "a", "applies_when": "A plan is agreed."})
    only_data(old, None, old)
    only_data(form_of({"id": "a", "applies_when": {"all": [{"words": ["plan"]}]}}), old)
    with pytest.raises(ValueError, match=r"applies_when of 'a' is a sentence.*write tests instead"):
        only_data(old, None)
    with pytest.raises(ValueError, match="applies_when of 'a'"):
        only_data(form_of({"id": "a", "applies_when": "Another plan."}), old)
