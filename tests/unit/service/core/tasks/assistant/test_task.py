"""A run of the task when serving: what a model says without a tool is repaired or refused, and the rules answer behind it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from eval.dialogue.scenario import ConversationScenario
from eval.suites.assistant.world import world
from service.core.llm.gateway import build_gateway
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.task import TaskContext
from service.core.tasks.assistant import TASK, tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.rules import MODEL_ID, rules
from service.core.tasks.assistant.understanding import by_meaning
from service.core.tools.allowed import AllowedTools
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.core.unit.question import Question, Said, Use
from service.kit.frame.errors import KnowledgeError, UpstreamUnavailable
from service.kit.settings import Settings

ROOT = Path(__file__).resolve().parents[6]
CARDS = ModelCards.load(Settings().prompts_dir / "models.yaml")
PAIR, GUESSER, HYBRID = (
    load_pair(ROOT / f"prompts/assistant/{name}.prompty", cards=CARDS, task_variables=TASK.variables)
    for name in ("nova-lite", "rules-minilm", "hybrid-nova-lite")
)


def said(reply, action="answer", **more):
    return json.dumps({"reply": reply, "action": action, "asks": [], "handover": None, "claims": [], **more})


LOOKS_UP = Said(output="", uses=(Use(tool="get_debit_card_info", arguments={"card_type": "premium"}, call_id="1"),))


class Models:
    """Gives the primary's answers in their order; an exception is raised. The rules answer as the backup."""

    def __init__(self, *answers):
        self.answers, self.asked, self.backup = list(answers), [], rules

    async def complete(self, call):
        self.asked.append(call)
        answer = self.backup(call.document) if call.model == MODEL_ID else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        text, uses = (answer, ()) if isinstance(answer, str) else (answer.output, answer.uses)
        return ModelReply(
            text=text,
            uses=uses,
            usage=Usage(),
            stop_reason="end_turn",
            latency_ms=1.0,
            answered_by=call.model,
            origin="code",
        )


async def answered(models, message="How much is the premium card?", pair=PAIR, **context):
    scenario = ConversationScenario(world={}, customer={"goal": "the fee", "opens": ["Hi"]})
    specs = {spec.name: spec for spec in pair.tools}
    tools = AllowedTools(specs=specs, tools=world(scenario), run_id="conv-1")
    inputs = DialogueInputs(conversation_id="conv-1", message=message)
    result = await TASK.run(inputs, TaskContext(pair=pair, gateway=models, cards=CARDS, tools=tools, **context))
    return result, json.loads(result.output)


async def test_a_reply_that_rests_on_the_turns_tools_is_shown():
    models = Models(LOOKS_UP, said("I'm Larkfield's AI assistant. The premium card is £12 a month."))
    result, reply = await answered(models)
    assert (result.arm, reply["reply"]) == ("primary", "I'm Larkfield's AI assistant. The premium card is £12 a month.")


async def test_an_invented_fee_is_repaired_in_the_words_of_the_finding():
    models = Models(
        LOOKS_UP,
        said("I'm Larkfield's AI assistant. The premium card is £15 a month."),
        said("I'm Larkfield's AI assistant. The premium card is £12 a month."),
    )
    result, reply = await answered(models)
    assert (result.arm, result.repaired, "£12" in reply["reply"]) == ("primary", True, True)
    assert "No tool's answer of this turn holds this figure" in models.asked[-1].turns[-1].content


@pytest.mark.parametrize(
    "wrong",
    [
        said("I'm Larkfield's AI assistant. I have arranged a callback for you."),
        said("I'm a real person called Sarah."),
        said("Let me connect you.", "handover", handover={"reason": "explicit_request", "context": "wants a person"}),
        UpstreamUnavailable("busy"),
    ],
)
async def test_what_must_not_be_shown_is_answered_by_the_rules_with_tools(wrong):
    result, reply = await answered(Models(LOOKS_UP, wrong, wrong))
    assert result.arm == "backup"
    assert "£12 a month" in reply["reply"]
    assert reply["claims"][0]["tool"] == "get_debit_card_info"


async def test_without_models_and_tools_it_hands_over_what_it_cannot_look_up(monkeypatch):
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: datetime(2026, 11, 24, 10, 30, tzinfo=UTC))
    monkeypatch.setattr(tools, "live_bank", lambda: bank)
    models = Models(*[UpstreamUnavailable("down")] * 4)
    models.backup = lambda _: UpstreamUnavailable("down")
    result, reply = await answered(models)
    assert (result.arm, reply["action"], reply["claims"]) == ("fallback", "handover", [])
    assert "How much is the premium card?" in reply["handover"]["context"]


async def test_the_prompt_holds_what_the_assistant_remembers_and_no_more():
    history = [{"by": by, "text": f"{by} {number}"} for number in range(15) for by in ("customer", "assistant")]
    inputs = DialogueInputs(conversation_id="conv-1", message="And now?", history=history)
    lines = TASK.values(inputs)["history"].splitlines()
    assert (len(lines), lines[0], lines[-1]) == (20, "Customer: customer 5", "Assistant: assistant 14")


@pytest.mark.acceptance("turn-16")
async def test_serving_logs_the_intent_whoever_words_the_reply_and_an_evaluation_does_not():
    shown = said("I'm Larkfield's AI assistant. The premium card is £12 a month.")
    with capture_logs() as lines:
        await answered(Models(LOOKS_UP, shown))
        await answered(Models(LOOKS_UP, shown), chain="primary")
    (line,) = [line for line in lines if line["event"] == "INTENT_READ"]
    assert (line["intent"], line["read_by"], line["confidence"]) == ("card", "words", None)


async def test_where_the_extra_is_missing_the_rules_answer_in_place_of_those_that_guess(monkeypatch):
    def missing():
        raise KnowledgeError("not installed")

    monkeypatch.setattr(by_meaning, "require_installed", missing)
    by_meaning.guess_by_weights.cache_clear()
    gateway = build_gateway(Settings(), CARDS, TASK.in_process)
    with capture_logs() as lines:
        result, reply = await answered(gateway, "Shall I be served soon, kind sir?", pair=GUESSER)
    by_meaning.guess_by_weights.cache_clear()
    assert (result.arm, result.model, reply["asks"]) == ("fallback", MODEL_ID, ["request"])
    (line,) = [line for line in lines if line["event"] == "INTENT_READ"]
    assert (line["intent"], line["read_by"]) == ("unclear", "nothing")


def test_in_a_hybrid_pair_the_rules_help_and_arrange_calls_and_the_model_does_the_rest(monkeypatch):
    monkeypatch.setattr("service.core.tasks.assistant._guess_of", lambda _: None)

    def first(message, pair=HYBRID):
        return next(TASK.steps(DialogueInputs(conversation_id="conv-1", message=message), pair))

    assert first("I lost my card").tool == "transfer_to_agent"
    assert isinstance(first("How much is the premium card?"), Question)
    assert isinstance(first("I lost my card", PAIR), Question)
    with pytest.raises(StopIteration) as asked:
        first("Call me back on 07700 900134")
    assert "Shall I arrange a call to 07700 900134?" in asked.value.value
