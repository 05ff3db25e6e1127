"""A task whose steps depend on what came of the ones before: questions and uses of tools."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest
from builders import make_pair
from pydantic import BaseModel

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import Task, TaskContext
from service.core.tools.allowed import AllowedTools
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair import ServingPolicy, ToolSpec
from service.core.unit.question import Question, ToolTurn, Use
from service.kit.frame.errors import FailureCode, OutputInvalid, UpstreamUnavailable

PRICES = Prices(input=Decimal(1), output=Decimal(2), source="test", date="2026-11-21")
CARDS = ModelCards(
    [ModelCard(id="main", short_name="main", wire="bedrock", runs="provider", context_tokens=1000, prices=PRICES)]
)
FIND = ToolSpec(
    name="find_branch",
    description="Find a branch.",
    arguments={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


class Inputs(BaseModel):
    text: str


class Agent(Task[Inputs]):
    """Asks the model, looks a branch up for as long as the model wants one, and answers."""

    name: ClassVar[str] = "agent"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})
    most_steps: ClassVar[int] = 7

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        return text

    def steps(self, inputs, pair):
        known = inputs.text
        while True:
            said = yield Question(values={"text": known}, document=inputs, read=lambda text: text)
            if said != "BRANCH?":
                return said
            outcome = yield Use(tool="find_branch", arguments={"city": inputs.text})
            known = f"{known} {outcome.content}"


class ToolUser(Agent):
    """Leaves it to the model which tools to use."""

    def steps(self, inputs, pair):
        turns = ()
        while True:
            said = yield Question(
                values={"text": inputs.text}, document=inputs, read=str.strip, turns=turns, tools=True
            )
            if not said.uses:
                return said.output
            contents = []
            for use in said.uses:
                outcome = yield use
                contents.append(outcome.content)
            turns = (*turns, ToolTurn(text=said.output, uses=said.uses, contents=tuple(contents)))


class Script:
    """A model that gives its answers in turn."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.calls = []

    async def complete(self, call):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.calls.append(call)
        usage = Usage(input_tokens=1000, output_tokens=500)
        uses = answer if isinstance(answer, tuple) else ()
        return ModelReply(
            text="" if uses else answer,
            uses=uses,
            usage=usage,
            stop_reason="end_turn",
            latency_ms=7.0,
            answered_by="main",
            origin="stand-in",
        )


class Book:
    """The tools' world: one book of branches."""

    def __init__(self, hang_s=0.0):
        self.calls, self.hang_s, self.asked = 0, hang_s, asyncio.Event()

    async def listed(self):
        return (FIND,)

    async def call(self, name, arguments, *, key):
        self.calls += 1
        self.asked.set()
        await asyncio.sleep(self.hang_s)
        return '{"street": "Strand"}'


def context(answers, book, deadline_ms=5000):
    serving = ServingPolicy(deadline_ms=deadline_ms, hedge_delay_ms=deadline_ms // 2)
    pair = make_pair("agent", asked="<text>{{text}}</text>", model="main", serving=serving, tools=(FIND,))
    tools = AllowedTools(specs={spec.name: spec for spec in pair.tools}, tools=book, run_id="r")
    return TaskContext(pair=pair, gateway=Script(answers), cards=CARDS, tools=tools)


def run(ctx, text="London"):
    return asyncio.run(Agent().run(Inputs(text=text), ctx))


def test_steps_receive_what_came_of_them_and_are_traced_in_order():
    result = run(context(["BRANCH?", "ANSWER"], Book()))
    assert result.output == "ANSWER"
    assert [(step.kind, step.name, step.status) for step in result.trace] == [
        ("model", "main", "end_turn"),
        ("tool", "find_branch", "done"),
        ("model", "main", "end_turn"),
    ]
    assert result.trace[1].arguments == {"city": "London"}
    assert sum(step.cost_usd for step in result.trace) == pytest.approx(float(result.cost.metered_usd))


def test_without_tools_in_the_context_every_use_is_refused():
    ctx = replace(context(["BRANCH?", "ANSWER"], Book()), tools=None)
    assert [step.reason for step in run(ctx).trace if step.kind == "tool"] == ["not_allowed"]


def test_a_run_without_end_is_stopped_and_says_so():
    result = run(context(["BRANCH?"] * 50, Book()))
    assert (result.failure, result.output) == (FailureCode.OUTPUT_INVALID, None)
    assert f"{Agent.most_steps} steps" in result.failure_message
    assert len(result.trace) == Agent.most_steps


def test_a_run_whose_model_fails_keeps_the_trace_of_what_it_did():
    result = run(context(["BRANCH?", UpstreamUnavailable("down")], Book()))
    assert result.failure is FailureCode.UPSTREAM_UNAVAILABLE
    assert [step.kind for step in result.trace] == ["model", "tool"]


@pytest.mark.acceptance("turn-18")
def test_a_tool_gets_no_more_than_the_time_that_is_left():
    book = Book(hang_s=60)
    ctx = context(["BRANCH?", "ANSWER"], book, deadline_ms=300)
    result = run(ctx)
    assert [step.status for step in result.trace if step.kind == "tool"] == ["too_late"]


def test_a_cancelled_run_takes_no_further_step():
    book = Book(hang_s=60)

    async def cancelled():
        running = asyncio.create_task(Agent().run(Inputs(text="London"), context(["BRANCH?", "X"], book)))
        await book.asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    assert book.calls == 1


@pytest.mark.acceptance("turn-04")
def test_a_model_uses_several_tools_in_one_turn_and_reads_what_came_of_them():
    wants = (
        Use(tool="find_branch", arguments={"city": "London"}, call_id="1"),
        Use(tool="transfer", arguments={"amount": 500}, call_id="2"),
    )
    ctx = context([wants, "  Strand, and no transfer. "], Book())
    result = asyncio.run(ToolUser().run(Inputs(text="London"), ctx))
    assert result.output == "Strand, and no transfer."
    assert [(step.name, step.status) for step in result.trace] == [
        ("main", "end_turn"),
        ("find_branch", "done"),
        ("transfer", "refused"),
        ("main", "end_turn"),
    ]
    first, second = ctx.gateway.calls
    assert (first.tools, first.turns) == ((FIND,), ())
    (turn,) = second.turns
    assert [use.call_id for use in turn.uses] == ["1", "2"]
    assert ["street" in turn.contents[0], "no tool" in turn.contents[1]] == [True, True]


def test_uses_of_tools_that_nobody_offered_do_not_keep_an_answer_from_its_check():
    class Refuses(Agent):
        def steps(self, inputs, pair):
            def read(text):
                raise OutputInvalid("not shown")

            return (yield Question(values={"text": inputs.text}, document=inputs, read=read))

    ctx = context([(Use(tool="find_branch", arguments={"city": "London"}),)], Book())
    result = asyncio.run(Refuses().run(Inputs(text="London"), ctx))
    assert (result.failure, result.output, result.uses) == (FailureCode.OUTPUT_INVALID, None, ())
