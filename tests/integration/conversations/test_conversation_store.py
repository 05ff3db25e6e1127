"""Conversations in a real table of the local AWS: two processes go on with the same one, and lose and repeat nothing."""

import asyncio
import json
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.conversations.model import KeptConversation, MadeBy
from service.conversations.service import Turns
from service.conversations.store import ConversationChanged, conversations_in_tables
from service.core.run.dialogue.turn import DialogueReply
from service.core.unit.channel import Channel
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.frame.errors import StoreError

RECORDED = Path(__file__).parents[2] / "recorded" / "conversations" / "one_item_each.json"
pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
AT = datetime(2026, 11, 22, tzinfo=UTC)
MADE = MadeBy(
    request_id="req-1", pair="p", pair_digest="d", prompt_version="v1", registry_version=1, model="m", degraded=False
)
CONVERSATION = KeptConversation.begun(
    id="conv-1", task="parcels", channel=Channel.CHAT, at=AT, greeting="Hello.", session={"phone": "077"}
)


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws()


@pytest.fixture
async def table(settings):
    """Make a table object of one process; keyword arguments replace its fields."""
    dynamodb, opened = client("dynamodb", settings), []

    def made(**changes):
        fields = {"scope": "local", "kept_s": 3600.0, "timeout_s": 10.0} | changes
        stores = settings.stores.model_copy(update=fields.pop("names", {}))
        opened.append(DynamoQueries.beside(dynamodb, settings))
        return conversations_in_tables(opened[-1], SimpleNamespace(stores=stores), **fields)

    yield made
    for queries in opened:
        await queries.aclose()


def process(table, said):
    """One process's turns, which answer after a moment."""

    async def answer(before, message):
        said.append(message.text)
        await asyncio.sleep(0.01)
        return DialogueReply(reply=f"{len(before.spoken)} before {message.text}", action="answer"), MADE

    turns = Turns(
        store=table, now=lambda: datetime.now(UTC), ids=iter([f"{id(table)}-{n}" for n in range(99)]).__next__
    )
    return lambda message: turns.take("k", message, message, answer, hold_s=30, patience_s=60), turns


async def test_two_processes_answer_one_conversation_in_order_and_once(table):
    said = []
    (one, turns), (other, _) = process(table(scope="order"), said), process(table(scope="order"), said)
    await turns.start("k", CONVERSATION)
    names = [f"m{number}" for number in range(4)]
    answered = await asyncio.gather(*(say(name) for name in names for say in (one, other)))
    assert sorted(said) == names
    kept = await turns.find("k")
    replies = [f"{2 * n + 1} before {text}" for n, text in enumerate(said)]
    assert [each.text for each in kept.messages] == ["Hello.", *chain.from_iterable(zip(said, replies, strict=True))]
    assert len({(turn.message.id, turn.reply.text) for turn in answered}) == 4


async def test_a_conversation_is_kept_with_its_version_and_ends_with_its_time(table):
    first, late = table(scope="time"), table(scope="time", now=lambda: datetime(2040, 1, 1, tzinfo=UTC).timestamp())
    await first.put("k", CONVERSATION, over=None)
    found = await first.get("k")
    assert (found.conversation, found.version) == (CONVERSATION, 1)
    with pytest.raises(ConversationChanged):
        await first.put("k", CONVERSATION, over=None)
    assert await late.get("k") is None
    await late.put("k", CONVERSATION, over=None)  # the expired one is as if it were gone
    assert await table(scope="other stage").get("k") is None


async def test_two_writes_at_once_are_one_write_and_nothing_of_the_other(table):
    one, other = table(scope="both"), table(scope="both")
    await one.put("k", CONVERSATION, over=None)
    found = await one.get("k")
    person = found.conversation.taken_over("Anna")
    writes = [
        store.put("k", person.answered(person.message("person", f"p-{number}", f"words {number}", AT)), over=found)
        for number, store in enumerate((one, other))
    ]
    done = await asyncio.gather(*writes, return_exceptions=True)
    ((winner, _),) = [(number, each) for number, each in enumerate(done) if each is None]
    assert isinstance(done[1 - winner], ConversationChanged)
    kept = await one.get("k")
    assert [each.text for each in kept.conversation.messages] == ["Hello.", f"words {winner}"]


async def test_a_conversation_that_no_single_item_could_hold_is_read_in_pages(table):
    store = table(scope="large")
    _, turns = process(store, [])
    await turns.start("k", CONVERSATION)

    async def answer(before, message):
        return DialogueReply(reply="é" * 4000, action="answer"), MADE

    for number in range(24):  # 48 messages of 384 KB with the replies' JSON
        await turns.take("k", f"m{number}", "é" * 2000, answer, hold_s=30, patience_s=60)
    places, after = [], 0
    while after is not None:
        page = await turns.timeline("k", after=after, most=20)
        places += [each.seq for each in page.messages]
        after = page.next
    assert places == list(range(1, 50))


async def test_a_conversation_that_was_written_as_one_item_goes_on_as_messages(table, settings):
    recorded = json.loads(RECORDED.read_text())["handed_over"]
    client("dynamodb", settings).put_item(TableName=settings.stores.conversations_table, Item=recorded)
    store, key = table(scope="local"), recorded["conversation"]["S"].removeprefix("local/")
    found = await store.get(key)
    talk = found.conversation
    await store.put(key, talk.answered(talk.message("person", "a-3", "Still there?", AT)), over=found)
    again = await store.get(key)
    assert (again.version, again.conversation.messages[-1].text) == (1, "Still there?")
    assert again.conversation.messages[:-1] == talk.messages


async def test_without_the_table_nothing_is_answered(table):
    with pytest.raises(StoreError, match="omni up"):
        await table(names={"messages_table": "missing"}).get("k")
