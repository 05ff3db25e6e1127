"""Conversations in a real table of the local AWS: two processes go on with the same one, and lose and repeat nothing."""

import asyncio
from datetime import UTC, datetime

import pytest

from service.conversations.conversation import Conversation, MadeBy
from service.conversations.store import ConversationChanged
from service.conversations.table import ConversationTable
from service.conversations.turns import Turns
from service.core.run.dialogue.turn import DialogueReply
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.frame.errors import StoreError

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
AT = datetime(2026, 11, 22, tzinfo=UTC)
MADE = MadeBy(
    request_id="req-1", pair="p", pair_digest="d", prompt_version="v1", registry_version=1, model="m", degraded=False
)
CONVERSATION = Conversation(id="conv-1", task="parcels", channel="chat", started_at=AT, session={"phone": "077"})


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws()


@pytest.fixture
async def table(settings):
    """Make a table object of one process; keyword arguments replace its fields."""
    dynamodb, opened = client("dynamodb", settings), []

    def made(**changes):
        fields = {"scope": "local", "kept_s": 3600.0, "timeout_s": 10.0} | changes
        name = fields.pop("table", settings.stores.conversations_table)
        opened.append(DynamoQueries.beside(dynamodb, settings))
        return ConversationTable(opened[-1], name, **fields)

    yield made
    for queries in opened:
        await queries.aclose()


def process(table, said):
    """One process's turns, which answer after a moment."""

    async def answer(before, message):
        said.append(message.said)
        await asyncio.sleep(0.01)
        return DialogueReply(reply=f"{len(before.spoken)} before {message.said}", action="answer"), MADE

    turns = Turns(
        store=table, now=lambda: datetime.now(UTC), ids=iter([f"{id(table)}-{n}" for n in range(99)]).__next__
    )
    return lambda message: turns.take("k", message, message, answer, hold_s=30, patience_s=60), turns


@pytest.mark.acceptance("bot-test-07")
async def test_two_processes_answer_one_conversation_in_order_and_once(table):
    said = []
    (one, turns), (other, _) = process(table(scope="order"), said), process(table(scope="order"), said)
    await turns.start("k", CONVERSATION)
    names = [f"m{number}" for number in range(4)]
    answered = await asyncio.gather(*(say(name) for name in names for say in (one, other)))
    assert sorted(said) == names
    kept = await turns.find("k")
    assert [each.said for each in kept.exchanges] == said
    assert [each.reply.reply for each in kept.exchanges] == [f"{2 * n} before {text}" for n, text in enumerate(said)]
    assert len({(turn.exchange.message_id, turn.exchange.reply.reply) for turn in answered}) == 4


@pytest.mark.acceptance("turn-13")
async def test_a_conversation_is_kept_with_its_version_and_ends_with_its_time(table):
    first, late = table(scope="time"), table(scope="time", now=lambda: datetime(2040, 1, 1, tzinfo=UTC).timestamp())
    await first.put("k", CONVERSATION, expected=0)
    assert await first.get("k") == (CONVERSATION, 1)
    with pytest.raises(ConversationChanged):
        await first.put("k", CONVERSATION, expected=0)
    assert await late.get("k") is None
    await late.put("k", CONVERSATION, expected=0)  # the expired one is as if it were gone
    assert await table(scope="other stage").get("k") is None


async def test_the_largest_conversation_fits_into_an_item(table):
    store, said = table(scope="large"), []
    _, turns = process(store, said)
    await turns.start("k", CONVERSATION)

    async def answer(before, message):
        return DialogueReply(reply="é" * 4000, action="answer"), MADE

    for number in range(12):
        await turns.take("k", f"m{number}", "é" * 2000, answer, hold_s=30, patience_s=60)
    assert len((await turns.find("k")).exchanges) == 10


async def test_without_the_table_nothing_is_answered(table):
    with pytest.raises(StoreError, match="omni up"):
        await table(table="missing").get("k")
