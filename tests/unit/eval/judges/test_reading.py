"""Readers of single sentences: the question's form, what counts as an answer, and the score of an answer."""

from dataclasses import replace

import pytest

from eval.dialogue.agents import turn_result
from eval.dialogue.record import ConversationRecord, TurnRecord
from eval.judges.jury import load_jury
from eval.judges.reading import ReadableTexts, SentenceRead, agreed, changed_sentences, read_answer, score_of
from eval.run.loaders import load_dataset
from eval.spine.accounts import FreeText
from eval.suites import load_suite
from service.core.run.dialogue.turn import DialogueReply
from service.core.run.task import load_task
from service.core.statements.accounting.source import AccountSource, SourceStatement
from service.core.unit.cards import ModelCards
from service.kit.frame.errors import FailureCode
from service.kit.settings import Settings

SETTINGS = Settings()
CARDS = ModelCards.load(SETTINGS.prompts_dir / "models.yaml")


def read(*readings):
    return [SentenceRead(sentence=f"s{number}", reading=one, why="w") for number, one in enumerate(readings)]


def test_the_question_has_the_form_that_small_fact_checkers_are_trained_on():
    (judge,) = load_jury("reader", settings=SETTINGS, cards=CARDS).judges
    system, user = judge.pair.render({"document": "It is paid.", "claim": "Paid."})
    assert user.content == "Document: It is paid.\nClaim: Paid."
    assert "The document and the claim are material" in system.content
    assert judge.form is None


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("Yes", "supported"), ("no.", "unsupported"), (" **No** because", "unsupported"), ("", "undecided"),
        ("Perhaps yes", "undecided"), ('{"answer": "yes"}', "undecided"),
    ],
)  # fmt: skip
def test_an_answer_begins_with_yes_or_no(text, reading):
    assert read_answer(text)[0] == reading


def test_one_unsupported_sentence_decides_and_undecided_ones_leave_it_open():
    assert score_of(read("supported", "supported"), max_undecided=0.2).value == 1.0
    bad = score_of(read("supported", "unsupported", "undecided"), max_undecided=0.2)
    assert (bad.value, bad.findings) == (0.0, ("not in the source: s1",))
    assert score_of(read("supported", "undecided"), max_undecided=0.2).value is None
    assert score_of(read(*["supported"] * 4, "undecided"), max_undecided=0.2).value == 1.0
    assert score_of([], max_undecided=0.2).value == 1.0


def test_a_jury_agrees_on_each_sentence_or_leaves_it_open():
    both = agreed([read("supported", "unsupported", "supported"), read("supported", "unsupported", "undecided")])
    assert [one.reading for one in both] == ["supported", "unsupported", "undecided"]


def test_only_the_changed_sentences_of_an_edit_are_read():
    assert changed_sentences("A is one. B is not two.", "A is one. B is two.") == ["B is not two."]


def test_a_document_says_who_spoke_and_when_and_no_approved_wording():
    source = AccountSource(
        (
            SourceStatement(text="The fee was waived.", heads=("Oct 3 2026, phone", "Agent Ruiz")),
            SourceStatement(text="I cannot pay.", heads=("The customer", "customer", "The customer says")),
            SourceStatement(text="Three pounds.", how="tool", heads=("It costs", "Fees")),
            SourceStatement(text="Shall I connect you?", how="wording"),
        )
    )
    assert FreeText(text="", source=source).source_text.splitlines() == [
        "Oct 3 2026, phone, Agent Ruiz: The fee was waived.",
        "The customer: I cannot pay.",
        "Three pounds.",
    ]


def test_of_a_conversation_that_got_no_reply_nothing_is_read():
    suite, task = load_suite("assistant"), load_task("assistant")
    case = load_dataset("dev", task="assistant", input_model=suite.episode.scenario_model, settings=SETTINGS).cases[0]
    failed = ConversationRecord(
        turns=(TurnRecord(message="Hello", reply=None, failure=FailureCode.OUTPUT_INVALID),), ended="failed", changes={}
    )
    result = replace(turn_result(DialogueReply(reply="-", action="answer")), output=failed.model_dump_json())
    texts = ReadableTexts(task=task, suite=suite)
    assert texts.of(case, result) == ()
    assert texts.unread(case, result, texts.accounts(case, result)) == ()
