"""Conversations that an earlier version wrote as one item each: they are read, go on, and are messages from then on."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.api.conversations.models import said_in
from service.conversations.model import ConversationRefused
from service.conversations.service import Turns
from service.conversations.store import ConversationChanged, ConversationStore
from service.kit.aws.stores import CONVERSATIONS, MESSAGES
from service.kit.records.items import decoded_item
from service.kit.records.memory import AwaitedRows, RowsInMemory

RECORDED = Path(__file__).parents[3] / "recorded" / "conversations" / "one_item_each.json"
AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
KEY = "parcels/tenant:acme/conv-0123456789abcdef01234567"


def kept(which):
    """Return a store with an item of the former table as it was written, and the table of messages."""
    former, messages = RowsInMemory(CONVERSATIONS), RowsInMemory(MESSAGES)
    former.put(decoded_item(json.loads(RECORDED.read_text())[which]))
    store = ConversationStore(
        AwaitedRows(messages), scope="local", kept_s=3600, now=AT.timestamp, former=AwaitedRows(former)
    )
    store.erase = lambda: former.delete((f"local/{KEY}",))
    return store, messages


async def test_everything_that_an_item_holds_is_read():
    found, _, _ = await kept("handed_over")[0].get(KEY)
    assert (found.state, found.person, found.reason, found.tenant) == (
        "handed_over",
        "Anna",
        "explicit_request",
        "acme",
    )
    assert (found.customer.of("phone"), found.channel, found.turns) == ("07700900123", "chat", 15)
    said = [(each.by, each.message_id, each.text) for each in said_in(found)]
    assert said[-6:] == [
        ("customer", "m-12", "Hello?"),
        ("customer", "m-13", "Are you there?"),
        ("assistant", "m-13", "One moment."),
        ("person", "a-1", "Hello, this is Anna."),
        ("customer", "m-14", "Hello Anna"),
        ("person", "a-2", "How can I help?"),
    ]
    reply = found.reply_to("m-11")
    assert (reply.text, reply.made_by.request_id) == ("Parcel 11 is due on Friday.", "req-11")


async def test_what_waits_is_answered_and_then_all_messages_are_items():
    store, messages = kept("waiting")
    found = await store.get(KEY)
    assert ([each.id for each in found.conversation.waiting], found.version) == (["m-13"], 0)
    before = [each.text for each in found.conversation.messages]
    settled = found.conversation.settled("m-13", None, None)
    await store.put(KEY, settled, over=found)
    again = await store.get(KEY)
    assert (again.version, again.conversation) == (1, settled)
    turns = Turns(store=store, now=lambda: AT, ids=lambda: "t")
    assert [each.text for each in (await turns.timeline(KEY)).messages] == [*before, "Are you there?"]
    assert len(list(messages.scan())) == len(before) + 2


async def test_of_two_processes_that_go_on_with_one_the_second_reads_again():
    store, _ = kept("waiting")
    found = await store.get(KEY)
    await store.put(KEY, found.conversation.taken_over("Anna"), over=found)
    with pytest.raises(ConversationChanged):
        await store.put(KEY, found.conversation.ended(), over=found)
    assert (await store.get(KEY)).conversation.person == "Anna"


async def test_one_that_was_erased_while_a_turn_was_answered_does_not_come_back():
    store, messages = kept("waiting")
    found = await store.get(KEY)
    store.erase()
    with pytest.raises(ConversationChanged):
        await store.put(KEY, found.conversation.settled("m-13", None, None), over=found)
    assert list(messages.scan()) == []
    assert await store.get(KEY) is None


async def test_a_message_whose_text_was_dropped_is_known_by_its_id_and_one_that_was_kept_is_answered_again():
    store, _ = kept("handed_over")
    turns = Turns(store=store, now=lambda: AT, ids=lambda: "t")
    kept_one = await turns.take(KEY, "m-11", "Where is parcel 11?", None, hold_s=1, patience_s=1)
    assert (kept_one.repeated, kept_one.reply.text) == (True, "Parcel 11 is due on Friday.")
    with pytest.raises(ConversationRefused, match="its reply is gone"):
        await turns.take(KEY, "m-1", "Where is parcel 1?", None, hold_s=1, patience_s=1)


async def test_a_conversation_of_the_former_table_is_not_started_anew_and_ends_with_its_time():
    store, _ = kept("waiting")
    turns = Turns(store=store, now=lambda: AT, ids=lambda: "t")
    found = (await store.get(KEY)).conversation
    assert (await turns.start(KEY, found.ended())).state == "open"
    store._now = lambda: 4_200_000_000.0
    assert await store.get(KEY) is None
