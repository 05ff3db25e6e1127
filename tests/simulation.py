"""Whole requests against scripted models in simulated time: seconds pass without waiting, and the same way every time."""

import asyncio
import random
from decimal import Decimal
from random import Random
from typing import ClassVar
from unittest.mock import patch

from pydantic import BaseModel

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.llm.reliability import Reliability
from service.core.run.task import Task, TaskContext
from service.core.statements.answers.finding import Finding
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair import OutputRules, Pair, PromptMessage, Sampling, ServingPolicy
from service.kit.frame.errors import DeadlineExceeded, OutputInvalid, UpstreamUnavailable

PRICES = Prices(input=Decimal(1), output=Decimal(2), source="test", date="2026-11-21")
CARDS = ModelCards(
    [
        ModelCard(id=name, short_name=name, wire="bedrock", runs="provider", context_tokens=1000, prices=PRICES)
        for name in ("main", "spare")
    ]
    + [ModelCard(id="code", short_name="code", wire="in_process", runs="local", context_tokens=1000, prices=PRICES)]
)
PAIR = Pair(
    name="p",
    task="plain",
    version="1",
    model="main",
    backup="spare",
    sampling=Sampling(max_output_tokens=9),
    output=OutputRules(schema="s", max_words=9),
    serving=ServingPolicy(deadline_ms=5000, hedge_delay_ms=2000),
    messages=(PromptMessage(role="user", content="<text>{{text}}</text>"),),
    variables=("text",),
)
PROMPT_TOKENS = 4  # "<text>x</text>", 14 characters, at four a token
MODELS_HAVE_S = 5 - 0.25


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when nothing else is to do."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def time(self):
        return self.now

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0]._when)
        super()._run_once()


def simulate(coroutine_of, seed=1):
    """Run ``coroutine_of(loop)`` in simulated time and return what it returns.

    Retries measure their time with ``time.monotonic`` and draw their jitter from ``random``: both would differ from run to run,
    and on a busy machine a retry would be given up early.
    """
    loop, drawn = SimulatedLoop(), random.getstate()
    random.seed(seed)
    try:
        with patch("time.monotonic", loop.time):
            return loop.run_until_complete(coroutine_of(loop))
    finally:
        random.setstate(drawn)
        loop.close()


class Inputs(BaseModel):
    text: str


class ListGuard:
    """Finds the words of a list."""

    heavy = False

    def __init__(self, words):
        self.words = words

    def prepare(self):
        pass

    def prepare_soon(self):
        return asyncio.get_running_loop().call_later(0, self.prepare)

    def __call__(self, text):
        return tuple(Finding(kind="name", value=word) for word in self.words if word in text)


class Plain(Task[Inputs]):
    name: ClassVar[str] = "plain"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})
    in_process: ClassVar = {"code": lambda document: "digest"}
    fallback_model = "code"
    forbidden = ()

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        if not text:
            raise OutputInvalid("empty")
        return text

    def guard(self, inputs, seen=()):
        return ListGuard(self.forbidden) if self.forbidden else None


class Models:
    """Answers by script: ``model -> seconds``, an error, ``(seconds, error or text)``, or a function of the call giving one."""

    def __init__(self, loop, *, honours_timeout=True, **script):
        self.loop, self.script, self.honours_timeout = loop, script, honours_timeout
        self.calls, self.cancelled = [], []

    async def complete(self, call):
        self.calls.append((self.loop.time(), call))
        step = self.script[call.model]
        step = step(call) if callable(step) else step
        seconds, what = step if isinstance(step, tuple) else (0.0, step) if isinstance(step, Exception) else (step, "")
        try:
            if self.honours_timeout:
                async with asyncio.timeout(call.timeout_s):
                    await asyncio.sleep(seconds)
            else:
                await asyncio.sleep(seconds)
        except TimeoutError:
            raise DeadlineExceeded("too slow") from None
        except asyncio.CancelledError:
            self.cancelled.append(call.model)
            raise
        if isinstance(what, Exception):
            raise what
        usage = Usage(input_tokens=1000, output_tokens=100)
        return ModelReply(
            text=what or f"by {call.model}",
            usage=usage,
            stop_reason="end_turn",
            latency_ms=seconds * 1000,
            answered_by=call.model,
        )

    def asked(self):
        return [call.model for _, call in self.calls]


HANGS = 3600.0
DOWN = UpstreamUnavailable("down")


def context(loop, models, reliability, pair=PAIR, **changes):
    return TaskContext(pair=pair, gateway=models, cards=CARDS, clock=loop.time, reliability=reliability, **changes)


def many(requests, *, every_s, script_of, seed=1):
    """Send ``requests`` one ``every_s`` apart to one service and return results with their seconds, and what is shared."""

    async def run(loop):
        models = Models(loop, **script_of(loop, Random(seed)))
        reliability = Reliability(loop.time)

        async def request(number):
            await asyncio.sleep(number * every_s)
            began = loop.time()
            result = await Plain().run(Inputs(text="x"), context(loop, models, reliability))
            return result, loop.time() - began

        answered = await asyncio.gather(*(request(number) for number in range(requests)))
        return answered, models, reliability

    return simulate(run, seed)


def lognormal(draw, median_s=1.2, sigma=0.47):
    # p50 1.2 s, p95 2.6 s: what the load tests' model takes.
    return draw.lognormvariate(0, sigma) * median_s
