"""What several processes wrote is known to all of them, in a real table of the local AWS."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders import make_pair
from made_tables import make_table

from service.core.tools.allowed import AllowedTools
from service.core.tools.effect_table import EffectTable
from service.core.tools.effects import KnownEffect
from service.core.tools.functions import ToolFunction
from service.core.tools.provenance import Sources
from service.core.tools.serving import build_task_tools
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use
from service.kit.aws.clients import client
from service.kit.aws.stores import SHARED
from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import open_shared_state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(local_aws):
    settings = local_aws(shared_table="effects-test")
    make_table(client("dynamodb", settings), SHARED, settings.stores.shared_table)
    return settings


@pytest.fixture
def ledger(settings):
    return lambda: EffectTable(open_shared_state(settings))


def test_one_of_many_claims_an_effect(ledger):
    def claim(_):
        return asyncio.run(ledger().claim("aa-many", tool="request_callback"))

    with ThreadPoolExecutor(8) as pool:
        known = list(pool.map(claim, range(8)))
    assert known.count(None) == 1
    assert {effect.state for effect in known if effect} == {"claimed"}


def test_what_one_process_wrote_another_repeats(ledger):
    assert asyncio.run(ledger().claim("bb", tool="t")) is None
    asyncio.run(ledger().end("bb", "done", '{"ticket": 7}'))
    assert asyncio.run(ledger().claim("bb", tool="t")) == KnownEffect(state="done", content='{"ticket": 7}')


def test_a_failed_effect_may_be_claimed_again(ledger):
    assert asyncio.run(ledger().claim("cc", tool="t")) is None
    asyncio.run(ledger().end("cc", "failed", "busy"))
    assert asyncio.run(ledger().claim("cc", tool="t")) is None
    assert asyncio.run(ledger().claim("cc", tool="t")) == KnownEffect(state="claimed", content="t")


def test_a_run_that_is_cancelled_while_a_tool_writes_leaves_its_effect_claimed_for_all_processes(ledger):
    spec = ToolSpec(name="transfer", description="Transfer.", arguments={"type": "object"}, writes=True)
    use = Use(tool="transfer", arguments={})

    class Bank:
        transfers = 0

        async def listed(self):
            return (spec,)

        async def call(self, name, arguments, *, key):
            self.transfers += 1
            asked.set()
            await asyncio.Event().wait()

    def tools():
        return AllowedTools(specs={spec.name: spec}, tools=bank, run_id="cancelled", effects=ledger())

    async def cancelled_then_again():
        running = asyncio.create_task(tools().use(use, sources=Sources(), timeout_s=60))
        await asked.wait()
        running.cancel()
        await asyncio.wait([running])
        return await tools().use(use, sources=Sources(), timeout_s=60)

    bank, asked = Bank(), asyncio.Event()
    again = asyncio.run(cancelled_then_again())
    assert (again.status, again.reason, bank.transfers) == ("refused", "undecided_effect", 1)


def test_two_processes_of_a_service_make_an_equal_call_of_a_conversation_once(settings):
    spec = ToolSpec(name="request_callback", description="Call.", arguments={"type": "object"}, writes=True)
    pair, use = make_pair(tools=(spec,)), Use(tool="request_callback", arguments={})
    made = []

    def request_callback(*, key: str | None) -> dict[str, int]:
        """Ask for a call."""
        made.append(key)
        return {"ticket": len(made)}

    async def asked(conversation):
        functions = {"demo": (ToolFunction(call=request_callback, writes=True),)}
        process = build_task_tools(settings, functions, open_shared_state(settings))["demo"]
        run = process.for_run(pair, conversation)
        try:
            return await run.use(use, sources=Sources(), timeout_s=60)
        finally:
            await process.aclose()

    outcomes = [asyncio.run(asked(conversation)) for conversation in ("conv-1", "conv-1", "conv-2")]
    assert [outcome.content for outcome in outcomes] == ['{"ticket": 1}', '{"ticket": 1}', '{"ticket": 2}']
    assert [outcome.repeated for outcome in outcomes] == [False, True, False]
    assert len(set(made)) == 2


def test_without_the_table_nothing_is_claimed(settings):
    lost = open_shared_state(settings.model_copy(update={"shared_table": "missing"}))
    with pytest.raises(StoreError):
        asyncio.run(EffectTable(lost).claim("dd", tool="t"))
