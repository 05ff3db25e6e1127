"""A conversation that a person has taken over: what the person says is kept in its place, once, and within bounds."""

from datetime import UTC, datetime

import pytest

from service.conversations.conversation import (
    Conversation,
    ConversationEnded,
    ConversationRefused,
    Exchange,
    Holder,
    PersonAnswer,
    WaitingMessage,
)
from service.core.run.dialogue.turn import DialogueReply

AT = datetime(2026, 11, 22, tzinfo=UTC)
HOLDER = Holder(token="t", until=AT)


def conversation(**fields):
    first = Exchange(message_id="m-1", said="I want a person", at=AT)
    made = {"id": "conv-1", "task": "parcels", "channel": "chat", "started_at": AT, "state": "handed_over"}
    return Conversation(**made | {"exchanges": (first,)} | fields)


def answer(number, text="Hello"):
    return PersonAnswer(message_id=f"a-{number}", text=text, at=AT)


def says(found, message_id, said="And now?"):
    return found.received(WaitingMessage(message_id=message_id, said=said, at=AT), HOLDER)


def test_a_person_answers_between_the_customer_s_messages():
    found = says(conversation().taken_over("Anna").answered(answer(1)), "m-2").answered(answer(2, "Soon"))
    assert found.person == "Anna"
    assert [[each.text for each in one.answers] for one in found.exchanges] == [["Hello"], ["Soon"]]
    assert Conversation.model_validate_json(found.model_dump_json()) == found


def test_the_same_answer_again_changes_nothing():
    found = says(conversation().answered(answer(1)), "m-2")
    assert found.answered(answer(1)) is found
    assert found.taken_over("Anna").taken_over("Anna").person == "Anna"


def test_nobody_answers_beside_the_assistant_or_after_the_end():
    with pytest.raises(ConversationRefused, match="not handed over"):
        conversation(state="open").answered(answer(1))
    ended = conversation().ended()
    assert (ended.state, ended.ended()) == ("closed", ended)
    with pytest.raises(ConversationEnded, match="has ended"):
        ended.answered(answer(1))
    with pytest.raises(ConversationEnded):
        says(ended, "m-2")
    with pytest.raises(ConversationEnded):
        ended.taken_over("Anna")


def test_a_person_may_take_over_in_the_middle_of_a_turn_whose_reply_then_counts_no_more():
    waiting = says(conversation(state="open"), "m-2")
    found = waiting.taken_over("Anna")
    assert (found.state, found.waiting, found.exchanges[-1].said) == ("handed_over", (), "And now?")
    assert found.settled("m-2", DialogueReply(reply="Too late", action="answer"), None) == found


def test_a_long_talk_stays_within_what_one_item_may_hold():
    found = conversation()
    for number in range(200):
        found = says(found.answered(answer(number, "a" * 2_000)), f"m-{number + 2}", "b" * 2_000)
    assert len(found.model_dump_json()) < 150_000
    assert found.exchanges[-1].message_id == "m-201"
    with pytest.raises(ConversationRefused, match="earlier"):
        says(found, "m-5", "b" * 2_000)


def test_a_person_waits_for_the_customer_after_many_messages_in_a_row():
    found = conversation()
    for number in range(20):
        found = found.answered(answer(number))
    with pytest.raises(ConversationRefused, match="in a row"):
        found.answered(answer(20))
