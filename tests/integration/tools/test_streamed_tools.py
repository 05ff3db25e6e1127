"""Tools in streams of each wire: uses put together from their pieces, and streams that end too early or hold broken pieces."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from aiohttp import web

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.unit.cards import ModelCards
from service.core.unit.pair import PromptMessage, Sampling, ToolSpec
from service.core.unit.question import Use
from service.kit.frame.errors import OutputInvalid, SafetyRefused, UpstreamUnavailable
from service.kit.settings import REPO_ROOT
from service.local.converse_wire import event_frame

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
FIND = ToolSpec(
    name="find_branch",
    description="Find a branch.",
    arguments={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
BEDROCK, OPENAI, ANTHROPIC = "amazon.nova-lite-v1:0", "openai/gpt-4o-mini", "anthropic/claude-3-5-haiku-20241022"
WIRES = (BEDROCK, OPENAI, ANTHROPIC)
HALVES = ('{"city": "Lon', 'don"}')


def bedrock(pieces, stop="tool_use", said="I look. ", second=True):
    """Return the frames of a Converse stream: a text, a tool in ``pieces``, and another one without arguments."""
    yield event_frame("messageStart", {"role": "assistant"})
    for word in said.split(" "):
        yield event_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": f"{word} "}})
    yield event_frame("contentBlockStop", {"contentBlockIndex": 0})
    tools = [("c1", "find_branch", pieces)] + ([("c2", "list_cities", [])] if second else [])
    for index, (call_id, name, parts) in enumerate(tools, 1):
        start = {"toolUse": {"toolUseId": call_id, "name": name}}
        yield event_frame("contentBlockStart", {"contentBlockIndex": index, "start": start})
        for part in parts:
            delta = {"toolUse": {"input": part}}
            yield event_frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
        yield event_frame("contentBlockStop", {"contentBlockIndex": index})
    yield event_frame("messageStop", {"stopReason": stop})
    usage = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}
    yield event_frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})


def openai(pieces, stop="tool_calls", said="I look. ", second=True):
    """Return the same as server-sent events of OpenAI's."""

    def chunk(delta, finish=None, **more):
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
        return f"data: {json.dumps(head | {'choices': choices} | more)}\n\n".encode()

    yield chunk({"role": "assistant", "content": ""})
    for word in said.split(" "):
        yield chunk({"content": f"{word} "})
    tools = [("c1", "find_branch", pieces)] + ([("c2", "list_cities", ["{}"])] if second else [])
    for index, (call_id, name, parts) in enumerate(tools):
        function = {"name": name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
        for part in parts:
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    yield chunk({}, stop)
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    yield chunk({}, None, choices=[], usage=usage)
    yield b"data: [DONE]\n\n"


def anthropic(pieces, stop="tool_use", said="I look. ", second=True):
    """Return the same as server-sent events of Anthropic's."""

    def event(kind, **fields):
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

    message = {"id": "x", "type": "message", "role": "assistant", "model": "claude-3-5-haiku-20241022", "content": []}
    yield event("message_start", message=message | {"usage": {"input_tokens": 7, "output_tokens": 1}})
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in said.split(" "):
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": f"{word} "})
    yield event("content_block_stop", index=0)
    tools = [("c1", "find_branch", pieces)] + ([("c2", "list_cities", [])] if second else [])
    for index, (call_id, name, parts) in enumerate(tools, 1):
        block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        yield event("content_block_start", index=index, content_block=block)
        for part in parts:
            yield event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": part})
        yield event("content_block_stop", index=index)
    yield event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": 3})
    yield event("message_stop")


STREAMS = {BEDROCK: bedrock, OPENAI: openai, ANTHROPIC: anthropic}
TYPES = {BEDROCK: "application/vnd.amazon.eventstream"}


@pytest.fixture
async def provider(monkeypatch):
    """A server that sends ``plan.parts`` and then ends the answer in good order."""
    plan = SimpleNamespace(seen=[], parts=(), kind="", url="", hangs=False, left=asyncio.Event())

    async def respond(request):
        plan.seen.append(await request.json())
        response = web.StreamResponse(headers={"Content-Type": plan.kind})
        await response.prepare(request)
        for part in plan.parts:
            await response.write(part)
        if plan.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                plan.left.set()
        return response

    app = web.Application()
    app.router.add_post("/{tail:.*}", respond)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    plan.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    yield plan
    await runner.cleanup()


@pytest.fixture(scope="module")
def cards():
    return ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")


async def stream(provider, cards, model, parts, *, on_text=None, **changes):
    provider.parts, provider.kind = parts, TYPES.get(model, "text/event-stream")
    gateway = LiteLLMGateway(
        cards,
        region="eu-west-1",
        endpoint=provider.url,
        endpoints={OPENAI: provider.url, ANTHROPIC: provider.url},
    )
    fields = {
        "model": model,
        "messages": (PromptMessage(role="system", content="Help."), PromptMessage(role="user", content="A branch?")),
        "sampling": Sampling(max_output_tokens=50),
        "timeout_s": 30.0,
        "tools": (FIND,),
    }
    heard = []
    return await gateway.stream(ModelCall(**fields | changes), on_text or heard.append), heard


@pytest.mark.parametrize("model", WIRES)
async def test_uses_are_put_together_from_their_pieces(provider, cards, model):
    reply, heard = await stream(provider, cards, model, STREAMS[model](HALVES))
    assert reply.uses == (
        Use(tool="find_branch", arguments={"city": "London"}, call_id="c1"),
        Use(tool="list_cities", arguments={}, call_id="c2"),
    )
    assert (reply.stop_reason, reply.text.strip(), reply.metered) == ("tool_use", "I look.", True)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (7, 3)
    assert "".join(heard) == reply.text
    assert len(heard) > 1
    (body,) = provider.seen
    assert "find_branch" in json.dumps(body.get("tools") or body["toolConfig"])


@pytest.mark.parametrize("model", WIRES)
@pytest.mark.parametrize("last", ["text", "tool use", "tool uses"])
async def test_a_stream_that_ends_before_its_answer_is_no_answer(provider, cards, model, last):
    whole = list(STREAMS[model](HALVES))
    if last == "text":
        kept = whole[:2] if model == BEDROCK else whole[:3]
    else:
        ends = {BEDROCK: 2, OPENAI: 3, ANTHROPIC: 2}[model]
        kept = whole[: -ends - (0 if last == "tool uses" else 3)]
    with pytest.raises(UpstreamUnavailable, match="broke off in the middle") as broken:
        await stream(provider, cards, model, kept)
    made = broken.value.charged_reply  # the provider bills what it had made
    assert (made.metered, made.text.split()[:1], made.usage.output_tokens > 0) == (False, ["I"], True)


@pytest.mark.parametrize("model", WIRES)
async def test_a_cancelled_stream_closes_its_connection_before_the_model_wants_a_tool(provider, cards, model):
    provider.hangs = True
    parts = list(STREAMS[model](HALVES))[:3]
    asking = asyncio.ensure_future(stream(provider, cards, model, parts, on_text=lambda _: asking.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(provider.left.wait(), 20)


async def test_bedrocks_stream_is_checked_without_tools_too(provider, cards):
    frames = list(bedrock((), stop="end_turn", second=False))
    with pytest.raises(UpstreamUnavailable, match="broke off in the middle"):
        await stream(provider, cards, BEDROCK, frames[:4], tools=())


async def test_a_bedrock_stream_without_its_last_frame_is_an_answer_of_estimated_usage(provider, cards):
    frames = list(bedrock(HALVES))
    reply, _ = await stream(provider, cards, BEDROCK, frames[:-1])
    assert not reply.metered
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0


@pytest.mark.parametrize("model", WIRES)
async def test_pieces_that_give_no_json_object_are_an_invalid_answer_that_is_charged(provider, cards, model):
    with pytest.raises(OutputInvalid, match="no JSON object") as broken:
        await stream(provider, cards, model, STREAMS[model](HALVES[:1], second=False))
    assert broken.value.charged_reply.usage.output_tokens == 3
    assert "London" not in str(broken.value)


async def test_a_guardrail_that_ends_a_stream_is_a_refusal_that_is_charged(provider, cards):
    frames = list(bedrock((), stop="guardrail_intervened", second=False))
    without_tool = [frame for frame in frames if b"find_branch" not in frame]
    with pytest.raises(SafetyRefused) as refused:
        await stream(provider, cards, BEDROCK, without_tool)
    assert refused.value.charged_reply.usage.input_tokens == 7
