"""Tools on each wire, with litellm's own translation: what is offered, what the model wants, what it is told came of it."""

import json
from types import SimpleNamespace

import pytest
from aiohttp import web

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.unit.cards import ModelCards
from service.core.unit.pair import PromptMessage, Sampling, ToolSpec
from service.core.unit.question import ToolTurn, Use
from service.kit.frame.errors import ModelUnusable
from service.kit.settings import REPO_ROOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
FIND = ToolSpec(
    name="find_branch",
    description="Find a branch.",
    arguments={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
EARLIER = ToolTurn(
    text="I look it up.",
    uses=(Use(tool="find_branch", arguments={"city": "Leeds"}, call_id="c1"),),
    contents=('{"branches": 0}',),
)
BEDROCK, OPENAI, ANTHROPIC = "amazon.nova-lite-v1:0", "openai/gpt-4o-mini", "anthropic/claude-3-5-haiku-20241022"
WANTED = {"city": "London"}
ANSWERS = {
    BEDROCK: {
        "output": {
            "message": {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "c2", "name": "find_branch", "input": WANTED}}],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10},
        "metrics": {"latencyMs": 1},
    },
    OPENAI: {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c2",
                            "type": "function",
                            "function": {"name": "find_branch", "arguments": json.dumps(WANTED)},
                        }
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    },
    ANTHROPIC: {
        "id": "x",
        "type": "message",
        "role": "assistant",
        "model": "claude-3-5-haiku-20241022",
        "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "id": "c2", "name": "find_branch", "input": WANTED}],
        "usage": {"input_tokens": 7, "output_tokens": 3},
    },
}


@pytest.fixture
async def provider(monkeypatch):
    """A server that answers every wire with ``answer`` and remembers the requests."""
    plan = SimpleNamespace(seen=[], answer=None, url="")

    async def respond(request):
        plan.seen.append(await request.json())
        return web.json_response(plan.answer)

    app = web.Application()
    app.router.add_post("/{tail:.*}", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    plan.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("PERPLEXITYAI_API_KEY", "k")
    yield plan
    await runner.cleanup()


async def ask(provider, model, answer, **changes):
    provider.answer = answer
    gateway = LiteLLMGateway(
        ModelCards.load(REPO_ROOT / "prompts" / "models.yaml"),
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
        "turns": (EARLIER, PromptMessage(role="user", content="And in London?")),
    }
    return await gateway.complete(ModelCall(**fields | changes))


@pytest.mark.parametrize("model", [BEDROCK, OPENAI, ANTHROPIC])
async def test_a_model_is_offered_tools_and_wants_one_used(provider, model):
    reply = await ask(provider, model, ANSWERS[model])
    assert reply.uses == (Use(tool="find_branch", arguments=WANTED, call_id="c2"),)
    assert (reply.stop_reason, reply.text, reply.usage.input_tokens) == ("tool_use", "", 7)


@pytest.mark.acceptance("turn-04")
async def test_bedrock_is_told_what_came_of_a_use(provider):
    await ask(provider, BEDROCK, ANSWERS[BEDROCK])
    (body,) = provider.seen
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["find_branch"]
    blocks = [next(iter(block)) for message in body["messages"] for block in message["content"]]
    assert blocks == ["text", "text", "toolUse", "toolResult", "text"]
    result = next(block for message in body["messages"] for block in message["content"] if "toolResult" in block)
    assert result["toolResult"]["toolUseId"] == "c1"
    assert "branches" in json.dumps(result)


async def test_openai_is_told_what_came_of_a_use(provider):
    await ask(provider, OPENAI, ANSWERS[OPENAI])
    (body,) = provider.seen
    assert [tool["function"]["name"] for tool in body["tools"]] == ["find_branch"]
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert body["messages"][3] | {"name": ""} == {
        "role": "tool",
        "tool_call_id": "c1",
        "name": "",
        "content": '{"branches": 0}',
    }


async def test_anthropic_is_told_what_came_of_a_use(provider):
    await ask(provider, ANTHROPIC, ANSWERS[ANTHROPIC])
    (body,) = provider.seen
    assert [tool["name"] for tool in body["tools"]] == ["find_branch"]
    kinds = [
        block["type"]
        for message in body["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    assert [kind for kind in kinds if kind.startswith("tool")] == ["tool_use", "tool_result"]


async def test_arguments_that_are_no_json_object_become_some_that_no_schema_allows(provider):
    broken = json.loads(json.dumps(ANSWERS[OPENAI]))
    broken["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = "{city: London"
    reply = await ask(provider, OPENAI, broken)
    assert reply.uses == (Use(tool="find_branch", arguments={"": "{city: London"}, call_id="c2"),)


async def test_without_tools_the_request_is_as_before(provider):
    await ask(provider, BEDROCK, ANSWERS[BEDROCK], tools=(), turns=())
    assert set(provider.seen[0]) & {"toolConfig", "tools"} == set()


async def test_a_model_that_takes_no_tools_is_refused_by_name(provider):
    with pytest.raises(ModelUnusable, match="takes no tools"):
        await ask(provider, "perplexity/sonar", ANSWERS[OPENAI])
