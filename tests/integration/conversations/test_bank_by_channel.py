"""The bank's assistant over its channels: what the customer hears is grounded, disclosed, and ends with a person when wanted."""

import asyncio
import json
import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
import uvicorn
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
    assert (told["action"], told["asks"]) == ("clarify", ["more"])
    assert "passport or UK photocard driving licence" in told["reply"]
    assert "\n1. Book an appointment" in say("yes please")["reply"]


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


async def test_a_caller_reads_a_number_out_in_words_and_pieces_and_is_called_back(runtime, bank):
    app = create_app(runtime=runtime)
    app.state.runtime = runtime
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")
    channel = LexChannel(ServiceClient(http=http, task="assistant", timeout_s=60), verified={}, timeout_s=60)
    event = json.loads(RECORDED.read_text())

    async def heard(words):
        event["inputTranscript"] = words
        told = await channel.handle(event)
        event["sessionState"]["sessionAttributes"] = told["sessionState"]["sessionAttributes"]
        return " ".join(each["content"] for each in told["messages"])

    assert "number" in await heard("could somebody ring me back please")
    assert "rest of the number" in await heard("oh seven seven double oh")
    assert "07700900134" in await heard("nine hundred one three four")
    assert "07700900135" in await heard("no sorry it is oh seven seven double oh nine hundred one three five")
    assert "callbacks" not in bank.records
    assert "call you back" in await heard("yes that's right")
    assert [row["phone"] for row in bank.records["callbacks"].values()] == ["+447700900135"]
    await runtime.answering.tools["assistant"].aclose()


SUNDAY = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
AT_NIGHT = (
    ("I lost my card", "is anybody there", "thanks"),
    ("I want to kill myself", "I don't know", "ok"),
    ("Call me back please", "07700 900134", "ok, hold on, don't"),
    ("let me speak to a human", "no, no call", "how much is the premium card"),
    ("I can't pay my loan this month", "what can I do", "bye"),
)
PROMISED = re.compile(r"one moment please|connect you|next in line|estimated wait|within the next hour|shortly", re.I)


def test_fifty_customers_at_once_at_night_are_promised_nobody(runtime, bank, monkeypatch, capsys):
    """Over HTTP, as a browser asks: nothing is lost, nobody is handed over, and no call is booked against the last word."""
    bank = replace(bank, clock=lambda: SUNDAY)
    monkeypatch.setattr(tools, "live_bank", lambda: bank)
    server = uvicorn.Server(uvicorn.Config(create_app(runtime=runtime), port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]

    async def customer(http, number):
        begun = (await http.post(PATH, json={})).json()["conversation_id"]
        replies, took = [], []
        for message in AT_NIGHT[number % len(AT_NIGHT)]:
            started = time.perf_counter()
            answer = await http.post(f"{PATH}/{begun}/messages", json={"message": message})
            took.append(time.perf_counter() - started)
            assert answer.status_code == 200, answer.text
            replies.append(answer.json())
        return replies, took

    async def all_at_once():
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as http:
            return await asyncio.gather(*(customer(http, number) for number in range(50)))

    found = asyncio.run(all_at_once())
    server.should_exit = True
    thread.join(30)
    replies = [reply for each, _ in found for reply in each]
    assert len(replies) == 150
    assert [reply["reply"] for reply in replies if reply["reply"] is None or PROMISED.search(reply["reply"])] == []
    assert {reply["state"] for reply in replies} <= {"open", "closed"}
    assert (bank.records.get("callbacks", {}), bank.records.get("transfers", {})) == ({}, {})
    took = sorted(seconds for _, each in found for seconds in each)
    with capsys.disabled():
        print(
            f"50 customers at once at night: 150 turns, p95 {took[int(0.95 * len(took))]:.2f} s, longest {took[-1]:.2f} s"
        )
