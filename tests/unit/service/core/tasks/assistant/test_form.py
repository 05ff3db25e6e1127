"""A reply fits a phone's screen: what has more is told on request, steps are lines, and a comparison stands side by side."""

import pytest
from assistant_chat import CLOSED, Chat

from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.form import MOST_WORDS, fitted, more_question, pieces_of, words_in
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.wording import Worded


def told_in_full(chat, message, most=8):
    """Return every reply to ``message`` and to a yes each time that the assistant asks whether to go on."""
    replies = [chat(message)]
    while replies[-1].asks == ("more",):
        assert len(replies) < most
        replies.append(chat("yes, go on"))
    return replies


@pytest.mark.parametrize("channel", ["branch", "digital"])
@pytest.mark.parametrize("account", ["checking", "savings", "business", "student"])
def test_an_account_is_told_in_replies_of_90_words_and_nothing_is_left_out(account, channel):
    name = {"checking": "current"}.get(account, account)
    where = {"branch": "in a branch", "digital": "online"}[channel]
    replies = told_in_full(Chat(), f"I want to open a {name} account {where}, tell me everything about it")
    opening = getattr(bank_knowledge().accounts[account], channel)
    text = "\n".join(reply.reply for reply in replies)
    assert max(words_in(reply.reply) for reply in replies) <= MOST_WORDS
    assert all(f"\n{number}. {step}" in text for number, step in enumerate(opening.process_steps, start=1))
    assert all(item.lower()[1:] in text.lower() for item in (*opening.documents_required, *opening.benefits))
    assert opening.processing_time in text


@pytest.mark.parametrize("card", ["standard", "premium", "contactless", "virtual"])
def test_a_card_is_told_in_replies_of_90_words_and_nothing_twice(card):
    replies = told_in_full(Chat(), f"tell me about the {card} card")
    text = "\n".join(reply.reply for reply in replies)
    assert max(words_in(reply.reply) for reply in replies) <= MOST_WORDS
    assert text.count(bank_knowledge().cards[card].fees) == 1
    assert all(text.count(f". {step}") == 1 for step in bank_knowledge().cards[card].ordering_process)


def test_another_wish_a_no_and_a_goodbye_leave_what_was_left_to_tell():
    opened = "I want to open a business account online"
    for message, told, asks in (
        ("how much is the premium card?", "£12 a month", ()),
        ("no thanks", "we'll leave that", ("request",)),
        ("bye", "You're welcome", ()),
    ):
        chat = Chat()
        assert chat(opened).asks == ("more",)
        reply = chat(message)
        assert told in reply.reply
        assert reply.asks == asks
        assert "business" not in reply.reply


def test_a_second_wish_waits_until_the_first_is_told():
    chat = Chat()
    assert chat("open a savings account in a branch, and where is the nearest branch?").asks == ("more",)
    while (reply := chat("yes")).asks == ("more",):
        assert "?" not in reply.reply.partition("Shall I go on")[0]
    assert reply.asks == ("location",)


def test_a_caller_hears_steps_as_sentences():
    replies = told_in_full(Chat(session={"channel": "voice"}), "how do I order the premium card, step by step?")
    text = " ".join(reply.reply for reply in replies)
    assert "\n" not in text
    assert "these are the steps. Sign in to the app or visit a branch. Open Cards and choose Upgrade." in text


def test_a_piece_is_known_by_its_words_whatever_became_of_its_lines():
    said = Worded("Steps:\n1. Sign in", ("a claim",))
    assert pieces_of([said, Worded("Bye.")], ["Here: Steps: 1. Sign in 2. Choose"]) == [Worded("Bye.")]
    assert pieces_of([said], ["Steps: 1. Sign out"]) == [said]


def test_what_fits_is_told_and_the_first_piece_in_any_case():
    pieces = [Worded("one two three", about="fees"), Worded("\n1. four five", about="steps"), Worded("six", about="")]
    assert fitted(pieces, 6) == (pieces, [])
    assert fitted(pieces, 5) == (pieces[:2], pieces[2:])
    assert fitted(pieces, 1) == (pieces[:1], pieces[1:])
    assert more_question(pieces[1:]) == "Shall I go on with the steps?"
    assert more_question(pieces[1:], pieces[1]) == "Shall I go on with the rest of the steps?"
    assert more_question(pieces[2:], pieces[1]) == "Shall I go on?"


def test_marks_of_lists_are_no_words():
    assert words_in("To order:\n1. Sign in\n10) Choose\n- A card", "two words") == 9


def test_at_night_no_person_is_promised_where_no_tool_tells_the_hours(monkeypatch):
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: CLOSED)
    monkeypatch.setattr(tools, "live_bank", lambda: bank)
    chat = Chat(at=CLOSED, broken=("transfer_to_agent", "check_hours", "request_callback"))
    replies = [chat(text) for text in ("I want a person", "07700 900123", "yes")]
    assert all(reply.action == "clarify" and "specialists are not there now" in reply.reply for reply in replies[::2])
