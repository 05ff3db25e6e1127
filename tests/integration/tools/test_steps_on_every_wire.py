"""A run that uses tools, over Converse, OpenAI's and Anthropic's wires against the stand-ins, with and without streaming."""

import json
from typing import ClassVar

import pytest
from builders import make_pair
from pydantic import BaseModel

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.streaming import StreamingGateway, TextSink, streaming_into
from service.core.run.task import Task, TaskContext
from service.core.tools.allowed import AllowedTools
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import PromptMessage, ToolSpec
from service.core.unit.question import Question, ToolTurn
from service.local.process import LocalBedrock, LocalChatServer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
SCRIPTED, OPENAI, ANTHROPIC = "local.scripted-v1", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"
WIRES = (SCRIPTED, OPENAI, ANTHROPIC)
CARDS = ModelCards(
    [ModelCard(id=SCRIPTED, short_name="scripted", wire="bedrock", runs="local", context_tokens=8000)]
    + [
        ModelCard(id=model, short_name=model, wire="litellm", runs="provider", context_tokens=8000)
        for model in (OPENAI, ANTHROPIC)
    ]
)
TEXT = {"type": "string"}
TOOLS = tuple(
    ToolSpec(
        name=name,
        description=name.replace("_", " "),
        arguments={"type": "object", "properties": {field: TEXT}, "required": [field]},
    )
    for name, field in (("find_branch", "city"), ("opening_hours", "branch"))
)
SCRIPT = (
    {
        "contains": ["Grüße"],
        "says": "Let me look.",
        "uses": [
            {"tool": "find_branch", "arguments": {"city": "Köln"}},
            {"tool": "find_branch", "arguments": {"city": "Bonn"}},
        ],
    },
    {"contains": ["Please tell me"], "answers": ["It is the branch Dom."]},
    {"contains": ["Dom", "Markt"], "uses": [{"tool": "opening_hours", "arguments": {"branch": "Dom"}}]},
    {"contains": ["9-17"], "uses": [{"tool": "close_account", "arguments": {}}]},
    {"contains": ["there is no tool"], "answers": ["The branch Dom is open from 9 to 17."]},
)
WORLD = {"Köln": {"branch": "Dom"}, "Bonn": {"branch": "Markt"}, "Dom": {"hours": "9-17"}}


class Inputs(BaseModel):
    text: str


class Assistant(Task[Inputs]):
    """Leaves it to the model which tools to use."""

    name: ClassVar[str] = "assistant"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        return text

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


class Teller(Assistant):
    """Asks for the answer in a question of its own, which offers no tools, so that it streams piece by piece."""

    name: ClassVar[str] = "teller"

    def steps(self, inputs, pair):
        said = yield Question(values={"text": inputs.text}, document=inputs, read=str.strip, tools=True)
        contents = []
        for use in said.uses:
            outcome = yield use
            contents.append(outcome.content)
        turn = ToolTurn(text=said.output, uses=said.uses, contents=tuple(contents))
        turns = (turn, PromptMessage(role="user", content="Please tell me."))
        return (yield Question(values={"text": inputs.text}, document=inputs, read=str.strip, turns=turns))


class World:
    async def listed(self):
        return TOOLS

    async def call(self, name, arguments, *, key):
        return json.dumps(WORLD[next(iter(arguments.values()))])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "script.jsonl"
    path.write_text("\n".join(json.dumps(rule) for rule in SCRIPT), encoding="utf-8")
    bedrock = LocalBedrock(["--models", SCRIPTED, "--script", str(path)])
    with bedrock as converse, LocalChatServer(("--script", str(path))) as chat:
        made = LiteLLMGateway(
            CARDS,
            region="us-east-1",
            endpoint=converse.url,
            endpoints={OPENAI: f"{chat.url}/v1", ANTHROPIC: chat.url},
        )
        made.warm_up()
        yield StreamingGateway(made)


async def run(gateway, model, heard, task=Assistant()):  # noqa: B008 - tasks have no state
    pair = make_pair("assistant", asked="<text>{{text}}</text>", model=model, tools=TOOLS)
    tools = AllowedTools(specs={spec.name: spec for spec in TOOLS}, tools=World(), run_id="r")
    context = TaskContext(pair=pair, gateway=gateway, cards=CARDS, tools=tools, chain="primary", patience=10.0)
    if heard is None:
        return await task.run(Inputs(text="Grüße, wann öffnet ihr?"), context)
    with streaming_into(TextSink(heard.append)):
        return await task.run(Inputs(text="Grüße, wann öffnet ihr?"), context)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("model", WIRES)
@pytest.mark.acceptance("turn-03", "bot-test-02")
async def test_every_wire_gives_the_same_uses_and_the_same_answer(gateway, model, streams):
    heard = [] if streams else None
    result = await run(gateway, model, heard)
    assert result.failure is None, result.failure_message
    assert result.output == "The branch Dom is open from 9 to 17."
    assert [(step.name, step.status, dict(step.arguments)) for step in result.trace if step.kind == "tool"] == [
        ("find_branch", "done", {"city": "Köln"}),
        ("find_branch", "done", {"city": "Bonn"}),
        ("opening_hours", "done", {"branch": "Dom"}),
        ("close_account", "refused", {}),
    ]
    assert [step.status for step in result.trace if step.kind == "model"] == ["tool_use"] * 3 + ["end_turn"]
    if streams:  # what it said before it looked is not shown
        assert "".join(heard) == result.output


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("model", WIRES)
@pytest.mark.acceptance("bot-test-02")
async def test_a_last_question_without_tools_streams_its_answer(gateway, model, streams):
    heard = [] if streams else None
    result = await run(gateway, model, heard, Teller())
    assert result.failure is None, result.failure_message
    assert result.output == "It is the branch Dom."
    if streams:
        assert "".join(heard) == result.output
        assert len(heard) > (0 if model == SCRIPTED else 1)  # Bedrock's scripted model says all at once
