"""The ledger in the shared table: what becomes of a claim whose caller has gone. More in tests/integration/tools."""

import asyncio
import json
import threading
from types import SimpleNamespace

import pytest
from shared_table import TableInMemory

from service.core.tools.effect_table import EffectTable
from service.kit.frame.errors import StoreError

LONG_S = 60.0


class Shared:
    """A table whose reads wait for ``gate``."""

    def __init__(self):
        self.items, self.gate, self.entered = {}, threading.Event(), threading.Event()

    def get(self, partition, key):
        self.entered.set()
        assert self.gate.wait(LONG_S)
        return self.items.get(key)

    def put(self, partition, key, text, *, expected, expires_at):
        version = self.items[key].version + 1 if key in self.items else 1
        self.items[key] = SimpleNamespace(text=text, version=version)


def state_of(shared, key="aa"):
    return json.loads(shared.items[key].text)["state"] if key in shared.items else None


async def left(table, shared):
    """Claim, and leave while the table is being read."""
    claiming = asyncio.create_task(table.claim("aa", tool="t"))
    assert await asyncio.to_thread(shared.entered.wait, LONG_S)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    shared.gate.set()


async def test_what_a_caller_who_has_gone_would_have_claimed_may_be_claimed_again():
    shared = Shared()
    table = EffectTable(shared)
    await left(table, shared)
    async with asyncio.timeout(LONG_S):
        while state_of(shared) != "failed":  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert await table.claim("aa", tool="t") is None
    assert state_of(shared) == "claimed"


async def test_an_effect_that_is_known_already_stays_as_it_is():
    shared = Shared()
    shared.items["aa"] = SimpleNamespace(text='{"state": "claimed", "content": "t"}', version=1)
    table = EffectTable(shared)
    await left(table, shared)
    assert (await table.claim("aa", tool="t")).state == "claimed"
    assert shared.items["aa"].version == 1


@pytest.mark.parametrize("text", ["x", "[]", '{"state": "nonsense"}', '{"state": "done", "content": 5}', "[" * 100_000])
async def test_a_damaged_note_lets_no_tool_be_called_and_says_where_it_stands(text):
    table = TableInMemory()
    table.put("effects/aa", "aa", text)
    with pytest.raises(StoreError, match="'aa' of 'test/effects/aa'"):
        await EffectTable(table).claim("aa", tool="t")
    assert table.get("effects/aa", "aa").text == text
