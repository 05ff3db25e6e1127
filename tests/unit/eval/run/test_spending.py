"""A run's live calls never cost more than its limit, whatever answers, fails or is cut off."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from eval.run.spending import MeteredGateway, Spending
from eval.spine.errors import RunAborted
from service.core.llm.failures import charged
from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair import PromptMessage, Sampling, ToolSpec
from service.core.unit.question import ToolTurn, Use
from service.kit.frame.errors import ModelUnusable, QuotaExceeded, SafetyRefused, UpstreamUnavailable

PRICES = Prices(input=Decimal(1000), output=Decimal(2000), source="test", date=date(2026, 11, 22))  # USD per million
CARDS = ModelCards(
    [
        ModelCard(id="priced", short_name="priced", wire="bedrock", runs="provider", context_tokens=9, prices=PRICES),
        ModelCard(id="free", short_name="free", wire="bedrock", runs="provider", context_tokens=9),
    ]
)
CALL = ModelCall(
    model="priced",
    messages=(PromptMessage(role="user", content="x" * 500),),
    sampling=Sampling(max_output_tokens=100),
    timeout_s=1.0,
)
WORST = Decimal("1.2")  # 1,000 tokens read, 100 written
USED = Usage(input_tokens=100, output_tokens=50)  # 0.2 USD


def metered(monkeypatch, limit, answer=None):
    """A gateway whose model uses ``USED``, or raises ``answer``."""

    async def complete(self, call):
        await asyncio.sleep(0)
        if answer is not None:
            raise answer
        return ModelReply(text="t", usage=USED, stop_reason="end_turn", latency_ms=1.0, answered_by="m")

    monkeypatch.setattr(LiteLLMGateway, "complete", complete)
    spending = Spending(limit_usd=Decimal(limit), cards=CARDS)
    return spending, MeteredGateway(CARDS, spending=spending, region="us-east-1")


async def test_calls_are_made_until_the_next_one_could_exceed_the_limit(monkeypatch):
    spending, gateway = metered(monkeypatch, "2.0")
    for _ in range(5):
        await gateway.complete(CALL)
    assert spending.spent_usd == Decimal("1.0")  # a sixth could cost 1.2 more
    with pytest.raises(RunAborted, match=r"the budget of \$2.0 covers no further call: \$1.000000 went on 5 calls"):
        await gateway.complete(CALL)


async def test_calls_in_flight_count_at_their_worst(monkeypatch):
    spending, gateway = metered(monkeypatch, str(WORST * 3))
    done = await asyncio.gather(*(gateway.complete(CALL) for _ in range(5)), return_exceptions=True)
    assert [isinstance(item, RunAborted) for item in done] == [False, False, False, True, True]
    assert spending.spent_usd == Decimal("0.6")


@pytest.mark.parametrize(
    ("error", "spent"), [(UpstreamUnavailable("cut off"), WORST), (QuotaExceeded("throttled"), Decimal(0))]
)
async def test_a_call_without_an_answer_counts_at_its_worst_unless_no_model_read_it(monkeypatch, error, spent):
    spending, gateway = metered(monkeypatch, "9", error)
    with pytest.raises(type(error)):
        await gateway.complete(CALL)
    assert spending.spent_usd == spent


@pytest.mark.parametrize("error", [SafetyRefused("refused"), ModelUnusable("another model answered")])
async def test_an_answer_that_cannot_be_used_counts_as_billed(monkeypatch, error):
    reply = ModelReply(text="t", usage=USED, stop_reason="other", latency_ms=1.0, answered_by="m")
    spending, gateway = metered(monkeypatch, "9", charged(error, reply))
    with pytest.raises(type(error)):
        await gateway.complete(CALL)
    assert spending.spent_usd == Decimal("0.2")


async def test_a_model_without_a_price_cannot_be_bounded(monkeypatch):
    _, gateway = metered(monkeypatch, "9")
    call = ModelCall(model="free", messages=CALL.messages, sampling=CALL.sampling, timeout_s=1.0)
    with pytest.raises(RunAborted, match="free has no price, so --budget-usd cannot bound its cost"):
        await gateway.complete(call)


async def test_tools_and_what_came_of_them_count_as_read(monkeypatch):
    tool = ToolSpec(name="look_up", description="d" * 500, arguments={"type": "object"})
    turn = ToolTurn(text="", uses=(Use(tool="look_up", arguments={"id": "7"}),), contents=("y" * 500,))
    for more in ({"tools": (tool,)}, {"turns": (turn,)}):
        _, gateway = metered(monkeypatch, WORST)
        with pytest.raises(RunAborted, match="covers no further call"):
            await gateway.complete(replace(CALL, **more))
