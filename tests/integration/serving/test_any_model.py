"""The gateway over OpenAI's and Anthropic's wires against a real server: answers, troubles, deadlines, keys and origins."""

import asyncio
import json
import subprocess
import sys
import urllib.request

import pytest

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.frame.errors import (
    DeadlineExceeded,
    ModelError,
    ModelUnusable,
    QuotaExceeded,
    SafetyRefused,
    UpstreamUnavailable,
)
from service.local.process import LocalChatServer

SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string"}},
    "required": ["colour"],
    "additionalProperties": False,
}
WIRES = {"openai/gpt-4o-mini": "/v1", "anthropic/claude-haiku-4-5": "", "hosted_vllm/some-model": "/v1"}
ANSWER = "The sky over Lisbon is blue today."


def answer(request):
    return json.dumps({"colour": "blue"}) if request.schema else ANSWER


@pytest.fixture(scope="module")
def server():
    with LocalChatServer(("--script", f"{__name__}:answer")) as running:
        yield running


@pytest.fixture(scope="module")
def gateways(server):
    made = {model: gateway(model, server.url + path) for model, path in WIRES.items()}
    for each in made.values():
        each.warm_up()
    return made


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "HOSTED_VLLM_API_BASE"):
        monkeypatch.delenv(name, raising=False)


def gateway(model, url, **options):
    return LiteLLMGateway(ModelCards([]), region="us-east-1", endpoints={model: url} if url else {}, **options)


def call(model, **changes):
    fields = {
        "messages": (
            PromptMessage(role="system", content="Be short."),
            PromptMessage(role="user", content="What colour?"),
        ),
        "sampling": Sampling(max_output_tokens=60, stop_sequences=("END",), top_p=0.9),
        "timeout_s": 10.0,
    }
    return ModelCall(model=model, **fields | changes)


def plan(server, *troubles):
    body = json.dumps(troubles).encode()
    urllib.request.urlopen(urllib.request.Request(f"{server.url}/_local/trouble", body, method="PUT")).read()


def counts(server):
    return json.loads(urllib.request.urlopen(f"{server.url}/_local/trouble").read())


async def ask(gateways, model, mode, **changes):
    """Return the reply and the pieces that were streamed."""
    pieces = []
    if mode == "stream":
        return await gateways[model].stream(call(model, **changes), pieces.append), pieces
    schema = SCHEMA if mode == "form" else None
    return await gateways[model].complete(call(model, answer_schema=schema, **changes)), pieces


EVERY_WIRE = pytest.mark.parametrize("model", WIRES)
EVERY_MODE = pytest.mark.parametrize("mode", ["text", "form", "stream"])


@EVERY_WIRE
@EVERY_MODE
async def test_an_answer_has_its_text_usage_ending_and_origin(server, gateways, model, mode):
    plan(server)
    reply, pieces = await ask(gateways, model, mode)
    assert reply.text == (ANSWER if mode != "form" else '{"colour": "blue"}')
    assert "".join(pieces) == (ANSWER if mode == "stream" else "")
    assert (mode != "stream") or len(pieces) > 2
    assert reply.stop_reason == "end_turn"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (4, len(reply.text.split()))
    assert reply.metered
    assert (reply.answered_by, reply.origin) == ("scripted", "stand-in")
    assert reply.latency_ms > 0


@EVERY_WIRE
@EVERY_MODE
@pytest.mark.parametrize(
    ("trouble", "error", "words"),
    [
        ("rate_limit", QuotaExceeded, "throttles us"),
        ("quota_spent", ModelUnusable, "the account's budget is spent"),
        ("server_error", UpstreamUnavailable, "failed"),
        ("bad_key", ModelUnusable, "refuses the key (401)"),
        ("unknown_model", ModelUnusable, "has no such model"),
        ("refusal", SafetyRefused, "refused to answer"),
        ("error_body", UpstreamUnavailable, ""),
        ("other_model", ModelUnusable, "'another-model-7b' answered"),
    ],
)
async def test_a_trouble_is_an_error_in_one_line_after_one_request(
    server, gateways, model, mode, trouble, error, words
):
    plan(server, trouble)
    with pytest.raises(error) as raised:
        await ask(gateways, model, mode)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert counts(server)["requests"] == 1  # litellm and the client libraries retry nothing
    answered = raised.value.charged_reply
    assert (answered is not None) is (trouble in ("refusal", "other_model"))  # the provider bills these
    assert answered is None or (answered.metered and answered.usage.input_tokens > 0 < answered.usage.output_tokens)


@EVERY_WIRE
@pytest.mark.parametrize("mode", ["text", "form"])
async def test_an_error_in_a_200_body_is_named(server, gateways, model, mode):
    plan(server, "error_body")
    with pytest.raises(UpstreamUnavailable, match="answered 200 with an error"):
        await ask(gateways, model, mode)


@EVERY_WIRE
@EVERY_MODE
async def test_a_hanging_model_is_cut_off_at_the_deadline_and_its_connection_closed(server, gateways, model, mode):
    plan(server, "hang")
    with pytest.raises(DeadlineExceeded):
        await ask(gateways, model, mode, timeout_s=0.3)
    await until(lambda: counts(server)["abandoned"] == 1)


@EVERY_WIRE
async def test_a_cancelled_call_closes_its_connection(server, gateways, model):
    plan(server, "hang")
    task = asyncio.create_task(ask(gateways, model, "text"))
    await until(lambda: counts(server)["requests"] == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: counts(server)["abandoned"] == 1)


@EVERY_WIRE
@EVERY_MODE
async def test_an_answer_that_was_cut_off_says_so(server, gateways, model, mode):
    plan(server, "cut_off")
    reply, _ = await ask(gateways, model, mode)
    assert reply.stop_reason == "max_tokens"


@EVERY_WIRE
@pytest.mark.parametrize("mode", ["text", "stream"])
async def test_missing_usage_is_estimated_and_marked(server, gateways, model, mode):
    plan(server, "no_usage")
    if (model.startswith("anthropic"), mode) == (True, "text"):
        with pytest.raises(ModelError):  # litellm takes an answer of Anthropic without usage for an error
            await ask(gateways, model, mode)
        return
    reply, _ = await ask(gateways, model, mode)
    assert not reply.metered
    assert reply.usage.input_tokens == 6  # 21 characters, four to a token, each message rounded up
    assert reply.usage.output_tokens == 9


@EVERY_WIRE
async def test_a_model_may_ignore_the_form(server, gateways, model):
    plan(server, "prose")
    reply, _ = await ask(gateways, model, "form")
    assert reply.text.startswith("Of course!")


@EVERY_WIRE
async def test_a_stream_that_breaks_off_is_no_answer(server, gateways, model):
    plan(server, "stream_breaks")
    with pytest.raises(UpstreamUnavailable):
        await ask(gateways, model, "stream")


@pytest.mark.parametrize(
    ("model", "variable"),
    [("openai/gpt-4o-mini", "OPENAI_API_KEY"), ("anthropic/claude-haiku-4-5", "ANTHROPIC_API_KEY")],
)
async def test_a_missing_key_is_named(model, variable):
    with pytest.raises(ModelUnusable, match=variable) as raised:
        await gateway(model, None).complete(call(model))
    assert raised.value.__cause__ is not raised.value  # a chain without an end would hang whoever follows it


async def test_a_server_that_nobody_named_is_asked_for(gateways):
    with pytest.raises(ModelUnusable, match="--api-base URL, or set HOSTED_VLLM_BASE_URL or HOSTED_VLLM_API_BASE"):
        await gateway("hosted_vllm/x", None).complete(call("hosted_vllm/x"))


async def test_a_wrong_address_is_named(gateways):
    with pytest.raises(UpstreamUnavailable, match=r"no server answers at 127\.0\.0\.1:9"):
        await gateway("openai/x", "http://127.0.0.1:9/v1").complete(call("openai/x"))


async def test_prompts_travel_over_https_only_where_that_is_asked():
    remote = gateway("openai/x", "http://models.example/v1", https_only=True)
    with pytest.raises(ModelUnusable, match="https only"):
        await remote.complete(call("openai/x"))


@pytest.mark.parametrize("mode", ["text", "stream"])
@pytest.mark.parametrize("known", [True, False])
async def test_nor_do_they_travel_to_a_server_that_litellm_finds_by_itself(monkeypatch, server, known, mode):
    plan(server)
    monkeypatch.setenv("FIREWORKS_API_KEY", "k")
    monkeypatch.setenv(
        "FIREWORKS_API_BASE", server.url.replace("127.0.0.1", "127.0.0.2")
    )  # loopback, under another name
    if not known:
        monkeypatch.setattr("service.core.llm.servers._OTHER_VARIABLES", {})
    remote = gateway("fireworks_ai/x", None, https_only=True)
    with pytest.raises(ModelUnusable, match="https only"):
        await ask({"fireworks_ai/x": remote}, "fireworks_ai/x", mode)
    assert counts(server)["requests"] == 0


async def test_a_key_goes_to_a_server_of_the_environment_and_not_to_one_of_a_card(monkeypatch):
    model = "openai/gpt-4o-mini"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    with LocalChatServer(("--key", "sk-planted")) as guarded:
        url = guarded.url + "/v1"
        card = ModelCard(id=model, short_name="x4", wire="litellm", runs="provider", api_base=url)
        assert (await gateway(model, url).complete(call(model))).text
        with pytest.raises(ModelUnusable, match="none is sent to a server that only a card names"):
            await LiteLLMGateway(ModelCards([card]), region="r").complete(call(model))


FIRST_CALL = """
import asyncio, sys, threading
from service.core.unit.cards import ModelCard, ModelCards
from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.unit.pair import PromptMessage, Sampling

model, url, known = sys.argv[1], sys.argv[2], sys.argv[3] == "known"
card = ModelCard(id=model, short_name="model", wire="litellm", runs="provider")
gateway = LiteLLMGateway(ModelCards([card] if known else []), region="r", endpoints={model: url})
late = []

class Watch:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is threading.main_thread() and name.startswith(("openai.", "litellm.llms.")):
            late.append(name)

async def main():
    await asyncio.to_thread(gateway.warm_up)
    sys.meta_path.insert(0, Watch())
    messages = (PromptMessage(role="user", content="What colour?"),)
    call = ModelCall(model=model, messages=messages, sampling=Sampling(max_output_tokens=9), timeout_s=60.0)
    for reply in (await gateway.complete(call), await gateway.stream(call, lambda _: None)):
        assert reply.text
    print(*late)

asyncio.run(main())
"""


@EVERY_WIRE
@pytest.mark.parametrize("known", ["known", "unknown"])
def test_no_call_imports_a_providers_modules_on_the_event_loop(server, model, known):
    plan(server)
    command = [sys.executable, "-W", "ignore", "-c", FIRST_CALL, model, server.url + WIRES[model], known]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.returncode) == ([], 0), done.stderr


async def until(done):
    for _ in range(500):
        if done():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("never happened")
