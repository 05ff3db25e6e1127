"""A conversation that a person has taken over: what the person says is kept in its place, once, and within bounds."""

from datetime import UTC, datetime

import pytest

from service.conversations.model import (
    MOST_READ,
    ConversationEnded,
    ConversationRefused,
    Holder,
    KeptConversation,
)
from service.core.run.dialogue.turn import DialogueReply
from service.core.unit.channel import Channel

AT = datetime(2026, 11, 22, tzinfo=UTC)
HOLDER = Holder(token="t", until=AT)


def conversation(state="handed_over"):
    begun = KeptConversation.begun(id="conv-1", task="parcels", channel=Channel.CHAT, at=AT)
    heard = begun.placed(begun.message("customer", "m-1", "I want a person", AT))
    return heard.model_copy(update={"state": state})


def answers(found, number, text="Hello"):
    return found.answered(found.message("person", f"a-{number}", text, AT))


def says(found, message_id, said="And now?"):
    return found.received(found.message("customer", message_id, said, AT), HOLDER)


def texts(found):
    return [(each.author, each.text) for each in found.messages]


def test_a_person_answers_between_the_customer_s_messages():
    found = answers(says(answers(conversation().taken_over("Anna"), 1), "m-2"), 2, "Soon")
    assert found.person == "Anna"
    assert texts(found)[1:] == [("person", "Hello"), ("customer", "And now?"), ("person", "Soon")]
    assert [each.seq for each in found.messages] == [1, 2, 3, 4]


def test_both_sides_may_say_several_things_in_a_row():
    found = answers(answers(says(says(conversation(), "m-2"), "m-3"), 1), 2)
    assert [each.author for each in found.messages] == ["customer"] * 3 + ["person"] * 2


def test_a_person_may_say_the_first_word():
    begun = KeptConversation.begun(id="conv-1", task="parcels", channel=Channel.CHAT, at=AT)
    found = answers(begun.taken_over("Anna"), 1)
    assert texts(found) == [("person", "Hello")]
    assert texts(says(found, "m-1"))[1] == ("customer", "And now?")


def test_a_message_of_a_thread_names_what_it_answers_and_what_its_channel_calls_it():
    found = conversation()
    mail = found.message("customer", "m-2", "See below", AT, channel=Channel.EMAIL, reply_to="m-1", provider_id="<7@x>")
    found = found.received(mail, HOLDER)
    assert found.channels == (Channel.CHAT, Channel.EMAIL)
    last = found.messages[-1]
    assert (last.reply_to, last.provider_id, last.direction, last.seq) == ("m-1", "<7@x>", "inbound", 2)


def test_the_same_answer_again_changes_nothing():
    found = says(answers(conversation(), 1), "m-2")
    assert answers(found, 1) is found
    assert found.taken_over("Anna").taken_over("Anna").person == "Anna"


def test_nobody_answers_beside_the_assistant_or_after_the_end():
    with pytest.raises(ConversationRefused, match="not handed over"):
        answers(conversation("open"), 1)
    ended = conversation().ended()
    assert (ended.state, ended.ended()) == ("closed", ended)
    with pytest.raises(ConversationEnded, match="has ended"):
        answers(ended, 1)
    with pytest.raises(ConversationEnded):
        says(ended, "m-2")
    with pytest.raises(ConversationEnded):
        ended.taken_over("Anna")


def test_a_person_may_take_over_in_the_middle_of_a_turn_whose_reply_then_counts_no_more():
    waiting = says(conversation("open"), "m-2")
    found = waiting.taken_over("Anna")
    assert (found.state, found.waiting, found.messages[-1].text) == ("handed_over", (), "And now?")
    assert found.settled("m-2", DialogueReply(reply="Too late", action="answer"), None) == found


def test_what_waits_when_a_conversation_ends_is_kept():
    ended = says(conversation("open"), "m-2").ended()
    assert (ended.waiting, ended.messages[-1].text) == ((), "And now?")


def test_the_state_of_a_long_talk_stays_small_and_knows_its_messages():
    found = conversation()
    for number in range(200):
        found = says(answers(found, number, "a" * 2_000), f"m-{number + 2}", "b" * 2_000)
        found = found.with_newest(found.messages[-MOST_READ:])  # as it is read
    assert len(found.model_dump_json()) < 50_000
    assert (found.last_seq, found.heard, found.forgotten("m-5")) == (401, 201, 9)
    assert says(found, "m-5", "b" * 2_000) is found


def test_a_person_waits_for_the_customer_after_many_messages_in_a_row():
    found = conversation()
    for number in range(20):
        found = answers(found, number)
    with pytest.raises(ConversationRefused, match="in a row"):
        answers(found, 20)
