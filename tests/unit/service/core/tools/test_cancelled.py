"""What a cancelled generation, a client that leaves, or a deadline leaves of a tool that writes: never a second effect."""

import asyncio
import json
from typing import ClassVar

import pytest
from builders import make_pair
from pydantic import BaseModel
from structlog.testing import capture_logs

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import Task, TaskContext
from service.core.tools.allowed import AllowedTools
from service.core.tools.effects import EffectsInMemory
from service.core.tools.provenance import Sources
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import ServingPolicy, ToolSpec
from service.core.unit.question import Question, ToolTurn, Use

CARDS = ModelCards(
    [
        ModelCard(id=name, short_name=name, wire="bedrock", runs="provider", context_tokens=1000)
        for name in ("slow", "quick")
    ]
)
TRANSFER = ToolSpec(
    name="transfer",
    description="Transfer money.",
    arguments={"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]},
    writes=True,
)
USE = Use(tool="transfer", arguments={"amount": 500}, call_id="1")


class Inputs(BaseModel):
    text: str


class Teller(Task[Inputs]):
    """Does what the model wants."""

    name: ClassVar[str] = "teller"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        return text

    def sources(self, inputs):
        return Sources(said=(inputs.text,))

    def steps(self, inputs, pair):
        turns = ()
        while True:
            said = yield Question(values=self.values(inputs), document=inputs, read=str.strip, turns=turns, tools=True)
            if not said.uses:
                return said.output
            (use,) = said.uses
            outcome = yield use
            turns = (*turns, ToolTurn(text=said.output, uses=(use,), contents=(outcome.content,)))


class Models:
    """Answers by model id: a text, uses, or what a coroutine function returns."""

    def __init__(self, **answers):
        self.answers = answers

    async def complete(self, call):
        answer = self.answers[call.model]
        answer = await answer() if callable(answer) else answer.pop(0)
        uses = answer if isinstance(answer, tuple) else ()
        return ModelReply(
            text="" if uses else answer,
            uses=uses,
            usage=Usage(input_tokens=1, output_tokens=1),
            stop_reason="tool_use" if uses else "end_turn",
            latency_ms=1.0,
            answered_by=call.model,
        )


class Bank:
    """Waits for ``let_go`` before it answers; counts what it did."""

    def __init__(self):
        self.transfers, self.asked, self.let_go = 0, asyncio.Event(), asyncio.Event()

    async def listed(self):
        return (TRANSFER,)

    async def call(self, name, arguments, *, key):
        self.transfers += 1
        self.asked.set()
        await self.let_go.wait()
        return json.dumps({"transferred": arguments["amount"]})


class SlowLedger(EffectsInMemory):
    """Notes the end of an effect only when told to."""

    def __init__(self):
        super().__init__()
        self.ending, self.let_go = asyncio.Event(), asyncio.Event()

    async def end(self, key, state, content):
        self.ending.set()
        await self.let_go.wait()
        await super().end(key, state, content)


def run_of(models, bank, effects, deadline_ms=5000, backup=None, tools=None):
    serving = ServingPolicy(deadline_ms=deadline_ms, hedge_delay_ms=1)
    pair = make_pair(
        "teller", asked="<text>{{text}}</text>", model="slow", backup=backup, serving=serving, tools=(TRANSFER,)
    )
    tools = tools or AllowedTools(specs={TRANSFER.name: TRANSFER}, tools=bank, run_id="r", effects=effects)
    context = TaskContext(pair=pair, gateway=models, cards=CARDS, tools=tools)
    return tools, Teller().run(Inputs(text="Transfer 500, please."), context)


async def use_again(bank, effects):
    """Return what an equal call gets, as another process of the same conversation would make it."""
    bank.let_go.set()
    _, run = run_of(Models(slow=[(USE,), "Done."]), bank, effects)
    result = await run
    (step,) = [step for step in result.trace if step.kind == "tool"]
    return step


def states(effects):
    return [effect.state for effect in effects.by_key.values()]


def test_the_tool_that_the_loser_of_a_hedge_wants_is_not_used_even_if_it_ignores_the_cancellation():
    async def one():
        bank, cancelled = Bank(), asyncio.Event()
        bank.let_go.set()

        async def wants_a_transfer():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
            return (USE,)

        _, run = run_of(
            Models(slow=wants_a_transfer, quick=["Nothing to do."]), bank, EffectsInMemory(), backup="quick"
        )
        result = await run
        assert cancelled.is_set()
        assert (result.output, result.arm) == ("Nothing to do.", "backup")
        assert [step.name for step in result.trace if step.kind == "tool"] == []
        await asyncio.sleep(0)
        assert bank.transfers == 0

    asyncio.run(one())


def test_a_client_that_leaves_while_a_tool_writes_leaves_the_effect_claimed_and_the_log_says_so():
    async def one():
        bank, effects = Bank(), EffectsInMemory()
        tools, run = run_of(Models(slow=[(USE,)]), bank, effects)
        running = asyncio.create_task(run)
        await bank.asked.wait()
        with capture_logs() as logged:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert states(effects) == ["claimed"]
        (line,) = [line for line in logged if line["event"] == "TOOL_USED"]
        assert (line["tool"], line["outcome"]) == ("transfer", "cancelled")
        assert tools.calls == {("transfer", "cancelled"): 1}
        again = await use_again(bank, effects)
        assert (again.status, again.reason, bank.transfers) == ("refused", "undecided_effect", 1)

    asyncio.run(one())


@pytest.mark.parametrize("noted", [True, False])
def test_a_client_that_leaves_while_the_end_is_noted_leaves_the_effect_ended_or_claimed(noted):
    async def one():
        bank, effects = Bank(), SlowLedger()
        bank.let_go.set()
        _, run = run_of(Models(slow=[(USE,)]), bank, effects)
        running = asyncio.create_task(run)
        await effects.ending.wait()
        if noted:
            effects.let_go.set()
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        effects.let_go.set()
        assert states(effects) == ["done" if noted else "claimed"]
        again = await use_again(bank, effects)
        assert again.status == ("done" if noted else "refused")
        assert bank.transfers == 1

    asyncio.run(one())


def test_a_deadline_while_a_tool_writes_leaves_the_effect_claimed_and_the_trace_says_so():
    async def one():
        bank, effects = Bank(), EffectsInMemory()
        _, run = run_of(Models(slow=[(USE,), "Too late."]), bank, effects, deadline_ms=200)
        result = await run
        (step,) = [step for step in result.trace if step.kind == "tool"]
        assert (step.status, step.undecided, states(effects)) == ("too_late", True, ["claimed"])
        again = await use_again(bank, effects)
        assert (again.reason, bank.transfers) == ("undecided_effect", 1)

    asyncio.run(one())
