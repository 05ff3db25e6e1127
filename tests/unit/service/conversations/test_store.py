"""The table under throttles and broken connections: an access is repeated, and a turn is neither lost nor taken twice."""

from datetime import UTC, datetime
from itertools import count

import pytest
from service.conversations.conversation import Conversation, MadeBy
from service.conversations.table import ConversationTable
from service.conversations.turns import Turns

from service.conversations.store import ConversationChanged
from service.core.run.dialogue.turn import DialogueReply
from service.kit.aws.bounded import ItemChanged, StoreDropped, StoreThrottled
from service.kit.frame.errors import StoreError

AT = datetime(2026, 11, 22, tzinfo=UTC)
CONVERSATION = Conversation(id="conv-1", task="parcels", channel="chat", started_at=AT)
MADE = MadeBy(
    request_id="req-1", pair="p", pair_digest="d", prompt_version="v1", registry_version=1, model="m", degraded=False
)


class Tables:
    """DynamoDB's conditional puts on one item; ``troubles`` are raised in turn, those in ``lost`` after the write."""

    def __init__(self, *troubles, lost=()):
        self.troubles, self.lost, self.item, self.calls = list(troubles), list(lost), None, 0

    async def query(self, **arguments):
        self._trouble()
        return {"Items": [] if self.item is None else [self.item]}

    async def put(self, **arguments):
        self._trouble()
        version = 0 if self.item is None else int(self.item["version"]["N"])
        expected = arguments["ExpressionAttributeValues"].get(":expected", {"N": "0"})["N"]
        if version != int(expected):
            raise ItemChanged("not as expected")
        self.item = arguments["Item"]
        if self.lost:
            raise self.lost.pop(0)

    def _trouble(self):
        self.calls += 1
        if self.troubles:
            raise self.troubles.pop(0)


def table(tables, timeout_s=5.0):
    return ConversationTable(tables, "conversations", scope="test", kept_s=60, timeout_s=timeout_s, now=AT.timestamp)


async def test_throttles_are_waited_for():
    tables = Tables(StoreThrottled("busy"), StoreThrottled("busy"))
    await table(tables).put("k", CONVERSATION, expected=0)
    tables.troubles = [StoreThrottled("busy"), StoreDropped("closed")]
    assert await table(tables).get("k") == (CONVERSATION, 1)
    assert tables.calls == 6


async def test_a_throttle_that_does_not_end_is_an_error():
    tables = Tables(*[StoreThrottled("busy") for _ in range(1000)])
    with pytest.raises(StoreThrottled):
        await table(tables, timeout_s=0.05).put("k", CONVERSATION, expected=0)


async def test_an_error_that_no_repetition_mends_is_raised_at_once():
    tables = Tables(StoreError("no such table"))
    with pytest.raises(StoreError, match="no such table"):
        await table(tables).put("k", CONVERSATION, expected=0)
    assert tables.calls == 1


async def test_a_write_whose_answer_is_lost_looks_as_if_somebody_else_had_written():
    with pytest.raises(ConversationChanged):
        await table(Tables(lost=[StoreDropped("closed")])).put("k", CONVERSATION, expected=0)


async def test_a_turn_whose_every_write_loses_its_answer_is_taken_once():
    heard, ids = [], count()

    async def answer(before, message):
        heard.append(message.said)
        return DialogueReply(reply=f"re {message.said}", action="answer"), MADE

    tables = Tables()
    turns = Turns(store=table(tables), now=lambda: AT, ids=lambda: f"token-{next(ids)}")
    tables.lost = [StoreDropped("closed") for _ in range(3)]  # started, taken in, settled
    await turns.start("k", CONVERSATION)
    turn = await turns.take("k", "m-1", "hello", answer, hold_s=60, patience_s=60)
    assert (turn.exchange.reply.reply, heard, tables.lost) == ("re hello", ["hello"], [])
    assert len((await turns.find("k")).exchanges) == 1
