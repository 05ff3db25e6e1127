"""The assistant with a model on Bedrock's wire whose replies are faulty: what the guard and the customers make of them."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from builders import changed
from parcel_service import Source
from starlette.testclient import TestClient

from service.app import create_app
from service.core.llm.gateway import LiteLLMGateway
from service.core.run.task import load_task
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tools.serving import build_task_tools
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT
from service.local.process import LocalBedrock

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
SCRIPTED = "local.scripted-v1"
PATH = "/v1/assistant/conversations"


def card(kind):
    return {"tool": "get_debit_card_info", "arguments": {"card_type": kind}}


def answer(reply, action="answer"):
    note = {"reason": "explicit_request", "context": "The customer wants a person."} if action == "handover" else None
    return {"reply": reply, "action": action, "asks": [], "handover": note, "claims": []}


def said_now(text):
    return f"<message>\n{text}"


FEE, REPLACEMENT = "What is the monthly fee of the premium card?", "What is the replacement of the contactless card?"
DOCUMENTS = "What documents do I need for a current account in a branch?"
CALL, STOLEN, BOT = "Please call me on 07700 900123", "My card was stolen, block it", "Are you a bot?"
# The first rule whose texts stand in the last thing that the model is told: the guard's objection, a tool's answer, the message.
SCRIPT = (
    {"contains": ["holds this figure", '"15"'], "answers": [answer("The premium card is £12 a month.")]},
    {"contains": ["holds this figure", '"99"'], "answers": [answer("A replacement costs £98.")]},
    {
        "contains": ["must be complete"],
        "answers": [answer("Bring your passport, proof of address and proof of income.")],
    },
    {"contains": ["Write the whole answer once more"], "answers": [answer("Nothing else is written again.")]},
    {"contains": ["Larkfield Premium"], "answers": [answer("The premium card is £15 a month.")]},
    {"contains": ["Larkfield Contactless"], "answers": [answer("A replacement costs £99.")]},
    {"contains": ["documents_required"], "answers": [answer("You need to bring your passport and proof of income.")]},
    {"contains": [said_now(FEE)], "uses": [card("premium")]},
    {"contains": [said_now(REPLACEMENT)], "uses": [card("contactless")]},
    {
        "contains": [said_now(DOCUMENTS)],
        "uses": [{"tool": "get_branch_account_opening_info", "arguments": {"account_type": "checking"}}],
    },
    {"contains": [said_now(CALL)], "answers": [answer("I've booked a callback for you.")]},
    {"contains": [said_now(STOLEN)], "answers": [answer("I've blocked your card.")]},
    {"contains": [said_now(BOT)], "answers": [answer("No, I'm a real person.")]},
)


@pytest.fixture(scope="module")
def bedrock(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "script.jsonl"
    path.write_text("\n".join(json.dumps(rule) for rule in SCRIPT), encoding="utf-8")
    with LocalBedrock(["--models", SCRIPTED, "--script", str(path)]) as server:
        yield server


@pytest.fixture
def bank(monkeypatch):
    opened = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: datetime(2026, 11, 24, 10, 30, tzinfo=UTC))
    monkeypatch.setattr(tools, "live_bank", lambda: opened)
    return opened


@pytest.fixture
def say(api_runtime, bank, bedrock):
    """Say something in one conversation with the assistant, which the scripted model answers."""
    task = load_task("assistant")
    known = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    scripted = ModelCard(id=SCRIPTED, short_name="scripted", wire="bedrock", runs="local", context_tokens=32_000)
    cards = ModelCards([*known, scripted])
    pair = load_pair(
        REPO_ROOT / "prompts" / "assistant" / "nova-lite.prompty", cards=cards, task_variables=task.variables
    )
    patient = replace(pair.serving, deadline_ms=60_000, hedge_delay_ms=55_000)  # a busy machine is slow
    source = Source()
    source.served = replace(Source.served, pair=replace(pair, model=SCRIPTED, serving=patient))
    gateway = LiteLLMGateway(cards, region="us-east-1", endpoint=bedrock.url, in_process=task.in_process)
    made = api_runtime(tasks={"assistant": task}, pair_sources={"assistant": source}, gateway=gateway, cards=cards)
    offered = build_task_tools(made.settings, {"assistant": task.tool_functions}, None)
    offered["assistant"].check(source.served.pair)  # as before a pair is served
    with TestClient(create_app(runtime=changed(made, tools=offered))) as client:
        begun = client.post(PATH, json={"session": {"phone": "07700 900123"}}).json()

        def said(message):
            answered = client.post(f"{PATH}/{begun['conversation_id']}/messages", json={"message": message})
            assert answered.status_code == 200, answered.text
            return answered.json()

        yield said


@pytest.mark.parametrize(
    ("message", "repaired"),
    [
        (FEE, "The premium card is £12 a month."),
        (DOCUMENTS, "Bring your passport, proof of address and proof of income."),
    ],
)
@pytest.mark.acceptance("validation-08", "bot-test-08")
def test_a_model_writes_again_what_was_fabricated_or_left_out(say, message, repaired):
    told = say(message)
    assert (told["reply"], told["made_by"]["model"]) == (repaired, "scripted")


@pytest.mark.acceptance("validation-08", "bot-test-08")
def test_a_model_that_fabricates_twice_is_not_read_and_the_rules_answer(say):
    told = say(REPLACEMENT)
    assert "A replacement costs £3" in told["reply"]
    assert "£9" not in told["reply"]
    assert "assistant-rules" in told["made_by"]["model"]


@pytest.mark.acceptance("validation-07")
def test_a_promise_that_nothing_kept_is_not_read_and_the_customer_is_asked(say, bank):
    told = say(CALL)
    assert (told["reply"], told["asks"]) == ("Shall I arrange a call to 07700 900123?", ["confirmation"])
    assert bank.records == {}


@pytest.mark.acceptance("validation-07", "words-07")
def test_a_deed_that_no_tool_can_do_is_not_read_and_a_person_takes_over(say, bank):
    told = say(STOLEN)
    assert "blocked" not in told["reply"]
    assert "specialist who can give this the attention it deserves. One moment please." in told["reply"]
    assert (told["state"], told["reason"]) == ("handed_over", "sensitive_topic")
    assert [row["reason"] for row in bank.records["transfers"].values()] == ["sensitive_topic"]


@pytest.mark.acceptance("validation-07")
def test_a_model_that_denies_being_an_ai_is_not_read(say):
    told = say(BOT)
    assert told["reply"].startswith("I'm an AI assistant, not a person.")
