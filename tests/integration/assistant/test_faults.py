"""The bank's assistant on the real wire to its model, while parts fail: a customer gets the rules' answer or a person."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from assistant_by_model import PATH, as_a_model, assistant_runtime, bank_model, open_bank, texts
from builders import changed
from pydantic import SecretStr
from starlette.testclient import TestClient
from tool_server import TOKEN, served

from service.api.conversations.models import HANDED_OVER
from service.app import create_app
from service.channels.amazon_lex.lex import LexChannel
from service.channels.amazon_lex.service_client import ServiceClient
from service.conversations.store import conversations_in_tables
from service.core.tasks.assistant import BankAssistant, tools
from service.core.tasks.assistant.validation.guard import AssistantGuard
from service.core.tasks.assistant.validation.promises import _TECHNICAL
from service.core.tools.mcp.server import build_server
from service.core.tools.mcp.tokens import FileTokenVerifier
from service.core.tools.serving import build_task_tools
from service.kit.aws.bounded import StoreThrottled
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LONG_S = 120
RECORDED = Path(__file__).parents[2] / "recorded" / "lex" / "speech_first_turn.json"
FEE = "How much is a premium debit card?"


@pytest.fixture(autouse=True)
def bank(monkeypatch):
    monkeypatch.setattr(tools, "live_bank", tools.live_bank)  # put back afterwards
    return open_bank()


class Chat:
    def __init__(self, http):
        self.http, self.id = http, http.post(PATH, json={}).json()["conversation_id"]

    def say(self, message, message_id=None):
        body = {"message": message} if message_id is None else {"message": message, "message_id": message_id}
        answer = self.http.post(f"{PATH}/{self.id}/messages", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


def chat(runtime):
    return TestClient(create_app(runtime=runtime))


@pytest.mark.acceptance("bot-test-12")
def test_while_the_model_hangs_the_rules_answer(api_runtime):
    ends = threading.Event()

    def hangs(so_far):
        ends.wait(LONG_S)
        return as_a_model(so_far)

    with bank_model(answer=hangs) as (url, arrived):
        try:
            with chat(assistant_runtime(api_runtime, model=url, hedge_delay_ms=200)) as http:
                told = Chat(http).say(FEE)
        finally:
            ends.set()
    assert arrived
    assert "£12" in told["reply"]
    assert told["made_by"]["model"] != "local-stand-in"


@pytest.mark.acceptance("bot-test-12")
def test_a_check_that_hangs_leaves_the_unchecked_reply_unsaid(api_runtime, monkeypatch):
    ends, checked = threading.Event(), []

    class Hangs(AssistantGuard):
        def __call__(self, text):
            checked.append(text)
            ends.wait(LONG_S)
            return ()

    monkeypatch.setattr(BankAssistant, "guard", lambda self, inputs, seen=(): Hangs(inputs, seen, heavy=True))
    with (
        bank_model(answer=invented) as (url, _),
        chat(assistant_runtime(api_runtime, model=url, deadline_ms=3_000)) as http,
    ):
        try:
            told = Chat(http).say(FEE)
        finally:
            ends.set()  # before the service stops, which waits for its threads
    assert "£99" in checked[0]
    assert "£99" not in told["reply"]
    assert told["made_by"]["degraded"]


def invented(so_far):
    said = as_a_model(so_far)
    return said.replace("£12", "£99") if isinstance(said, str) else said


def test_an_invented_fee_is_not_said_whatever_the_model_answers(api_runtime):
    with bank_model(answer=invented) as (url, arrived), chat(assistant_runtime(api_runtime, model=url)) as http:
        told = Chat(http).say(FEE)
    assert len(arrived) > 2  # it was asked to write the reply again
    assert "£99" not in told["reply"]


def test_after_the_tool_server_is_killed_a_person_is_called_without_talk_of_trouble(api_runtime):
    server = build_server("assistant", tools.FUNCTIONS, auth=FileTokenVerifier({TOKEN: "desk"}))
    with bank_model() as (model, _):
        with served(server.http_app("/mcp")) as address:
            runtime = assistant_runtime(api_runtime, model=model)
            elsewhere = runtime.settings.model_copy(
                update={"tools_servers": {"assistant": address}, "tools_tokens": {"assistant": SecretStr(TOKEN)}}
            )
            remote = build_task_tools(elsewhere, {"assistant": tools.FUNCTIONS}, None)
            http = chat(changed(runtime, tools=remote)).__enter__()
            talk = Chat(http)
            assert "£12" in talk.say(FEE)["reply"]
        replies = [
            talk.say(text) for text in ("What does the virtual card do?", "Hello?", "Where is a branch in Camden?")
        ]
        http.__exit__(None, None, None)
    said = " ".join(each["reply"] or "" for each in replies)
    assert replies[-1]["state"] == "handed_over"
    assert not _TECHNICAL.search(said)
    assert "Virtual Debit Card" not in said
    assert "Islington" not in said


class Throttling:
    """A table's queries, of which the next ``times`` are throttled."""

    def __init__(self, queries):
        self._queries, self.times, self.throttled = queries, 0, 0

    def _pass(self):
        if self.times:
            self.times, self.throttled = self.times - 1, self.throttled + 1
            raise StoreThrottled("busy")

    async def aclose(self):
        await self._queries.aclose()

    async def query(self, **arguments):
        self._pass()
        return await self._queries.query(**arguments)

    async def put(self, **arguments):
        self._pass()
        return await self._queries.put(**arguments)

    async def write_together(self, **arguments):
        self._pass()
        return await self._queries.write_together(**arguments)


@pytest.fixture
def table(local_aws, tmp_path):
    settings = Settings(aws_endpoint=local_aws().aws.endpoint, state_dir=tmp_path, store_timeout_s=30.0)
    dynamo = client("dynamodb", settings)
    queries = Throttling(DynamoQueries.beside(dynamo, settings))
    yield (
        queries,
        conversations_in_tables(queries, settings, scope=tmp_path.name, kept_s=3600, timeout_s=30),
    )
    dynamo.close()


@pytest.mark.acceptance("bot-test-12")
def test_a_throttled_table_loses_no_turn(api_runtime, table):
    queries, conversations = table
    with chat(assistant_runtime(api_runtime, conversations=conversations, disconnect=queries.aclose)) as http:
        talk = Chat(http)
        queries.times = 4
        told = talk.say(FEE, "m-1")
        again = talk.say(FEE, "m-1")
        kept = http.get(f"{PATH}/{talk.id}").json()
    assert queries.throttled == 4
    assert "£12" in told["reply"]
    assert again["repeated"]
    assert [by for by, _ in texts(kept)] == ["assistant", "customer", "assistant"]


def test_two_messages_at_once_are_both_answered_in_one_order(api_runtime, table):
    queries, conversations = table
    runtime = assistant_runtime(api_runtime, conversations=conversations, disconnect=queries.aclose)
    with chat(runtime) as http, ThreadPoolExecutor(2) as pool:
        talk = Chat(http)
        asked = {"m-1": FEE, "m-2": "What papers do I need for a student account at a branch?"}
        said = list(pool.map(talk.say, asked.values(), asked))
        kept = texts(http.get(f"{PATH}/{talk.id}").json())
    assert "£12" in said[0]["reply"]
    assert "UCAS" in said[1]["reply"]
    assert sorted(text for by, text in kept if by == "customer") == sorted(asked.values())
    assert [by for by, _ in kept[1:]] == ["customer", "assistant"] * 2


async def test_a_lex_event_that_comes_twice_is_answered_once(api_runtime, bank):
    runtime = assistant_runtime(api_runtime)
    app = create_app(runtime=runtime)
    app.state.runtime = runtime
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")
    channel = LexChannel(ServiceClient(http=http, task="assistant", timeout_s=60), verified={}, timeout_s=60)
    event = json.loads(RECORDED.read_text())
    event["inputTranscript"] = "let me speak to a human"
    first, again = await asyncio.gather(channel.handle(event), channel.handle(event))
    third = await channel.handle(event)
    assert first["messages"] == again["messages"] == third["messages"]
    assert first["sessionState"]["sessionAttributes"]["transfer_to_agent"] == "true"
    assert len(bank.records["transfers"]) == 1
    assert HANDED_OVER not in json.dumps(third)
    await runtime.answering.tools["assistant"].aclose()
