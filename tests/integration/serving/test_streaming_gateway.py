"""The gateway's stream against the stand-in: same answer, same tokens, pieces before the end, faults as errors."""

import asyncio
import json
import urllib.request
from dataclasses import replace

import pytest

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.unit.cards import ModelCards
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.frame.errors import DeadlineExceeded, QuotaExceeded, UpstreamUnavailable
from service.kit.settings import REPO_ROOT
from service.local.process import LocalBedrock

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
ECHO = "local.echo-v1"


@pytest.fixture(scope="module")
def server():
    with LocalBedrock(["--models", ECHO, "--seed", "11"]) as running:
        yield running


@pytest.fixture
def gateway(server):
    _faults(server, None)
    yield LiteLLMGateway(CARDS, region="us-east-1", endpoint=server.url)
    _faults(server, None)


def _faults(server, rule):
    body = None if rule is None else json.dumps(rule).encode()
    request = urllib.request.Request(f"{server.url}/_local/faults", data=body, method="POST" if rule else "DELETE")
    with urllib.request.urlopen(request, timeout=5) as answer:
        answer.read()


def _call(timeout_s=20.0):
    return ModelCall(
        model=ECHO,
        messages=(PromptMessage(role="user", content="the customer disputes a bill of $284.60 since November"),),
        sampling=Sampling(max_output_tokens=200),
        timeout_s=timeout_s,
    )


async def test_a_stream_is_the_same_answer_in_pieces(gateway):
    pieces = []
    streamed = await gateway.stream(_call(), pieces.append)
    whole = await gateway.complete(_call())
    assert len(pieces) > 1
    assert "".join(pieces) == streamed.text == whole.text
    assert streamed.usage == whole.usage
    assert (streamed.stop_reason, streamed.answered_by) == (whole.stop_reason, whole.answered_by)


async def test_a_stream_of_a_provider_model_says_what_stood_in_for_it():
    nova = "amazon.nova-lite-v1:0"
    with LocalBedrock(["--models", nova, "--echo-models", nova]) as stand_in:
        gateway = LiteLLMGateway(CARDS, region="us-east-1", endpoint=stand_in.url)
        call = replace(_call(), model=nova)
        assert (await gateway.stream(call, lambda _: None)).answered_by == "echo"
        assert (await gateway.complete(call)).answered_by == "echo"


@pytest.mark.parametrize(
    ("kind", "error"), [("throttle", QuotaExceeded), ("unavailable", UpstreamUnavailable), ("hang", DeadlineExceeded)]
)
async def test_faults_are_our_errors(gateway, server, kind, error):
    _faults(server, {"kind": kind, "model": "*", "rate": 1.0})
    with pytest.raises(error):
        await gateway.stream(_call(timeout_s=1.0 if kind == "hang" else 20.0), lambda _: None)


@pytest.mark.parametrize("kind", ["mid_stream_throttle", "disconnect"])
async def test_a_stream_that_breaks_is_an_error_after_its_first_piece(gateway, server, kind):
    _faults(server, {"kind": kind, "model": "*", "rate": 1.0})
    pieces = []
    with pytest.raises((QuotaExceeded, UpstreamUnavailable)) as broken:
        await gateway.stream(_call(), pieces.append)
    assert len(pieces) == 1
    made = broken.value.charged_reply  # the provider bills what it had made
    assert (made.text, made.metered) == (pieces[0], False)
    assert made.usage.input_tokens > made.usage.output_tokens > 0


async def test_a_cancelled_stream_leaves_the_gateway_usable(gateway):
    running = asyncio.create_task(gateway.stream(_call(), lambda _: running.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await gateway.stream(_call(), lambda _: None)).text


@pytest.mark.parametrize("rule", [None, {"kind": "throttle", "model": "*", "rate": 1.0}])
async def test_litellm_neither_prices_nor_logs_a_call_and_gives_the_same(gateway, server, rule, monkeypatch):
    from litellm.litellm_core_utils.litellm_logging import Logging

    called = []
    ends = ("response_cost_calculator", "success_handler", "async_success_handler", "failure_handler")

    def noted(name):
        whole = getattr(Logging, name)

        def handler(self, *args, **kwargs):
            called.append(name)
            return whole(self, *args, **kwargs)

        return handler

    for name in ends:
        monkeypatch.setattr(Logging, name, noted(name))

    async def both():
        said = []
        for ask in (gateway.complete, lambda call: gateway.stream(call, lambda _: None)):
            try:
                reply = await ask(_call())
                said.append((reply.text, reply.usage, reply.stop_reason, reply.answered_by))
            except QuotaExceeded as err:
                said.append(str(err))
        await asyncio.sleep(0.2)  # litellm logs a call after it
        return said

    if rule is not None:
        _faults(server, rule)
    spared = await both()
    assert called == []
    # The same call with litellm's own bookkeeping: it does price and log, so the check above can fail.
    monkeypatch.setattr("service.core.llm.gateway.unlogged", lambda *_: {})
    assert await both() == spared
    assert set(called) >= ({"failure_handler"} if rule else {"response_cost_calculator", "async_success_handler"})
