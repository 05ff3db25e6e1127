"""``omni bench steps``: the CPU time that a step of a run costs beyond its model or its tool.

Runs of many steps and runs of one step take turns; their difference is divided by the number of further steps, so what a run
costs by itself is left out. The model is scripted and answers at once. A question runs as in the service: rendered prompt, hedge,
breaker, log and trace. CPU time, because other work on the machine slows the clock's only.
"""

import asyncio
import contextlib
import gc
import json
import os
import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from service.core.llm.logged_gateway import LoggedGateway
from service.core.llm.model_call import Gateway, ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.llm.reliability import Reliability
from service.core.run.task import Steps, Task, TaskContext
from service.core.tools.allowed import AllowedTools
from service.core.tools.functions import ToolFunction
from service.core.tools.mcp.port import McpTools
from service.core.tools.mcp.server import build_server, in_process
from service.core.tools.port import Tools
from service.core.tools.provenance import Sources
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair import OutputRules, Pair, PromptMessage, Sampling, ServingPolicy, ToolSpec
from service.core.unit.question import Question, ToolTurn, Use
from service.kit.frame.display.terminal import say
from service.kit.telemetry.log import configure_logging

QUESTION_MS, TOOL_MS = 1.0, 2.0
STEPS, RUNS, ROUNDS = 40, 10, 9
MODEL, _BACKUP = "bench.model", "bench.backup"


def bench_card(name: str) -> ModelCard:
    """Return the card of a scripted model."""
    prices = Prices(input=Decimal("0.06"), output=Decimal("0.24"), source="bench", date="2026-11-22")
    return ModelCard(id=name, short_name=name, wire="bedrock", runs="provider", context_tokens=100_000, prices=prices)


def bench_pair(system: str, user: str, tools: tuple[ToolSpec, ...], backup: str | None = None) -> Pair:
    """Return a pair of ``MODEL``; what stands in braces in ``user`` are its variables."""
    return Pair(
        name="bench",
        task="bench",
        version="1.0.0",
        model=MODEL,
        backup=backup,
        sampling=Sampling(max_output_tokens=300),
        output=OutputRules(schema="bench", max_words=500),
        serving=ServingPolicy(),
        messages=(PromptMessage(role="system", content=system), PromptMessage(role="user", content=user)),
        variables=tuple(re.findall(r"{{(\w+)}}", user)),
        tools=tools,
    )


_CARDS = ModelCards([bench_card(MODEL), bench_card(_BACKUP)])
_SAID = (
    "Hello, this is about parcel P-1001. It should have come on Monday and has not. "
    "Please call me on 0113 496 0000 tomorrow. "
) * 10 + f"Send it to Leeds, to {', '.join(f'{number} Mill Lane' for number in range(STEPS))}."
_RULES = (
    "You answer customers of a parcel service. Use the tools, state only what they return, and ask if an argument of a "
    "tool is missing. Never promise a date that no tool has returned. "
) * 10
_REPLY = json.dumps({"reply": "Your parcel will come to 12 Mill Lane, Leeds, on Thursday.", "action": "answer"})


def look_up(parcel: str, details: bool = False) -> dict[str, str]:
    """Look a parcel up."""
    return {"parcel": parcel, "state": "on its way", "depot": "Leeds", "expected": "Thursday"}


def redirect(parcel: str, street: str, city: str) -> dict[str, str]:
    """Send a parcel to another address."""
    return {"parcel": parcel, "street": street, "city": city, "state": "redirected"}


async def _look_up(parcel: str, details: bool = False) -> dict[str, str]:
    return look_up(parcel, details)


_look_up.__name__, _look_up.__doc__ = look_up.__name__, look_up.__doc__
_TEXT = {"type": "string"}
LOOK_UP = ToolSpec(
    name="look_up",
    description="Look a parcel up.",
    arguments={
        "type": "object",
        "properties": {"parcel": _TEXT, "details": {"type": "boolean"}},
        "required": ["parcel"],
    },
)
REDIRECT = ToolSpec(
    name="redirect",
    description="Send a parcel to another address.",
    arguments={
        "type": "object",
        "properties": {"parcel": _TEXT, "street": _TEXT, "city": _TEXT},
        "required": ["parcel", "street", "city"],
    },
    writes=True,
)
_SPECS = (LOOK_UP, REDIRECT)
_READING = Use(tool="look_up", arguments={"parcel": "P-1001"}, call_id="tooluse_1")
_WRITING = Use(
    tool="redirect", arguments={"parcel": "P-1001", "street": "12 Mill Lane", "city": "Leeds"}, call_id="tooluse_2"
)
_TURNS = tuple(
    ToolTurn(text="I look it up.", uses=(_READING,), contents=(json.dumps(look_up("P-1001")),)) for _ in range(3)
)


_PAIR = bench_pair(_RULES, "<said>{{said}}</said>", _SPECS, backup=_BACKUP)
_RELIABILITY = Reliability(time.perf_counter)


class BenchInputs(BaseModel):
    """What a customer said, and how many steps of which kind to take."""

    said: str
    step: str
    steps: int


class _Stepping(Task[BenchInputs]):
    """Takes as many steps of one kind as its inputs say."""

    name: ClassVar[str] = "bench"
    input_model: ClassVar[type[BaseModel]] = BenchInputs
    variables: ClassVar[frozenset[str]] = frozenset({"said"})
    most_steps: ClassVar[int] = STEPS + 1

    def values(self, inputs: BenchInputs) -> dict[str, str]:
        return {"said": inputs.said}

    def check(self, text: str, rules: OutputRules) -> str:
        return text

    def sources(self, inputs: BenchInputs) -> Sources:
        return Sources(said=(inputs.said,), records=("P-1001",))

    def steps(self, inputs: BenchInputs, pair: Pair) -> Steps:
        question = Question(
            values=self.values(inputs), document=inputs, read=lambda text: text, turns=_TURNS, tools=True
        )
        for number in range(inputs.steps):
            if inputs.step == "question":
                yield question
            elif inputs.step == "reading use":
                yield _READING
            else:  # each another call, or the ledger would know it
                yield replace(_WRITING, arguments={**_WRITING.arguments, "street": f"{number} Mill Lane"})
        return ""


class _Scripted:
    """A model that replies at once."""

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        return ModelReply(
            text=_REPLY,
            usage=Usage(input_tokens=2000, output_tokens=40),
            stop_reason="end_turn",
            latency_ms=1.0,
            answered_by=MODEL,
        )


class _Direct:
    """Tools that are called without any protocol."""

    async def listed(self) -> tuple[ToolSpec, ...]:
        """See ``Tools.listed``."""
        return _SPECS

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """See ``Tools.call``."""
        return json.dumps(look_up(**arguments) if name == "look_up" else redirect(**arguments))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """The CPU of one step in ms: the median, least and most of the rounds; ``bound_ms`` None for a baseline."""

    name: str
    median_ms: float
    least_ms: float
    most_ms: float
    bound_ms: float | None

    @property
    def met(self) -> bool:
        """Whether the median keeps to the bound."""
        return self.bound_ms is None or self.median_ms <= self.bound_ms


def main(rounds: int = ROUNDS, runs: int = RUNS) -> int:
    """Print the figures; 1 if a median passes its bound, else 0."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        configure_logging()  # log lines are made and written, as in the service, but to nowhere
        found = asyncio.run(step_costs(rounds, runs))
    bare_ms = found[0].median_ms
    for cost in found:
        bound = "" if cost.bound_ms is None else f"   bound {cost.bound_ms:g} ms: {'met' if cost.met else 'missed'}"
        say(
            f"{cost.name:<48}{cost.median_ms:7.3f} ms  ({cost.least_ms:.3f} to {cost.most_ms:.3f})"
            f"{cost.median_ms / bare_ms:7.1f} x{bound}"
        )
    say(
        f"CPU time per step, medians of {rounds} rounds of {runs} runs with {STEPS} steps each, in turns; x: bare calls"
    )
    return 0 if all(cost.met for cost in found) else 1


async def step_costs(rounds: int, runs: int) -> list[StepCost]:
    """Return the cost of each kind of step; the first is the baseline: request and reply as JSON, a timeout, and no more."""
    mcp = McpTools(in_process(build_server("bench", (ToolFunction(call=_look_up),))))
    logged = LoggedGateway(_Scripted(), _CARDS)

    kinds: list[tuple[str, str, Tools, float | None]] = [
        ("a bare call: JSON and a timeout", "bare", _Direct(), None),
        ("a question", "question", _Direct(), QUESTION_MS),
        ("a use of a tool that reads, as a function", "reading use", _Direct(), TOOL_MS),
        ("a use of a tool that writes, as a function", "writing use", _Direct(), TOOL_MS),
        ("a use of a tool that reads, over MCP in memory", "reading use", mcp, TOOL_MS),
    ]
    taken: list[list[float]] = [[] for _ in kinds]
    try:
        for warm_up in (True, *[False] * rounds):
            for number, (_, step, tools, _) in enumerate(kinds):
                many = await _cpu_ms(step, STEPS, runs, logged, tools)
                few = await _cpu_ms(step, 0, runs, logged, tools)
                if not warm_up:
                    taken[number].append((many - few) / (runs * STEPS))
    finally:
        await mcp.aclose()
    return [
        StepCost(name=name, median_ms=statistics.median(each), least_ms=min(each), most_ms=max(each), bound_ms=bound_ms)
        for (name, _, _, bound_ms), each in zip(kinds, taken, strict=True)
    ]


async def _cpu_ms(step: str, steps: int, runs: int, gateway: Gateway, tools: Tools) -> float:
    gc.collect()
    began = time.process_time()
    for number in range(runs):
        await (_bare(steps) if step == "bare" else _run(step, steps, gateway, tools, run_id=str(number)))
    return (time.process_time() - began) * 1000


async def _run(step: str, steps: int, gateway: Gateway, tools: Tools, *, run_id: str) -> None:
    context = TaskContext(
        pair=_PAIR,
        gateway=gateway,
        cards=_CARDS,
        reliability=_RELIABILITY,
        tools=AllowedTools(specs={spec.name: spec for spec in _SPECS}, tools=tools, run_id=run_id),
        patience=100.0,
    )
    result = await _Stepping().run(BenchInputs(said=_SAID, step=step, steps=steps), context)
    unlike = [step for step in result.trace if step.status not in ("end_turn", "done")]
    if result.failure is not None or len(result.trace) != steps or unlike:
        raise RuntimeError(f"the measured run went wrong: {result.failure_message or unlike[:1]}")


async def _bare(steps: int) -> None:
    model = _Scripted()
    messages = _PAIR.render({"said": _SAID})
    call = ModelCall(model=MODEL, messages=messages, sampling=_PAIR.sampling, timeout_s=5.0)
    for _ in range(steps):
        json.dumps({"messages": [{"role": message.role, "content": message.content} for message in call.messages]})
        async with asyncio.timeout(call.timeout_s):
            reply = await model.complete(call)
        json.loads(reply.text)
