"""A pair whose prompts run on different wires, against the stand-ins: an answer is judged, repaired and judged again."""

import json
from typing import ClassVar

import pytest
from builders import make_pair, make_part
from pydantic import BaseModel

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.streaming import StreamingGateway, TextSink, streaming_into
from service.core.run.guard import Objection
from service.core.run.task import Task, TaskContext
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.question import Question
from service.kit.frame.errors import FailureCode
from service.local.process import LocalBedrock, LocalChatServer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
SCRIPTED, OPENAI, ANTHROPIC = "local.scripted-v1", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"
PRICES = Prices(input=1, output=1, source="test", date="2026-11-21")
CARDS = ModelCards(
    [
        ModelCard(
            id=model, short_name=model, wire=wire, runs="provider" if wire == "litellm" else "local",
            context_tokens=8000, prices=PRICES,
        )
        for model, wire in ((SCRIPTED, "bedrock"), (OPENAI, "litellm"), (ANTHROPIC, "litellm"))
    ]
)  # fmt: skip
SCRIPT = (
    {"contains": ["<graded>", "refund it"], "answers": [{"severity": "medium"}]},
    {"contains": ["<graded>", "insult"], "answers": [{"severity": "high"}]},
    {"contains": ["<graded>"], "answers": [{"severity": ""}]},
    {"contains": ["Leave the promise out"], "answers": ["The fee is five pounds."]},
    {"contains": ["rude"], "answers": ["This is an insult."]},
    {"contains": ["<asked>"], "answers": ["The fee is five pounds, and we refund it."]},
)


class Inputs(BaseModel):
    text: str


class Judged(Task[Inputs]):
    """Has each answer graded by a part of the pair."""

    name: ClassVar[str] = "judged"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"asked"})
    part_variables: ClassVar = {"judge": frozenset({"graded"})}

    def values(self, inputs):
        return {"asked": inputs.text}

    def check(self, text, rules):
        return text

    def validate(self, inputs, pair, answer, seen):
        graded = yield Question(part="judge", values={"graded": answer}, document=answer, read=str)
        severity = json.loads(graded)["severity"]
        return (Objection(kind="promise", told="Leave the promise out.", severity=severity),) if severity else ()


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


async def run(gateway, text, main, judge, heard):
    part = make_part(model=judge, asked="<graded>{{graded}}</graded>")
    pair = make_pair("judged", asked="<asked>{{asked}}</asked>", model=main, parts=(part,))
    context = TaskContext(pair=pair, gateway=gateway, cards=CARDS, chain="primary", patience=10.0)
    with streaming_into(TextSink(heard.append)):
        return await Judged().run(Inputs(text=text), context)


@pytest.mark.parametrize(("main", "judge"), [(OPENAI, SCRIPTED), (SCRIPTED, ANTHROPIC), (ANTHROPIC, OPENAI)])
async def test_an_answer_is_judged_repaired_and_judged_again(gateway, main, judge):
    heard = []
    result = await run(gateway, "What is the fee?", main, judge, heard)
    assert result.failure is None, result.failure_message
    assert (result.output, result.repaired, result.guarded) == ("The fee is five pounds.", True, ("promise",))
    assert [(step.name, step.model) for step in result.trace] == [("main", main), ("judge", judge)] * 2
    assert sum(step.cost_usd for step in result.trace) == pytest.approx(float(result.cost.metered_usd))
    assert all(step.usage.input_tokens > 0 for step in result.trace)
    # What the judge says is never streamed, nor is the repair: the client gets it as the result.
    assert "".join(heard) == "The fee is five pounds, and we refund it."


async def test_an_answer_that_the_judge_refuses_is_no_answer(gateway):
    result = await run(gateway, "Be rude.", OPENAI, SCRIPTED, [])
    assert (result.output, result.failure, result.raw_text) == (None, FailureCode.OUTPUT_INVALID, "This is an insult.")
    assert [step.name for step in result.trace] == ["main", "judge"]
