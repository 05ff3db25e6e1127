"""Conversations over HTTP: started, gone on with, read again, by who may, as JSON and as events."""

import asyncio
import json
import re
from datetime import UTC, datetime

import pytest
from parcel_service import GREETING, parcel_runtime
from starlette.testclient import TestClient
from throwaway.parcels.task import LIVE

from service.access.clients import Client
from service.access.control import local_token, open_access
from service.access.conversation_tokens import conversation_token
from service.access.tokens import Caller
from service.api.conversations.models import HANDED_OVER
from service.app import create_app
from service.conversations.model import MessageWaiting
from service.kit.frame.errors import UpstreamUnavailable
from service.kit.settings import Settings

PATH = "/v1/parcels/conversations"


@pytest.fixture
def client(api_runtime):
    with TestClient(create_app(runtime=parcel_runtime(api_runtime))) as client:
        yield client


@pytest.fixture
def guarded(api_runtime, tmp_path):
    access = open_access(Settings(state_dir=tmp_path))
    with TestClient(create_app(runtime=parcel_runtime(api_runtime, access=access))) as client:
        client.settings, client.access = Settings(state_dir=tmp_path), access
        yield client


def started(client, by=None, **body):
    answer = client.post(PATH, json=body, headers=bearer(by))
    assert answer.status_code == 200, answer.text
    return answer.json()


def bearer(token):
    return {} if token is None else {"authorization": f"Bearer {token}"}


def say(client, conversation, message, **more):
    headers = more.pop("headers", {})
    url = f"{PATH}/{conversation['conversation_id']}/messages"
    return client.post(url, json={"message": message, **more}, headers=headers)


def events(answer):
    found = re.findall(r"event: (\w+)\ndata: (.*)\n\n", answer.text)
    return [(name, json.loads(data)) for name, data in found]


def test_a_conversation_begins_with_the_greeting_and_remembers_what_was_said(client):
    conversation = started(client)
    assert (conversation["state"], conversation["token"]) == ("open", None)
    assert [each["text"] for each in conversation["said"]] == [GREETING]
    asked = say(client, conversation, "Please send parcel AB123456 to another address, 12 Elm Street.").json()
    assert (asked["action"], asked["asks"]) == ("clarify", ["confirmation"])
    done = say(client, conversation, "Yes, please.", message_id="m-2").json()
    assert done["reply"] == "Parcel AB123456 goes to 12 Elm Street and is due on 2026-11-25."
    assert (done["made_by"]["pair"], done["made_by"]["registry_version"]) == ("courteous", 7)
    assert say(client, conversation, "Yes, please.", message_id="m-2").json() == {**done, "repeated": True}
    assert len(LIVE["keys"]) == 1
    read = client.get(f"{PATH}/{conversation['conversation_id']}").json()
    assert [each["by"] for each in read["said"]] == ["assistant", *["customer", "assistant"] * 2]
    assert (read["waiting"], read["unanswered"], read["notice"]) == ([], [], None)


def test_the_events_of_a_turn_tell_which_tools_are_used(client):
    conversation = started(client)
    answer = say(client, conversation, "Where is AB123456?", headers={"accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    (tool, used), (reply, said) = events(answer)
    assert (tool, used) == ("tool", {"tool": "find_parcel"})
    assert reply == "reply"
    assert said["reply"] == "Parcel AB123456 is on its way and due on 2026-11-25."


@pytest.mark.acceptance("handover-15")
def test_after_a_handover_a_person_answers(client):
    conversation = started(client)
    answer = say(client, conversation, "I want a human about AB123456", headers={"accept": "text/event-stream"})
    name, body = events(answer)[-1]
    assert (name, body["state"], body["reason"]) == ("handover", "handed_over", "asked for a person")
    assert body["reply"] == "I connect you to a colleague."
    assert "context" not in answer.text  # that is for the person
    later = say(client, conversation, "Hello?").json()
    assert (later["reply"], later["action"], later["notice"]) == (None, None, HANDED_OVER)
    read = client.get(f"{PATH}/{conversation['conversation_id']}").json()
    assert (read["state"], read["said"][-1]["text"], read["notice"]) == ("handed_over", "Hello?", HANDED_OVER)


def test_verified_values_reach_the_task(client):
    conversation = started(client, session={"parcel": "AB123456"})
    task = client.app.state.runtime.answering.tasks["parcels"]
    seen, sources = [], task.sources
    task.sources = lambda inputs: seen.append(dict(inputs.session)) or sources(inputs)
    say(client, conversation, "Where is AB123456?")
    assert seen == [{"parcel": "AB123456"}]


def test_a_conversation_that_is_started_again_is_the_same(client):
    first = started(client, key="contact-71", channel="voice")
    say(client, first, "Where is AB123456?")
    again = started(client, key="contact-71", channel="voice")
    assert again["conversation_id"] == first["conversation_id"]
    assert len(again["said"]) == 3
    assert started(client, key="contact-72")["conversation_id"] != first["conversation_id"]


@pytest.mark.acceptance("event.CONVERSATION_STARTED", "audit-06")
def test_a_conversation_that_starts_is_logged_without_its_words(client):
    from structlog.testing import capture_logs

    with capture_logs() as lines:
        conversation = started(client, channel="voice", session={"phone": "07700900123"}, key="contact-71")
        say(client, conversation, "Where is AB123456?")
    (begun,) = (line for line in lines if line["event"] == "CONVERSATION_STARTED")
    assert (begun["task"], begun["channel"]) == ("parcels", "voice")
    assert not any(word in str(lines) for word in ("07700900123", "AB123456", "contact-71"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": ""}, "message"),
        ({"message": " \n"}, "message"),
        ({"message": "x" * 2001}, "message"),
        ({"message": "a", "message_id": "with space"}, "message_id"),
        ({"message": "a", "session": {"account": "1"}}, "session"),
        ({}, "message"),
    ],
)
def test_a_wrong_message_is_refused_by_field(client, body, field):
    answer = client.post(f"{PATH}/{started(client)['conversation_id']}/messages", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.acceptance("code.CONVERSATION_REFUSED")
def test_what_is_not_there_or_not_taken_has_its_own_problem(client, accept):
    headers = {"accept": accept}
    missing = say(client, {"conversation_id": "conv-" + "0" * 24}, "hello", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "CONVERSATION_NOT_FOUND")
    conversation = started(client)
    say(client, conversation, "Where is AB123456?", message_id="m")
    refused = say(client, conversation, "Where is CD123456?", message_id="m", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONVERSATION_REFUSED")
    assert client.get(f"{PATH}/conv-{'0' * 24}").json()["code"] == "CONVERSATION_NOT_FOUND"
    assert client.get(f"{PATH}/other").status_code == 422


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_message_that_no_model_answers_may_be_sent_again(api_runtime, accept):
    down = True

    async def before(call):
        if down:
            raise UpstreamUnavailable("down")

    with TestClient(create_app(runtime=parcel_runtime(api_runtime, before))) as client:
        conversation = started(client)
        failed = say(client, conversation, "Where is AB123456?", message_id="m", headers={"accept": accept})
        assert (failed.status_code, failed.json()["code"]) == (503, "UPSTREAM_UNAVAILABLE")
        assert client.get(f"{PATH}/{conversation['conversation_id']}").json()["unanswered"] == ["m"]
        down = False
        again = say(client, conversation, "Where is AB123456?", message_id="m").json()
        assert (again["action"], again["repeated"]) == ("answer", False)


async def test_two_messages_at_once_are_answered_in_order(api_runtime):
    import httpx2

    entered, go_on = asyncio.Event(), asyncio.Event()

    async def before(call):
        entered.set()
        await go_on.wait()

    app = create_app(runtime=(runtime := parcel_runtime(api_runtime, before)))
    app.state.runtime = runtime
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as client:
        conversation = (await client.post(PATH, json={})).json()["conversation_id"]

        def post(message):
            return asyncio.create_task(client.post(f"{PATH}/{conversation}/messages", json={"message": message}))

        async with asyncio.timeout(60):
            first = post("Where is AB123456?")
            await entered.wait()
            second = post("And will it come on Friday?")
            while len((await client.get(f"{PATH}/{conversation}")).json()["waiting"]) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        go_on.set()
        replies = [(await each).json()["reply"] for each in (first, second)]
        said = (await client.get(f"{PATH}/{conversation}")).json()["said"]
    assert all(reply.startswith("Parcel AB123456") for reply in replies)  # the second turn knew the first
    assert [each["by"] for each in said] == ["assistant", *["customer", "assistant"] * 2]
    for tools in runtime.answering.tools.values():
        await tools.aclose()


def test_a_message_that_its_request_has_left_gets_an_answer_and_a_request_id_of_its_own(client):
    store, name = client.app.state.runtime.conversing.store, started(client)["conversation_id"]
    key = f"parcels//{name}"

    def kept():
        return asyncio.run(store.get(key))

    found = kept()
    left = found.conversation.message("customer", "left", "Where is AB123456?", datetime(2020, 1, 1, tzinfo=UTC))
    waiting = found.conversation.model_copy(update={"waiting": (MessageWaiting(message=left),)})
    asyncio.run(store.put(key, waiting, over=found))
    mine = say(client, {"conversation_id": name}, "And will it come on Friday?", message_id="mine")
    first, second = (each for each in kept().conversation.messages if each.reply_to)
    assert (first.reply_to, second.reply_to) == ("left", "mine")
    assert second.made_by.request_id == mine.headers["x-request-id"] != first.made_by.request_id


def test_a_client_with_a_tenants_name_does_not_get_its_conversations(guarded):
    tokens = guarded.access.tokens
    clients = {
        "one": Client(secrets=("sha256:" + "0" * 64,), scopes=("task:parcels",), tenant="acme"),
        "acme": Client(secrets=("sha256:" + "0" * 64,), scopes=("task:parcels",)),
    }
    tokens.clients.get = clients.get
    one, two = (
        started(guarded, by=tokens.sign(name, ("task:parcels",)).text, key="contact-71")["conversation_id"]
        for name in clients
    )
    assert one != two


def test_a_browser_s_token_opens_its_own_conversation_only(guarded):
    token = local_token(guarded.settings).text
    mine, other = (started(guarded, by=token, key=key) for key in ("a", "b"))
    assert mine["expires_in"] == 3600
    headers = bearer(mine["token"])
    assert say(guarded, mine, "Where is AB123456?", headers=headers).status_code == 200
    read = guarded.get(f"{PATH}/{mine['conversation_id']}", headers=headers)
    assert (read.status_code, read.headers["cache-control"]) == (200, "no-store")
    assert say(guarded, other, "Where is AB123456?", headers=headers).status_code == 401
    for method, path in (("post", PATH), ("post", "/v1/parcels"), ("get", "/v1/pairs"), ("get", "/v1/dashboards")):
        assert guarded.request(method, path, headers=headers).status_code == 401, path
    assert guarded.post(PATH, json={}).status_code == 401


def test_a_browser_s_token_leaves_its_client_able_to_answer_others(guarded):
    token = local_token(guarded.settings).text
    mine, other = (started(guarded, by=token, key=key) for key in ("a", "b"))
    url = f"{PATH}/{mine['conversation_id']}"
    refused = next(
        (each for _ in range(200) if (each := guarded.get(url, headers=bearer(mine["token"]))).status_code == 429), None
    )
    assert refused is not None
    assert refused.json()["code"] == "RATE_LIMITED"
    assert "this conversation" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    # Another conversation, and the client itself in this one, go on.
    assert guarded.get(f"{PATH}/{other['conversation_id']}", headers=bearer(other["token"])).status_code == 200
    assert guarded.get(url, headers=bearer(token)).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_browser_s_token_is_renewed_by_each_answer(guarded, accept):
    token = local_token(guarded.settings).text
    mine = started(guarded, by=token)
    url, accepts = f"{PATH}/{mine['conversation_id']}", {"accept": accept}
    said = say(guarded, mine, "Where is AB123456?", headers=bearer(mine["token"]) | accepts)
    renewed = said.headers["conversation-token"]
    assert renewed != mine["token"]
    read = guarded.get(url, headers=bearer(renewed))
    assert (read.status_code, "conversation-token" in read.headers) == (200, True)
    # The client has a token of its own, and asks for it with its secret.
    assert "conversation-token" not in say(guarded, mine, "Thanks", headers=bearer(token) | accepts).headers


@pytest.mark.acceptance("code.CONVERSATION_NOT_FOUND")
def test_another_client_s_conversation_is_not_found(guarded):
    token = local_token(guarded.settings).text
    conversation = started(guarded, by=token)
    tokens = guarded.access.tokens
    stranger = Client(secrets=("sha256:" + "0" * 64,), scopes=("task:parcels",), tenant="other")
    known = tokens.clients.get
    tokens.clients.get = lambda name: stranger if name == "stranger" else known(name)
    theirs = bearer(tokens.sign("stranger", ("task:parcels",)).text)
    assert say(guarded, conversation, "Where is it?", headers=theirs).json()["code"] == "CONVERSATION_NOT_FOUND"
    weak = bearer(tokens.sign("local", ("feedback",)).text)
    assert say(guarded, conversation, "Where is it?", headers=weak).status_code == 403
    # A token for this conversation of a client that may not have it finds nothing either.
    caller = Caller(client_id="stranger", client=stranger, scopes=frozenset({"task:parcels"}))
    planted = conversation_token(tokens, caller, "parcels", conversation["conversation_id"])
    assert say(guarded, conversation, "Where is it?", headers=bearer(planted.text)).status_code == 404


def test_the_document_has_the_operations_with_their_events_and_examples(client):
    paths = client.get("/openapi.json").json()["paths"]
    messages = paths[f"{PATH}/{{conversation_id}}/messages"]["post"]
    assert set(messages["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    examples = messages["responses"]["409"]["content"]["application/problem+json"]["examples"]
    assert set(examples) == {"CONVERSATION_ENDED", "CONVERSATION_REFUSED"}
    assert {path for path in paths if "conversations" in path} == {
        PATH, f"{PATH}/{{conversation_id}}", f"{PATH}/{{conversation_id}}/messages",
    }  # fmt: skip
