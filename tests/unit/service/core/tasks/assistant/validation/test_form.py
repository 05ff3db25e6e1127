"""Length, steps in a sentence, several questions and a comparison that is none are found; what is right is not."""

import json

import pytest

from service.core.run.dialogue.turn import DialogueInputs
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.tools import METHODS
from service.core.tasks.assistant.validation.form import form_findings
from service.core.tasks.assistant.validation.seen import SeenTurn

STEPS = bank_knowledge().cards["premium"].ordering_process


def kinds(reply, *, message="How do I order the premium card?", session=None, action="answer"):
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: None)
    answer = json.dumps(METHODS["get_debit_card_info"](bank, card_type="premium"))
    inputs = DialogueInputs(conversation_id="conv-1", message=message, session=session or {})
    seen = SeenTurn.of_uses(inputs, [("get_debit_card_info", "done", answer)])
    return [found.kind for found in form_findings(AssistantReply(reply=reply, action=action), seen)]


@pytest.mark.parametrize(("words", "found"), [(89, []), (90, []), (91, ["too_long"])])
def test_a_reply_has_at_most_90_words(words, found):
    assert kinds("word " * words) == found


def test_three_steps_are_a_list_unless_they_are_spoken():
    listed = "\n".join(f"{number}. {step}" for number, step in enumerate(STEPS, start=1))
    assert kinds(listed) == []
    assert kinds(", ".join(STEPS[:2])) == []
    assert kinds(", ".join(STEPS[:3])) == ["steps_in_prose"]
    assert kinds(", ".join(STEPS), session={"channel": "voice"}) == []


def test_one_question_at_a_time():
    assert kinds("Which card is it?") == []
    assert kinds("Which card is it? And which account?") == ["several_questions"]


def test_a_comparison_names_what_is_compared():
    asked = "What is the difference between the premium and the standard card?"
    assert kinds("The premium card costs £12 a month.", message=asked) == ["not_compared"]
    assert kinds("The premium card costs £12 a month, the standard card nothing.", message=asked) == []
    assert kinds("The premium card costs £12 a month. Shall I go on?", message=asked, action="clarify") == []
    assert kinds("The premium card costs £12 a month.") == []
