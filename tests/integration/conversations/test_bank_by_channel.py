"""The bank's assistant over its channels: what the customer hears is grounded, disclosed, and ends with a person when wanted."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from builders import changed
from parcel_service import Code, Source
from starlette.testclient import TestClient

from service.api.conversations.models import HANDED_OVER
from service.app import create_app
from service.channels.amazon_lex.lex import LexChannel
from service.channels.amazon_lex.service_client import ServiceClient
from service.core.run.task import load_task
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.persona import discloses
from service.core.tools.serving import build_task_tools
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT

pytestmark = pytest.mark.slow
RECORDED = Path(__file__).parents[2] / "recorded" / "lex" / "speech_first_turn.json"
PATH = "/v1/assistant/conversations"


@pytest.fixture
def bank(monkeypatch):
    """The bank that the tools work on, within opening hours."""
    opened = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: datetime(2026, 11, 24, 10, 30, tzinfo=UTC))
    monkeypatch.setattr(tools, "live_bank", lambda: opened)
    return opened


@pytest.fixture
def runtime(api_runtime, bank):
    cards, task = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml"), load_task("assistant")
    pair = load_pair(REPO_ROOT / "prompts" / "assistant" / "rules.prompty", cards=cards, task_variables=task.variables)
    source = Source()
    patient = replace(pair, serving=replace(pair.serving, deadline_ms=60_000))  # a busy machine is slow
    source.served = replace(Source.served, pair=patient)
    made = api_runtime(tasks={"assistant": task}, pair_sources={"assistant": source}, gateway=Code(task), cards=cards)
    offered = build_task_tools(made.settings, {"assistant": task.tool_functions}, None)
    offered["assistant"].check(pair)  # as before a pair is served
    return changed(made, tools=offered)


@pytest.fixture
def say(runtime):
    """Say something in one conversation; ``say.begun`` is how it began."""
    with TestClient(create_app(runtime=runtime)) as client:
        begun = client.post(PATH, json={"session": {"phone": "07700 900123"}}).json()

        def said(message):
            answer = client.post(f"{PATH}/{begun['conversation_id']}/messages", json={"message": message})
            assert answer.status_code == 200, answer.text
            assert answer.json()["made_by"] is None or not answer.json()["made_by"]["degraded"]
            return answer.json()

        said.begun = begun
        yield said


@pytest.mark.acceptance("words-02", "bot-test-06")
def test_a_chat_begins_with_the_disclosure_and_is_answered_from_the_bank_s_tools(say):
    assert discloses(say.begun["said"][0]["text"])
    asked = say("I'd like to open a personal current account")
    assert (asked["action"], asked["asks"]) == ("clarify", ["channel"])
    assert not discloses(asked["reply"])  # the greeting has said it
    told = say("in a branch, please")
    assert told["action"] == "answer"
    assert "passport or UK photocard driving licence" in told["reply"]


@pytest.mark.acceptance("turn-06", "handover-15")
def test_who_asks_for_a_person_gets_one_and_the_assistant_is_silent(say, bank):
    handed = say("I want to speak to a person")
    assert len(bank.records["transfers"]) == 1  # it said so because it has happened
    assert (handed["state"], handed["reason"]) == ("handed_over", "explicit_request")
    assert (say("Hello?")["reply"], say("Hello?")["notice"]) == (None, HANDED_OVER)


@pytest.mark.acceptance("turn-06", "connect-04", "bot-test-09")
async def test_a_caller_is_answered_through_lex_and_transferred(runtime):
    app = create_app(runtime=runtime)
    app.state.runtime = runtime
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")
    service = ServiceClient(http=http, task="assistant", timeout_s=60)
    channel = LexChannel(service, verified={"customer_phone": "phone"}, timeout_s=60)
    event = json.loads(RECORDED.read_text())
    event["inputTranscript"] = "how much is a premium debit card"
    told = await channel.handle(event)
    assert told["sessionState"]["dialogAction"]["type"] == "ElicitIntent"
    assert "£12" in " ".join(each["content"] for each in told["messages"])
    event["inputTranscript"] = "let me speak to a human"
    event["sessionState"]["sessionAttributes"] = told["sessionState"]["sessionAttributes"]
    ended = (await channel.handle(event))["sessionState"]
    assert (ended["dialogAction"]["type"], ended["sessionAttributes"]["transfer_to_agent"]) == ("Close", "true")
    assert ended["sessionAttributes"]["handover_reason"] == "explicit_request"
    await runtime.answering.tools["assistant"].aclose()
