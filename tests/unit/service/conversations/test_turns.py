"""Turns of a conversation: in order, each answered once, none lost, whichever process takes them."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from service.conversations.model import (
    MOST_MESSAGES,
    MOST_TURNS,
    MOST_WAITING,
    ConversationRefused,
    KeptConversation,
    MadeBy,
)
from service.conversations.service import ConversationMissing, Turns
from service.conversations.store import ConversationChanged, conversations_in_memory
from service.core.run.dialogue.turn import DialogueReply, HandoverNote
from service.core.unit.channel import Channel
from service.kit.frame.errors import DeadlineExceeded, StoreError, UpstreamUnavailable

AT = datetime(2026, 11, 22, tzinfo=UTC)
MADE = MadeBy(
    request_id="req-1", pair="p", pair_digest="d", prompt_version="v1", registry_version=1, model="m", degraded=False
)
LONG_S = 60.0


async def until(holds):
    """Wait for what another task does; a test that waits in vain fails."""
    async with asyncio.timeout(LONG_S):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


def begun(**fields):
    return KeptConversation.begun(id="conv-1", task="parcels", channel=Channel.CHAT, at=AT, **fields)


class Clock:
    def __init__(self):
        self.at = AT

    def __call__(self):
        return self.at

    def forward(self, seconds):
        self.at += timedelta(seconds=seconds)


class Desk:
    """Two processes on one store, and one who answers."""

    def __init__(self):
        self.clock, self.store, ids = Clock(), conversations_in_memory(), count()
        self.one, self.other = (
            Turns(store=self.store, now=self.clock, ids=lambda: f"token-{next(ids)}") for _ in range(2)
        )
        self.heard, self.histories = [], []
        self.gate = None  # an event for which every answer waits

    async def start(self, **fields):
        await self.one.start("k", begun(**fields))
        return self

    async def answer(self, before, message):
        self.heard.append(message.text)
        self.histories.append([each.text for each in before.spoken])
        if self.gate is not None:
            await self.gate.wait()
        if message.text == "person":
            note = HandoverNote(reason="explicit_request", context="They asked for one.")
            return DialogueReply(reply="One moment.", action="handover", handover=note), MADE
        if message.text == "bye":
            return DialogueReply(reply="Goodbye.", action="close"), MADE
        if message.text == "fail":
            raise UpstreamUnavailable("no model")
        return DialogueReply(reply=f"re {message.text}", action="answer"), MADE

    async def has_heard(self):
        return bool(self.heard)

    def waits(self, number):
        async def holds():
            return len((await self.one.find("k")).waiting) == number

        return holds

    async def say(self, message_id, said=None, *, at=None, patience_s=LONG_S):
        turns = at or self.one
        return await turns.take("k", message_id, said or message_id, self.answer, hold_s=5, patience_s=patience_s)


async def test_a_turn_knows_what_was_said_before_it_and_is_kept():
    desk = await Desk().start(greeting="Hello.")
    assert (await desk.say("a")).reply.text == "re a"
    await desk.say("b", at=desk.other)
    assert desk.histories == [["Hello."], ["Hello.", "a", "re a"]]


async def test_a_message_that_is_sent_again_gets_the_same_reply_and_is_not_answered_again():
    desk = await Desk().start()
    first = await desk.say("a")
    again = await desk.say("a", at=desk.other)
    assert (first.repeated, again.repeated, again.reply) == (False, True, first.reply)
    assert desk.heard == ["a"]


async def test_the_same_message_twice_at_once_is_answered_once():
    desk = await Desk().start()
    turns = await asyncio.gather(desk.say("a"), desk.say("a", at=desk.other), desk.say("a"))
    assert desk.heard == ["a"]
    assert len({turn.reply.text for turn in turns}) == 1


async def test_an_id_names_one_message():
    desk = await Desk().start()
    await desk.say("a")
    with pytest.raises(ConversationRefused, match="another message"):
        await desk.say("a", "something else")


async def test_messages_at_once_are_answered_in_order_and_none_is_lost():
    desk = await Desk().start()
    desk.gate = asyncio.Event()
    running = []
    for number, name in enumerate(("a", "b", "c")):
        running.append(asyncio.create_task(desk.say(name, at=(desk.one, desk.other)[number % 2])))
        await until(desk.waits(number + 1))
    assert desk.heard == ["a"]
    desk.gate.set()
    await asyncio.gather(*running)
    assert desk.heard == ["a", "b", "c"]
    assert desk.histories[-1] == ["a", "re a", "b", "re b"]


async def test_writes_at_the_same_moment_lose_nothing():
    desk = await Desk().start()
    await asyncio.gather(*(desk.say(name, at=at) for name, at in (("a", desk.one), ("b", desk.other), ("c", desk.one))))
    conversation = await desk.one.find("k")
    assert sorted(desk.heard) == ["a", "b", "c"]
    assert [each.text for each in conversation.messages if each.reply_to] == [f"re {said}" for said in desk.heard]


async def died_in_a_turn(desk):
    """A process takes the message "a" and is never heard of again."""
    desk.gate = asyncio.Event()
    running = asyncio.create_task(desk.say("a"))
    await until(desk.has_heard)
    put, desk.store.put = desk.store.put, refuse  # a process that is killed writes nothing more
    ending = [running, *desk.one._running]
    for each in ending:
        each.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
    desk.store.put, desk.gate = put, None


async def refuse(*_, **__):
    raise StoreError("this process is dead")


async def test_a_turn_of_a_process_that_died_is_taken_by_another_when_the_customer_goes_on():
    desk = await Desk().start()
    await died_in_a_turn(desk)
    waiting = asyncio.create_task(desk.say("b", at=desk.other))
    await until(desk.waits(2))
    assert desk.heard == ["a"]  # until its time is over it may still answer
    desk.clock.forward(6)
    assert (await waiting).reply.text == "re b"
    assert desk.heard == ["a", "a", "b"]
    assert desk.histories[-1] == ["a", "re a"]


async def test_the_message_of_a_process_that_died_is_answered_when_it_is_sent_again():
    desk = await Desk().start()
    await died_in_a_turn(desk)
    desk.clock.forward(6)
    assert (await desk.say("a", at=desk.other)).reply.text == "re a"


async def test_a_message_that_ends_processes_is_put_aside():
    desk = await Desk().start()
    for _ in range(2):
        await died_in_a_turn(desk)
        desk.clock.forward(6)
        desk.heard.clear()
    turn = await desk.say("b", at=desk.other)
    assert (turn.reply.text, desk.heard) == ("re b", ["b"])
    assert desk.histories[-1] == ["a"]  # the customer did say it


async def test_who_waits_too_long_is_told_and_the_message_stays():
    desk = await Desk().start()
    desk.gate = asyncio.Event()
    first = asyncio.create_task(desk.say("a"))
    await until(desk.has_heard)
    with pytest.raises(DeadlineExceeded):
        await desk.say("b", patience_s=0)
    desk.gate.set()
    await first
    desk.clock.forward(1)
    assert (await desk.say("c")).reply.text == "re c"
    assert desk.heard == ["a", "b", "c"]


@pytest.mark.acceptance("turn-19")
async def test_a_customer_who_leaves_finds_the_reply_later():
    desk = await Desk().start()
    desk.gate = asyncio.Event()
    running = asyncio.create_task(desk.say("a"))
    await until(desk.has_heard)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    desk.gate.set()
    await desk.one.aclose()
    assert (await desk.one.find("k")).reply_to("a").text == "re a"


async def test_a_turn_without_an_answer_may_be_tried_again_and_holds_nobody_up():
    desk = await Desk().start()
    with pytest.raises(UpstreamUnavailable):
        await desk.say("a", "fail")
    assert (await desk.say("b")).reply.text == "re b"
    with pytest.raises(UpstreamUnavailable):
        await desk.say("a", "fail")
    assert desk.heard == ["fail", "b", "fail"]


@pytest.mark.acceptance("handover-15")
async def test_after_a_handover_the_assistant_is_silent_and_the_person_gets_what_is_said():
    desk = await Desk().start()
    desk.gate = asyncio.Event()
    first = asyncio.create_task(desk.say("1", "person"))
    await until(desk.has_heard)
    second = asyncio.create_task(desk.say("2", "hurry"))
    await until(desk.waits(2))
    desk.gate.set()
    assert (await first).conversation.state == "handed_over"
    for turn in (await second, await desk.say("3", "hello?"), await desk.say("3", "hello?")):
        assert (turn.reply, turn.repeated, turn.conversation.reason) == (None, False, "explicit_request")
    assert desk.heard == ["person"]
    assert [each.text for each in (await desk.one.find("k")).messages] == ["person", "One moment.", "hurry", "hello?"]


async def test_a_closed_conversation_takes_nothing_more_but_repeats_its_last_reply():
    desk = await Desk().start()
    await desk.say("1", "bye")
    assert (await desk.say("1", "bye")).repeated
    with pytest.raises(ConversationRefused, match="closed"):
        await desk.say("2")


@pytest.mark.acceptance("turn-10")
async def test_the_history_holds_twenty_messages_and_old_ids_are_not_forgotten():
    desk = await Desk().start(greeting="Hello.")
    for number in range(15):
        await desk.say(f"m{number}")
    assert len(desk.histories[-1]) == MOST_MESSAGES
    assert desk.histories[-1][-1] == "re m13"
    again = await desk.say("m0")
    assert (again.repeated, again.reply.text, len(desk.heard)) == (True, "re m0", 15)
    for number in range(15, MOST_TURNS):
        await desk.say(f"m{number}")
    with pytest.raises(ConversationRefused, match="turns"):
        await desk.say("one more")


async def test_only_so_many_messages_wait():
    desk = await Desk().start()
    desk.gate = asyncio.Event()
    running = [asyncio.create_task(desk.say(f"m{number}")) for number in range(MOST_WAITING)]
    await until(desk.waits(MOST_WAITING))
    with pytest.raises(ConversationRefused, match="wait"):
        await desk.say("one more")
    desk.gate.set()
    await asyncio.gather(*running)


async def test_a_conversation_started_again_is_the_same_and_an_unknown_one_is_missing():
    desk = await Desk().start(session={"phone": "07700900123"})
    again = begun(session={"phone": "07700900999"})
    assert (await desk.other.start("k", again)).session == {"phone": "07700900123"}
    with pytest.raises(ConversationMissing):
        await desk.one.take("nobody's", "a", "a", desk.answer, hold_s=5, patience_s=1)


async def test_a_version_is_written_once():
    store = conversations_in_memory()
    await store.put("k", begun(greeting="Hello."), over=None)
    found = await store.get("k")
    for over in (None, found._replace(version=2)):
        with pytest.raises(ConversationChanged):
            await store.put("k", begun(), over=over)
    assert await store.get("k") == found
