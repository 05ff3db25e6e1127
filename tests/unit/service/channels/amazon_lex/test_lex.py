"""The Lex function: recorded events become turns of one conversation, and whatever goes wrong ends with a person."""

import json
from pathlib import Path

import botocore.session
import httpx2
import pytest
from botocore.validate import ParamValidator
from parcel_service import parcel_runtime
from throwaway.parcels.task import LIVE

from service.access.clients import Client, hash_secret
from service.access.control import open_access
from service.app import create_app
from service.channels.amazon_lex.lex import SAY_AGAIN, TO_A_PERSON, LexChannel, _messages, lambda_handler
from service.channels.amazon_lex.lex_models import LexEvent
from service.channels.amazon_lex.service_client import ServiceClient
from service.conversations.model import MessageWaiting
from service.kit.frame.errors import UpstreamUnavailable
from service.kit.settings import Settings

RECORDED = Path(__file__).parents[4] / "recorded" / "lex"
LONG_S = 60
SECRET = "a secret of the bot's"
PUT_SESSION = (
    botocore.session.get_session().get_service_model("lexv2-runtime").operation_model("PutSession").input_shape
)


def recorded(name, said=None, attributes=None, request_id=None):
    event = json.loads((RECORDED / f"{name}.json").read_text())
    if said is not None:
        event["inputTranscript"] = said
    if attributes is not None:
        event["sessionState"]["sessionAttributes"] = attributes
    if request_id is not None:
        event["sessionState"]["originatingRequestId"] = request_id
    return event


class Bot:
    """A bot before a service in this process; ``handle`` checks each answer against AWS's own description."""

    def __init__(self, runtime, **client):
        app = create_app(runtime=runtime)
        app.state.runtime = runtime
        self.runtime, self.sent = runtime, []
        http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://test", event_hooks={"request": [self._note]}
        )
        service = ServiceClient(http=http, task="parcels", timeout_s=LONG_S, **client)
        self.channel = LexChannel(service, verified={"customer_phone": "phone"}, timeout_s=LONG_S)

    async def _note(self, request):
        self.sent.append((request.url.path, request.content.decode()))

    async def handle(self, event):
        answer = await self.channel.handle(event)
        session = {"botId": "A1B2C3D4E5", "botAliasId": "TSTALIASID", "localeId": "en_GB", "sessionId": "s1"}
        report = ParamValidator().validate(session | answer, PUT_SESSION)
        assert not report.has_errors(), report.generate_report()
        assert json.loads(json.dumps(answer)) == answer
        return answer

    async def aclose(self):
        for tools in self.runtime.answering.tools.values():
            await tools.aclose()


@pytest.fixture
async def bot(api_runtime):
    made = Bot(parcel_runtime(api_runtime))
    yield made
    await made.aclose()


def action(answer):
    return answer["sessionState"]["dialogAction"]["type"]


def attributes(answer):
    return answer["sessionState"]["sessionAttributes"]


def text(answer):
    return " ".join(each["content"] for each in answer["messages"])


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
@pytest.mark.acceptance("turn-01", "bot-test-01")
def test_recorded_events_are_understood(path):
    event = json.loads(path.read_text())
    assert LexEvent.model_validate({**event, "aNewField": {"of": ["Lex"]}}).session_id == event["sessionId"]


@pytest.mark.acceptance("turn-02", "turn-11", "connect-06", "bot-test-01")
async def test_turns_of_a_call_are_one_conversation_until_it_ends(bot):
    first = await bot.handle(recorded("speech_first_turn"))
    assert action(first) == "ElicitIntent"
    assert text(first) == "Shall I send parcel AB123456 to 12 Elm Street?"
    second = await bot.handle(recorded("speech_first_turn", "Yes, please.", attributes(first), "second"))
    assert LIVE["parcels"]["AB123456"]["address"] == "12 Elm Street"
    assert attributes(second)["conversation_id"] == attributes(first)["conversation_id"]
    assert [attributes(each)["conversation_turn"] for each in (first, second)] == ["1", "2"]
    # An id and a number: what was said stays with the service.
    assert set(attributes(second)) == {"customer_phone", "conversation_id", "conversation_turn"}


@pytest.mark.acceptance("connect-04")
async def test_a_handover_ends_the_bot_and_tells_the_flow(bot):
    answer = await bot.handle(recorded("text_first_turn"))
    assert action(answer) == "Close"
    assert answer["sessionState"]["intent"] == {"name": "FallbackIntent", "state": "Fulfilled"}
    assert attributes(answer)["transfer_to_agent"] == "true"
    assert attributes(answer)["handover_reason"] == "asked for a person"
    assert text(answer) == "I connect you to a colleague."
    again = await bot.handle(recorded("text_first_turn", "Hello?", attributes(answer)))
    assert (action(again), attributes(again)["transfer_to_agent"]) == ("Close", "true")


async def test_a_caller_who_is_back_with_the_bot_is_not_transferred_by_what_an_earlier_turn_said(bot):
    event = recorded("speech_first_turn")
    given = event["sessionState"]["sessionAttributes"] | {
        "transfer_to_agent": "true",
        "handover_reason": "technical_issues",
    }
    answer = await bot.handle(recorded("speech_first_turn", attributes=given))
    assert action(answer) == "ElicitIntent"
    assert set(attributes(answer)) == {"customer_phone", "conversation_id", "conversation_turn"}


@pytest.mark.acceptance("connect-05")
async def test_what_lex_takes_for_its_own_intent_is_a_turn_like_all_others(bot):
    event = recorded("speech_first_turn")
    event["sessionState"]["intent"]["name"] = "TransferToAgent"
    answer = await bot.handle(event)
    assert action(answer) == "ElicitIntent"
    assert "transfer_to_agent" not in attributes(answer)
    assert text(answer) == "Shall I send parcel AB123456 to 12 Elm Street?"


async def test_an_event_that_comes_again_is_answered_once(bot):
    first = await bot.handle(recorded("speech_first_turn"))
    assert await bot.handle(recorded("speech_first_turn")) == first
    event = recorded("speech_first_turn", "Yes, please.", attributes(first), "second")
    assert await bot.handle(event) == await bot.handle(event)
    assert len(LIVE["keys"]) == 1
    assert bot.runtime.answering.gateway.calls == 2 + 3  # find and ask; find, redirect, and say so


async def test_the_same_words_in_the_next_turn_are_another_message(bot):
    first = await bot.handle(recorded("text_first_turn", "Where is my parcel?"))
    calls = bot.runtime.answering.gateway.calls
    await bot.handle(recorded("text_first_turn", "Where is my parcel?", attributes(first)))
    assert bot.runtime.answering.gateway.calls > calls


@pytest.mark.parametrize("known", ["", "{broken", "conv-" + "0" * 24])
@pytest.mark.acceptance("turn-12")
async def test_an_id_that_names_no_conversation_begins_a_new_one(bot, known):
    answer = await bot.handle(
        recorded("speech_first_turn", attributes={"conversation_id": known, "conversation_turn": "x"})
    )
    assert action(answer) == "ElicitIntent"
    assert attributes(answer)["conversation_id"] not in ("", known)


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.acceptance("code.CONVERSATION_ENDED")
async def test_only_a_conversation_that_has_ended_is_followed_by_a_new_one(bot, ended):
    first = await bot.handle(recorded("speech_first_turn"))
    name = attributes(first)["conversation_id"]
    store = bot.runtime.conversing.turns.store
    key = f"parcels//{name}"
    found = await store.get(key)
    waits = (found.conversation.message("customer", f"m-{each}", "Hm", bot.runtime.now()) for each in range(4))
    change = {"state": "closed"} if ended else {"waiting": tuple(MessageWaiting(message=each) for each in waits)}
    await store.put(key, found.conversation.model_copy(update=change), over=found)
    answer = await bot.handle(recorded("speech_first_turn", "And now?", attributes(first), "second"))
    # One that has too many messages waiting keeps its history, so the caller goes to a person.
    assert (attributes(answer)["conversation_id"] != name) is ended
    assert ("transfer_to_agent" in attributes(answer)) is not ended
    again = await bot.channel._service.http.post(f"/v1/parcels/conversations/{name}/messages", json={"message": "Hm"})
    code = "CONVERSATION_ENDED" if ended else "CONVERSATION_REFUSED"
    assert (again.status_code, again.json()["code"]) == (409, code)


async def test_verified_values_come_from_the_flow(bot):
    await bot.handle(recorded("speech_first_turn"))
    started = json.loads(next(body for path, body in bot.sent if path.endswith("/conversations")))
    assert (started["session"], started["channel"]) == ({"phone": "+447700900123"}, "voice")


async def test_nothing_heard_is_asked_again(bot):
    answer = await bot.handle(recorded("nothing_heard"))
    assert (action(answer), text(answer), bot.sent) == ("ElicitIntent", SAY_AGAIN, [])


@pytest.mark.parametrize("event", [None, {}, [], "text", {"sessionId": 7}])
@pytest.mark.acceptance("bot-test-01")
async def test_what_is_no_event_of_lex_ends_with_a_person(bot, event):
    answer = await bot.handle(event)
    assert (action(answer), attributes(answer)["transfer_to_agent"]) == ("Close", "true")
    assert answer["sessionState"]["intent"]["state"] == "Failed"


@pytest.mark.acceptance("words-04", "bot-test-01")
async def test_a_service_without_an_answer_ends_with_a_person_and_no_word_of_it(api_runtime):
    async def down(call):
        raise UpstreamUnavailable("down")

    bot = Bot(parcel_runtime(api_runtime, down))
    answer = await bot.handle(recorded("speech_first_turn"))
    assert (action(answer), text(answer)) == ("Close", TO_A_PERSON)
    assert attributes(answer)["handover_reason"] == "technical_issues"
    ids = {json.loads(body)["message_id"] for path, body in bot.sent if path.endswith("/messages")}
    assert (len(bot.sent), len(ids)) == (4, 1)  # started once, said three times under one id
    await bot.aclose()


def refused(request):
    raise httpx2.ConnectError("refused", request=request)


@pytest.mark.acceptance("connect-03")
async def test_an_unreachable_service_ends_with_a_person():
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(refused), base_url="http://test")
    service = ServiceClient(http=http, task="parcels", timeout_s=5)
    answer = await LexChannel(service, verified={}, timeout_s=5).handle(recorded("speech_first_turn"))
    assert (action(answer), text(answer)) == ("Close", TO_A_PERSON)


async def test_the_function_has_a_client_of_its_own(api_runtime, tmp_path):
    access = open_access(Settings(state_dir=tmp_path))
    known, lex = access.tokens.clients.get, Client(secrets=(hash_secret(SECRET),), scopes=("task:parcels",))
    access.tokens.clients.get = lambda name: lex if name == "lex" else known(name)
    bot = Bot(parcel_runtime(api_runtime, access=access), client_id="lex", client_secret=SECRET)
    for turn in ("one", "two"):
        assert action(await bot.handle(recorded("speech_first_turn", request_id=turn))) == "ElicitIntent"
    assert [path for path, _ in bot.sent].count("/oauth/token") == 1
    wrong = Bot(parcel_runtime(api_runtime, access=access), client_id="lex", client_secret="wrong")
    assert attributes(await wrong.handle(recorded("speech_first_turn")))["transfer_to_agent"] == "true"
    await bot.aclose()


@pytest.mark.acceptance("turn-02")
def test_long_replies_are_cut_where_sentences_end():
    long = "A sentence of some length. " * 100 + "x" * 1500
    pieces = _messages(long)
    assert all(len(piece) <= 1024 for piece in pieces)
    assert " ".join(pieces).replace(" ", "") == long.replace(" ", "")
    assert pieces[0].endswith(".")


@pytest.mark.acceptance("turn-01")
def test_lambda_calls_the_service_that_its_environment_names(monkeypatch):
    from service.channels.amazon_lex import lex

    asked = []

    def refuse(request):
        asked.append(request.url.host)
        refused(request)

    transport, made = httpx2.MockTransport(refuse), httpx2.AsyncClient
    monkeypatch.setattr(lex.httpx2, "AsyncClient", lambda **fields: made(transport=transport, **fields))
    monkeypatch.setenv("OMNI_LEX_URL", "http://service.example")
    monkeypatch.setattr(lex, "configure_logging", lambda: None)
    lex._opened.cache_clear()
    try:
        for _ in range(2):  # one event loop for all events of a process
            assert action(lambda_handler(recorded("speech_first_turn"), None)) == "Close"
        assert set(asked) == {"service.example"}
        runner, channel = lex._opened()
        runner.run(channel._service.http.aclose())
        runner.close()
    finally:
        lex._opened.cache_clear()
