"""A run's spans: the names of OpenTelemetry's conventions for generative AI, the conversation's id, and no contents."""

import asyncio
import json
from typing import ClassVar

import pytest
from builders import make_pair
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import StatusCode

from service.core.llm.logged_gateway import LoggedGateway
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.task import TaskContext
from service.core.tools.allowed import AllowedTools
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use
from service.kit.telemetry import tracing
from service.kit.telemetry.fields import pseudonym_of

CARDS = ModelCards([ModelCard(id="amazon.m", short_name="main", wire="bedrock", runs="provider", context_tokens=1000)])
FIND = ToolSpec(
    name="find_branch",
    description="Find a branch in Zanzibar.",
    arguments={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
SECRET = "Zanzibar"  # in the customer's words, the arguments, the tool's answer, the reply and a call's id
CONVENTIONS = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
CONTENTS = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"}


class Branches(DialogueTask[DialogueInputs]):
    name: ClassVar[str] = "branches"

    def unit(self, inputs):
        return inputs.conversation_id


class Model:
    """Wants a tool, then one that it may not use, and then replies."""

    def __init__(self):
        uses = [
            Use(tool="find_branch", arguments={"city": SECRET}, call_id="tooluse_1"),
            Use(tool=f"close_{SECRET}", arguments={}, call_id=f"{SECRET} 2"),
        ]
        self.uses = [(use,) for use in uses]

    async def complete(self, call):
        await asyncio.sleep(0)
        uses = self.uses.pop(0) if self.uses else ()
        return ModelReply(
            text="" if uses else json.dumps({"reply": SECRET, "action": "answer"}),
            usage=Usage(input_tokens=7, output_tokens=3),
            stop_reason="tool_use" if uses else "end_turn",
            latency_ms=1.0,
            answered_by="nova",
            uses=uses,
        )


class Book:
    async def listed(self):
        return (FIND,)

    async def call(self, name, arguments, *, key):
        return json.dumps({"street": SECRET})


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    tracing.start_tracing("http://unused", environment="local", share=1.0, exporter=exporter)
    yield lambda: (tracing._provider.force_flush(), exporter.get_finished_spans())[1]
    tracing.stop_tracing()


async def run(conversation_id):
    inputs = DialogueInputs(conversation_id=conversation_id, message=SECRET)
    pair = make_pair("branches", asked="<m>{{message}}</m>", model="amazon.m", tools=(FIND,))
    tools = AllowedTools(specs={FIND.name: FIND}, tools=Book(), run_id=conversation_id)
    gateway = LoggedGateway(Model(), CARDS)
    context = TaskContext(pair=pair, gateway=gateway, cards=CARDS, tools=tools, chain="primary")
    return await Branches().run(inputs, context)


async def test_model_calls_and_tools_carry_the_conventions_names(spans):
    assert (await run("conversation-1")).failure is None
    found = spans()
    assert [span.name for span in found] == [
        "chat amazon.m",
        "execute_tool find_branch",
        "chat amazon.m",
        "execute_tool unknown",
        "chat amazon.m",
    ]
    chat, tool, _, refused, last = found
    assert dict(chat.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "amazon.m",
        "gen_ai.request.max_tokens": chat.attributes["gen_ai.request.max_tokens"],
        "gen_ai.output.type": "text",
        "gen_ai.conversation.id": pseudonym_of("conversation-1"),
        "gen_ai.response.model": "nova",
        "gen_ai.response.finish_reasons": ("tool_use",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_creation.input_tokens": 0,
    }
    assert dict(tool.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find_branch",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "tooluse_1",
        "gen_ai.conversation.id": pseudonym_of("conversation-1"),
        "omni.tool.outcome": "done",
    }
    assert (refused.status.status_code, refused.attributes["error.type"]) == (StatusCode.ERROR, "not_allowed")
    assert last.attributes["gen_ai.response.finish_reasons"] == ("end_turn",)


async def test_spans_hold_no_contents_and_only_names_of_the_conventions(spans):
    await run("conversation-1")
    for span in spans():
        assert SECRET not in span.to_json()
        assert "conversation-1" not in span.to_json()
        assert set(span.attributes) - CONVENTIONS <= {"error.type", "omni.tool.outcome"}
        assert not set(span.attributes) & CONTENTS


async def test_what_follows_a_conversation_is_not_part_of_it(spans):
    await run("conversation-1")
    with tracing.span("POST", "server"):
        pass
    assert "gen_ai.conversation.id" not in spans()[-1].attributes
