"""What may be asked and which deeds may be told are closed sets."""

import pytest

from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.closed import closed_findings
from service.core.tasks.assistant.validation.seen import SeenTurn

CARD = "Premium debit card: worldwide travel insurance is included. Choose your PIN in the app."


def kinds(reply, *tools, message="I want a premium card"):
    answers = tuple((tool, {"card_type": CARD, "message": CARD}) for tool in tools)
    seen = SeenTurn(answers=answers, customer=(message,), message=message)
    return [found.kind for found in closed_findings(AssistantReply(reply=reply, action="answer"), seen)]


@pytest.mark.parametrize(
    "question",
    [
        "What is your PIN?",
        "Could you give me your full card number?",
        "Please confirm your date of birth.",
        "What was the name of your first pet?",
        "How much do you earn?",
        "Are you pregnant?",
        "Would you like me to invest your savings in a fund?",
        "Please send us your passcode.",
        "Which bank card PIN did you choose?",
    ],
)
def test_a_question_that_nobody_approved_is_refused(question):
    assert kinds(question) == ["question_not_approved"]
    # Not even where a tool's answer speaks of it.
    assert "question_not_approved" in kinds(question, "get_debit_card_info")


@pytest.mark.parametrize(
    "reply",
    [
        "Which type of account would you like?",
        "Would you like to open it online or in a branch?",
        "What's the best number to call you back on?",
        "Shall I arrange a call to 07700 900222?",
        "Would you like to speak to a specialist?",
        "Is there anything else?",
        "Choose your PIN in the app.",
    ],
)
def test_approved_questions_pass_in_other_words(reply):
    assert kinds(reply, "get_debit_card_info") == []


def test_every_wording_of_the_persona_is_approved():
    asked = [text for text in persona().wordings if "?" in text]
    assert len(asked) > 20
    assert [text for text in asked if kinds(text)] == []


@pytest.mark.parametrize(
    "deed",
    [
        "I've sent a courier with your card.",
        "We've waived the fee.",
        "I'll post a new card to you tonight.",
        "Your complaint was upheld.",
        "Someone has credited £50 to you.",
        "We have reported it to the police.",
    ],
)
def test_a_deed_that_no_tool_did_is_refused(deed):
    assert kinds(deed) == ["said_not_done"]


def test_a_deed_needs_its_own_tool():
    arranged, passed = "I've arranged the call.", "I've passed you on to a specialist."
    assert kinds(arranged, "request_callback") == kinds(passed, "transfer_to_agent") == []
    assert kinds(arranged, "transfer_to_agent") == kinds(passed, "request_callback") == ["said_not_done"]


def test_what_was_said_looked_up_or_understood_is_no_deed():
    assert kinds("I've checked that for you. I've explained the fees. I'll help you with the premium card.") == []
