"""What the weights are learned from, and that they are reproducible."""

from dataclasses import replace

import pytest

from eval.instruments.floor.learning import FOLDS, learn, lessons_of, out_of_fold
from eval.instruments.floor.measure import LEARNED_FROM, cases_of
from eval.spine.cases import Case, Expectations, Fact
from eval.spine.errors import CaseError
from service.core.tasks.summarize.digest import WEIGHTS
from service.kit.settings import Settings

SMALL_TALK = "The weather at the lake was lovely all of this week"


def case(number, fee, *, facts=True):
    texts = [f"The ${fee}.10 fee is disputed again.", f"{SMALL_TALK}.", "A crew came to the yard."]
    interactions = [
        {
            "interaction_id": f"i{day}",
            "channel": "agent",
            "timestamp": f"2026-11-1{day}T10:00:00Z",
            "intent": "Fee",
            "text": text,
        }
        for day, text in enumerate(texts)
    ]
    fact = Fact(statement="The fee", accepted=(f"${fee}.10 + fee",), interaction_id="i0", span=f"{fee}.10 fee")
    span_only = Fact(statement="A visit", accepted=("technician",), interaction_id="i2", span="crew came")
    expected = Expectations(facts=(fact, span_only)) if facts else Expectations(references=(f"${fee}.10 fee disputed",))
    inputs = {
        "as_of": "2026-11-20T10:00:00Z",
        "account_number": "1234567890",
        "contact_id": "c",
        "interactions": interactions,
    }
    return Case(id=f"case-{number}", inputs=inputs, expectations=expected)


CASES = [case(number, 30 + number) for number in range(10)]


def worths(lesson):
    return dict(zip((c.statement.source for c in lesson.history.candidates), lesson.worth, strict=True))


def test_a_statement_is_worth_the_facts_that_it_states_and_half_of_those_whose_span_it_holds():
    (lesson,) = lessons_of(CASES[:1])
    assert worths(lesson)["The $30.10 fee is disputed again."] == 1.0
    assert worths(lesson)["A crew came to the yard."] == 0.5
    assert lesson.counts == 1.0


def test_without_facts_it_is_worth_its_overlap_with_the_references():
    (lesson,) = lessons_of([case(1, 40, facts=False)])
    assert worths(lesson)["The $40.10 fee is disputed again."] == 2.0
    assert worths(lesson)["A crew came to the yard."] == 0.0
    assert lesson.counts < 1.0


def test_cases_without_labels_teach_nothing():
    assert lessons_of([case(1, 40).model_copy(update={"expectations": Expectations()})]) == []


def test_what_states_facts_gets_weight_and_the_same_lessons_give_the_same_weights():
    weights = learn(lessons_of(CASES))
    assert weights == learn(lessons_of(CASES))
    assert weights.features["money"] > 0.0
    (lesson,) = lessons_of(CASES[:1])
    values = {c.statement.source: weights.value_of(c) for c in lesson.history.candidates}
    assert max(values, key=values.get) == "The $30.10 fee is disputed again."


def test_a_case_is_measured_with_weights_that_were_learned_without_it():
    lessons = lessons_of(CASES)
    spoilt = [replace(lesson, worth=tuple(9.0 - worth for worth in lesson.worth)) for lesson in lessons]
    found = out_of_fold(lessons)
    assert found.keys() == {case.id for case in CASES}
    assert len({weights.content() for weights in found.values()}) <= FOLDS
    for place, lesson in enumerate(lessons):
        changed = [*lessons[:place], spoilt[place], *lessons[place + 1 :]]
        assert out_of_fold(changed)[lesson.case.id] == found[lesson.case.id]


def test_the_weights_in_use_are_what_the_command_learns():
    try:
        cases = cases_of(LEARNED_FROM, Settings())
    except CaseError as err:
        pytest.skip(str(err))
    assert learn(lessons_of(cases)) == WEIGHTS
