"""A callback follows the customer's last word: what was read back, and a plain yes to exactly that."""

import json

import pytest
from assistant_chat import Chat

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.tasks.assistant import TASK
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.rules import rules
from service.core.tools.use import TracedStep
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.core.unit.question import ToolTurn
from service.kit.settings import Settings

BOOKED = ("request_callback", {"phone": "07700 900123"})
QUESTION = "I'm Larkfield's AI assistant. Shall I arrange a call to 07700 900123?"


@pytest.mark.parametrize(
    "answer",
    [
        "ok, hold on, don't",
        "ok whatever, no wait",
        "yes, unless my wife answers, then no",
        "yes but make it 07700 900433",
        "yes but make it ...433",
        "yes, but only in the evening",
        "maybe",
        "yes? what for",
        "what number did my neighbour give?",
        "I'm good, thanks",
        "I'm fine, thanks",
        "It's okay, I will call you myself",
        "It's okay",
        "Please remove that",
        "I'd like to withdraw that",
        "please email me",
        "ok, email me",
        "I'd like to open a savings account",
        "ok, I'd like to open a savings account",
        "Please tell me your opening hours",
        "I can't wait that long",
        "why not email me",
        "no problem, I'll ring you",
        "yes at five",
        "¡para!",
        "nothing else, thanks",
        "thanks, bye",
    ],
)
def test_a_negation_a_condition_or_a_change_anywhere_books_nothing(answer):
    chat = Chat()
    chat("Call me back on 07700 900123")
    chat(answer)
    assert "request_callback" not in dict(chat.uses)


@pytest.mark.parametrize(
    "answer",
    [
        "yes",
        "no problem, go ahead",
        "why not",
        "yeah why not",
        "I can't wait",
        "please",
        "fine, thank you",
        "yes, I'm fine with that",
        "I'd like that",
        "Sure, 07700 900 123 is right",
        "that would be lovely",
        "Sí, es para mí",
        "ok thanks",
        "Great, thank you",
        "thanks, that would be great",
    ],
)
def test_a_plain_yes_books_what_was_read_back(answer):
    chat = Chat()
    chat("Call me back on 07700 900123")
    chat(answer)
    assert chat.uses == [BOOKED]


def test_a_changed_number_is_read_back_again():
    chat = Chat()
    chat("Call me back on 07700 900123")
    assert "07700 900433" in chat("yes but make it 07700 900433").reply
    chat("yes")
    assert chat.uses == [("request_callback", {"phone": "07700 900433"})]


@pytest.mark.parametrize(
    "said",
    [
        ["oh seven seven double oh nine hundred one two three"],
        ["oh seven seven double oh", "nine hundred", "one two three"],
        ["07700", "900", "123"],
    ],
)
def test_a_number_in_words_or_in_pieces_is_understood(said):
    chat = Chat()
    chat("Call me back please")
    for piece in said[:-1]:
        assert chat(piece).asks == ("phone",)
    assert "07700900123" in chat(said[-1]).reply
    chat("yes")
    assert chat.uses == [("request_callback", {"phone": "07700900123"})]


@pytest.mark.parametrize("said", [["0161 496", "0123"], ["01", "0161 496", "0123"]])
def test_a_piece_that_begins_with_a_zero_ends_a_number_or_begins_it_again(said):
    chat = Chat()
    chat("Call me back please")
    for piece in said[:-1]:
        assert chat(piece).asks == ("phone",)
    assert "01614960123" in chat(said[-1]).reply


def test_what_the_customer_said_in_words_proves_the_tools_argument():
    history = (Spoken(by="customer", text="oh seven seven double oh nine hundred one two three"),)
    inputs = DialogueInputs(conversation_id="conv-1", message="yes", history=history)
    assert "07700900123" in TASK.sources(inputs).said


def test_somebody_else_must_be_there():
    chat = Chat()
    assert "somebody else's number" in chat("call my wife on 07700 900555").reply
    chat("yes")
    assert chat.uses == []
    chat("yes, she is here with me")
    assert chat.uses == [("request_callback", {"phone": "07700 900555"})]


@pytest.mark.parametrize(
    ("answer", "told", "action"),
    [
        ("goodbye", "You're welcome.", "close"),
        ("cancel", "we won't call you", "answer"),
        ("actually I want to open an account instead", "Which type of account", "clarify"),
    ],
)
def test_the_question_for_a_number_can_be_left(answer, told, action):
    chat = Chat()
    chat("Call me back please")
    reply = chat(answer)
    assert told in reply.reply
    assert reply.action == action


@pytest.mark.parametrize("question", ["I want to open an account", "I'd like a card", "Where is your nearest branch?"])
def test_every_other_question_can_be_left(question):
    for answer, told in (("cancel", "leave that"), ("goodbye", "You're welcome")):
        chat = Chat()
        chat(question)
        assert told in chat(answer).reply


def test_a_late_turn_says_what_it_did_or_the_next_one_does():
    history = (Spoken(by="customer", text="Call me back on 07700 900123"), Spoken(by="assistant", text=QUESTION))
    inputs = DialogueInputs(conversation_id="conv-1", message="yes", history=history)
    late = AssistantReply.model_validate_json(rules(DialogueSoFar(inputs=inputs)))
    assert "can't see yet whether your call is arranged" in late.reply
    chat = Chat()
    chat.history = [*history, Spoken(by="customer", text="yes"), Spoken(by="assistant", text=late.reply)]
    assert "call you back" in chat("hello?").reply
    assert chat.uses == [BOOKED]


@pytest.mark.parametrize(
    "error", ["the tool did not answer in time", "an equal call was begun before and its outcome is unknown; hand over"]
)
def test_at_night_a_call_that_may_be_arranged_is_no_call_to_ask_for_again(error):
    history = (Spoken(by="customer", text="Call me back on 07700 900123"), Spoken(by="assistant", text=QUESTION))
    inputs = DialogueInputs(conversation_id="conv-1", message="yes", history=history)
    hours = {"open": False, "hours": "Monday to Friday, 9 AM to 5 PM", "next_opening": "Wednesday"}
    answers = {
        "request_callback": {"error": error},
        "transfer_to_agent": {"error": "nobody is there"},
        "check_hours": hours,
    }
    turns = ()
    while not isinstance(said := rules(DialogueSoFar(inputs=inputs, turns=turns, may_use_tools=True)), str):
        contents = tuple(json.dumps(answers[use.tool]) for use in said.uses)
        turns = (*turns, ToolTurn(text="", uses=said.uses, contents=contents))
    reply = AssistantReply.model_validate_json(said)
    assert reply.reply == "I can't see yet whether your call is arranged. I'll tell you with your next message."
    chat = Chat()
    chat.history = [*history, Spoken(by="customer", text="yes"), Spoken(by="assistant", text=reply.reply)]
    assert "call you back" in chat("ok").reply
    assert chat.uses == [BOOKED]


def test_after_a_turn_without_a_reply_the_yes_still_stands():
    chat = Chat()
    chat("Call me back on 07700 900123")
    chat.history.append(Spoken(by="customer", text="yes"))
    assert "call you back" in chat("are you there?").reply


def test_whoever_takes_a_late_yes_back_speaks_to_a_person():
    chat = Chat()
    chat("Call me back on 07700 900123")
    chat.history += [
        Spoken(by="customer", text="yes"),
        Spoken(
            by="assistant", text="I can't see yet whether your call is arranged. I'll tell you with your next message."
        ),
    ]
    assert chat("no, don't").handover.reason == "complex_scenario"


def test_the_fallback_goes_by_what_the_tools_of_the_turn_did():
    cards = ModelCards.load(Settings().prompts_dir / "models.yaml")
    pair = load_pair(Settings().prompts_dir / "assistant/rules.prompty", cards=cards, task_variables=TASK.variables)
    history = (Spoken(by="customer", text="Call me back on 07700 900123"), Spoken(by="assistant", text=QUESTION))
    inputs = DialogueInputs(conversation_id="conv-1", message="yes", history=history)
    answer = json.dumps(
        {"callback_id": "callback-1", "message": "One of our specialists will call you back within the next hour."}
    )
    step = TracedStep(kind="tool", name="request_callback", arguments=BOOKED[1], status="done", content=answer, ms=1)
    reply = json.loads(rules(TASK.document_after(inputs, pair, [step])))
    assert "will call you back within the next hour" in reply["reply"]
