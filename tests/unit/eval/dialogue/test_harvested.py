"""Conversations as regression cases: what a draft is made of, and what keeps one out of git."""

from types import SimpleNamespace

import pytest

from eval.dialogue.scenario import DialogueExpectations
from eval.harvest.kept import TO_WRITE, ConversationSource
from eval.harvest.propose import HarvestContext
from eval.harvest.review import problems_of
from eval.spine.cases import load_cases
from eval.suites import load_case_rules
from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.run.task import load_task

NUMBER = "4929 1234 5678 9012"


@pytest.fixture
def context(parcels):
    return HarvestContext(
        task=load_task("parcels"),
        source=ConversationSource(DialogueInputs),
        rules=load_case_rules("parcels"),
        folder=parcels / "datasets" / "parcels",
        key=b"k",
    )


@pytest.fixture
def case(context):
    file = context.folder / "dev.jsonl"
    return load_cases(file, input_model=context.case_model, expectations=DialogueExpectations).cases[0]


def of_numbers(case, context):
    return [text for text in problems_of(SimpleNamespace(case=case), context, []) if "full number" in text]


def test_no_full_number_gets_into_git_wherever_a_person_wrote_it(case, context):
    assert of_numbers(case, context) == []
    world = case.inputs["world"] | {"card": NUMBER}
    told = case.expectations.told[0].model_copy(update={"accepted": (NUMBER,)})
    for spoilt in (
        case.model_copy(update={"inputs": case.inputs | {"world": world}}),
        case.model_copy(update={"expectations": case.expectations.model_copy(update={"told": (told,)})}),
    ):
        assert of_numbers(spoilt, context) == ["prints a full number of nine digits or more: mask it"]


def test_a_reply_without_words_is_for_a_person_to_write(context):
    history = (Spoken(by="customer", text="Where is it?"), Spoken(by="assistant", text=""))
    inputs = DialogueInputs(conversation_id="conv-1", message="Hello?", history=history)
    drafted = context.source.expectations(None, inputs, context.rules)
    assert [turn[0].say for turn in drafted.gold] == [TO_WRITE, TO_WRITE]
