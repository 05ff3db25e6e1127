"""The store on the table in memory and on one that throttles: nothing is lost, half written or written twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from service.conversations.model import MOST_READ, ConversationRefused, KeptConversation, MadeBy
from service.conversations.service import Turns
from service.conversations.store import ConversationChanged, ConversationStore
from service.core.run.dialogue.turn import DialogueReply
from service.core.unit.channel import Channel
from service.kit.aws.bounded import StoreDropped, StoreThrottled
from service.kit.aws.stores import MESSAGES
from service.kit.frame.errors import StoreError
from service.kit.records.dynamo import DynamoEventLoopRows
from service.kit.records.items import decoded_item, encoded_item
from service.kit.records.memory import AwaitedRows, RowsInMemory
from service.kit.records.rows import Query, Write

AT = datetime(2026, 11, 22, tzinfo=UTC)
KEPT_S = 3600
MADE = MadeBy(
    request_id="req-1", pair="p", pair_digest="d", prompt_version="v1", registry_version=1, model="m", degraded=False
)


def begun(**fields):
    return KeptConversation.begun(id="conv-1", task="parcels", channel=Channel.CHAT, at=AT, **fields)


class Shelf:
    """A store over a table in memory, and a clock."""

    def __init__(self, rows=None):
        self.at, self.rows, self.ids = AT, rows or RowsInMemory(MESSAGES), count()
        self.store = ConversationStore(
            AwaitedRows(self.rows), scope="s", kept_s=KEPT_S, now=lambda: self.at.timestamp()
        )
        self.turns = Turns(store=self.store, now=lambda: self.at, ids=lambda: f"token-{next(self.ids)}")

    def later(self, seconds):
        self.at += timedelta(seconds=seconds)

    async def say(self, *names):
        for name in names:
            await self.turns.take("k", name, f"said {name}", answer, hold_s=5, patience_s=5)

    def items(self):
        return {item["seq"]: item for item in self.rows.scan()}


async def answer(before, message):
    return DialogueReply(reply=f"re {message.text}", action="answer"), MADE


async def talk(names, **fields):
    shelf = Shelf()
    await shelf.turns.start("k", begun(**fields))
    await shelf.say(*names)
    return shelf


async def test_each_message_is_an_item_and_the_state_another():
    shelf = await talk(["a", "b"], greeting="Hello.")
    found = shelf.items()
    assert sorted(found) == [f"{seq:010d}" for seq in range(1, 6)] + ["state"]
    assert {item["conversation"] for item in found.values()} == {"s/k"}
    assert "said a" not in found["state"]["text"]


async def test_nothing_that_was_said_is_dropped_and_it_is_read_in_pages():
    names = [f"m{number}" for number in range(100)]
    shelf = await talk(names)
    found, after, pages = [], 0, 0
    while after is not None:
        page = await shelf.turns.timeline("k", after=after, most=30)
        found += page.messages
        after, pages = page.next, pages + 1
    assert [each.text for each in found] == [text for name in names for text in (f"said {name}", f"re said {name}")]
    assert ([each.seq for each in found], pages) == ([*range(1, 201)], 7)
    assert len((await shelf.turns.find("k")).messages) == MOST_READ


async def test_a_message_that_arrives_again_after_many_others_gets_its_reply_and_no_other_text():
    shelf = await talk([f"m{number}" for number in range(50)])
    again = await shelf.turns.take("k", "m3", "said m3", None, hold_s=5, patience_s=5)
    assert (again.repeated, again.reply.text) == (True, "re said m3")
    with pytest.raises(ConversationRefused, match="another message"):
        await shelf.turns.take("k", "m3", "other words", None, hold_s=5, patience_s=5)
    assert (await shelf.turns.find("k")).last_seq == 100


async def test_a_conversation_that_goes_on_keeps_its_first_message_and_all_end_together():
    shelf = await talk(["a"])
    for number in range(12):
        shelf.later(KEPT_S / 2)
        await shelf.say(f"m{number}")
    kept_until = min(item["expires_at"] for item in shelf.items().values())
    assert kept_until >= (shelf.at + timedelta(seconds=KEPT_S)).timestamp()
    assert max(item["expires_at"] for item in shelf.items().values()) <= kept_until + KEPT_S / 8
    shelf.later(KEPT_S + 1)
    assert await shelf.store.get("k") is None


async def test_few_writes_prolong_all_messages():
    shelf = await talk(["a"])
    puts, put = [], shelf.rows.put
    shelf.rows.put = lambda item, *, when=None: (puts.append(item["seq"]), put(item, when=when))
    for number in range(10):
        shelf.later(KEPT_S / 100)
        await shelf.say(f"m{number}")
    assert [seq for seq in puts if seq != "state"] == []


async def test_an_erased_message_is_not_written_again_when_the_others_are_prolonged():
    shelf = await talk(["a"])
    page = shelf.rows.page

    def erased_meanwhile(query):
        found = page(query)
        shelf.rows.delete(("s/k", "0000000001"))
        return found

    shelf.rows.page = erased_meanwhile
    await shelf.store._prolong("k", 2, AT + timedelta(days=1))
    assert sorted(shelf.items()) == ["0000000002", "state"]


async def test_a_message_that_takes_an_expired_one_s_place_while_the_others_are_prolonged_stays():
    shelf = await talk(["old"])
    page, newer = shelf.rows.page, None

    def replaced_meanwhile(query):
        found = page(query)
        shelf.rows.put(found.items[0] | {"text": newer})
        return found

    newer = shelf.items()["0000000001"]["text"].replace("said old", "said new")
    shelf.rows.page = replaced_meanwhile
    await shelf.store._prolong("k", 2, AT + timedelta(days=1))
    assert shelf.items()["0000000001"]["text"] == newer


async def test_what_an_expired_conversation_left_behind_the_newest_place_is_not_kept_longer():
    shelf = await talk(["a", "b", "c"])
    shelf.later(KEPT_S + 1)
    left = shelf.items()["0000000006"]["expires_at"]
    await shelf.turns.start("k", begun())
    shelf.later(KEPT_S / 2)
    await shelf.say("d")
    shelf.later(KEPT_S / 2)
    await shelf.say("e")
    assert shelf.items()["0000000006"]["expires_at"] == left


async def test_an_expired_conversation_s_messages_are_not_those_of_a_new_one_with_its_id():
    shelf = await talk([f"m{number}" for number in range(MOST_READ)], greeting="Hello.")
    shelf.later(KEPT_S + 1)
    await shelf.turns.start("k", begun(greeting="Welcome back."))
    await shelf.say("m3")
    found = await shelf.turns.find("k")
    assert [each.text for each in found.messages] == ["Welcome back.", "said m3", "re said m3"]
    assert len((await shelf.turns.timeline("k")).messages) == 3


class HalfWritten(RowsInMemory):
    """Shows one half of a write to the next read: its state without its messages."""

    half = 0

    def page(self, query):
        found = super().page(query)
        if self.half:
            self.half -= 1
            return replace(found, items=[item for item in found.items if item["seq"] in ("state", "0000000001")])
        return found


async def test_a_read_in_the_middle_of_a_write_is_made_again():
    shelf = Shelf(HalfWritten(MESSAGES))
    await shelf.turns.start("k", begun(greeting="Hello."))
    await shelf.say("a")
    shelf.rows.half = 4
    assert [each.text for each in (await shelf.turns.find("k")).messages] == ["Hello.", "said a", "re said a"]
    shelf.rows.half = 1000
    with pytest.raises(StoreError, match="missing"):
        await shelf.turns.find("k")


async def test_a_message_that_a_read_lacks_in_the_middle_is_read_again():
    shelf = await talk(["a", "b"])
    page, reads = shelf.rows.page, []

    def torn(query):
        found = page(query)
        reads.append(query)
        return found if len(reads) > 1 else replace(found, items=[i for i in found.items if i["seq"] != "0000000003"])

    shelf.rows.page = torn
    assert [each.seq for each in (await shelf.turns.find("k")).messages] == [1, 2, 3, 4]


async def test_a_message_far_back_that_was_never_answered_is_refused_and_not_asked_for_again():
    shelf = await talk(["a"])

    async def fails(before, message):
        raise StoreError("no answer")

    with pytest.raises(StoreError):
        await shelf.turns.take("k", "lost", "said lost", fails, hold_s=5, patience_s=5)
    await shelf.say(*(f"m{number}" for number in range(MOST_READ)))
    with pytest.raises(ConversationRefused, match="far back"):
        await shelf.turns.take("k", "lost", "said lost", answer, hold_s=5, patience_s=5)


async def test_a_write_is_made_whole_or_not_at_all():
    shelf = await talk(["a"])
    found = await shelf.store.get("k")
    await shelf.say("b")
    before = shelf.items()
    late = found.conversation.taken_over("Anna")
    late = late.answered(late.message("person", "p-1", "Too late", AT))
    with pytest.raises(ConversationChanged):
        await shelf.store.put("k", late, over=found)
    assert shelf.items() == before


class Tables:
    """DynamoDB's part of the event loop on a table in memory; ``troubles`` are raised in turn, ``lost`` after writes."""

    def __init__(self, *troubles, lost=()):
        self.troubles, self.lost, self.calls = list(troubles), list(lost), 0
        self.rows = RowsInMemory(MESSAGES)
        self.tokens = set()

    async def query(self, **arguments):
        self._trouble()
        page = self.rows.page(Query(partition="test/k", newest_first=True))
        return {"Items": [encoded_item(item) for item in page.items]}

    async def put(self, **arguments):
        self._trouble()
        self._write([arguments])

    async def write_together(self, **arguments):
        self._trouble()
        if arguments["ClientRequestToken"] not in self.tokens:
            self.tokens.add(arguments["ClientRequestToken"])
            self._write([write["Put"] for write in arguments["TransactItems"]])

    def _write(self, puts):
        self.rows.together([Write(item=decoded_item(put["Item"]), when=Expected(put)) for put in puts])
        if self.lost:
            raise self.lost.pop(0)

    def _trouble(self):
        self.calls += 1
        if self.troubles:
            raise self.troubles.pop(0)


class Expected:
    """The store's own condition, of its state alone: its version, or that there is none."""

    def __init__(self, put):
        self._version = int(put["Item"].get("version", {"N": "1"})["N"]) - 1
        self._is_state = put["Item"]["seq"]["S"] == "state"

    def holds(self, item):
        return not self._is_state or item.get("version", 0) == self._version


def kept(tables, timeout_s=5.0):
    rows = DynamoEventLoopRows(tables, MESSAGES, "messages", timeout_s=timeout_s)
    return ConversationStore(rows, scope="test", kept_s=60, now=AT.timestamp)


@pytest.mark.parametrize("greeting", [None, "Hello."], ids=["one item", "two items"])
async def test_throttles_are_waited_for(greeting):
    tables = Tables(StoreThrottled("busy"), StoreThrottled("busy"))
    await kept(tables).put("k", begun(greeting=greeting), over=None)
    tables.troubles = [StoreThrottled("busy"), StoreDropped("closed")]
    found = await kept(tables).get("k")
    assert (found.conversation, found.version, tables.calls) == (begun(greeting=greeting), 1, 6)


async def test_a_throttle_that_does_not_end_is_an_error():
    tables = Tables(*[StoreThrottled("busy") for _ in range(1000)])
    with pytest.raises(StoreThrottled):
        await kept(tables, timeout_s=0.05).put("k", begun(), over=None)


async def test_an_error_that_no_repetition_mends_is_raised_at_once():
    tables = Tables(StoreError("no such table"))
    with pytest.raises(StoreError, match="no such table"):
        await kept(tables).put("k", begun(), over=None)
    assert tables.calls == 1


async def test_a_write_of_one_item_whose_answer_is_lost_looks_as_if_somebody_else_had_written():
    with pytest.raises(ConversationChanged):
        await kept(Tables(lost=[StoreDropped("closed")])).put("k", begun(), over=None)


async def test_a_turn_whose_every_write_loses_its_answer_is_taken_once():
    heard, ids = [], count()

    async def answer(before, message):
        heard.append(message.text)
        return DialogueReply(reply=f"re {message.text}", action="answer"), MADE

    tables = Tables()
    turns = Turns(store=kept(tables), now=lambda: AT, ids=lambda: f"token-{next(ids)}")
    tables.lost = [StoreDropped("closed") for _ in range(3)]  # started, taken in, settled
    await turns.start("k", begun())
    turn = await turns.take("k", "m-1", "hello", answer, hold_s=60, patience_s=60)
    assert (turn.reply.text, heard, tables.lost) == ("re hello", ["hello"], [])
    assert [each.text for each in (await turns.find("k")).messages] == ["hello", "re hello"]
