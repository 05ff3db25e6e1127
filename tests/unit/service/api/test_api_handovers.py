"""Handovers over HTTP: a customer waits with a story, an agent takes, reads, answers and ends, and nobody else does."""

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from access_place import keep_clients
from assistant_service import PATH, assistant_runtime
from parcel_service import parcel_runtime
from starlette.testclient import TestClient

from service.access.clients import new_secret
from service.access.control import open_access
from service.access.sealing import OwnerOnly
from service.api.conversations.models import HANDED_OVER, TAKEN_OVER
from service.app import create_app
from service.conversations.store import ConversationStore
from service.desk.callback import CallbackBook, CallbackStore
from service.desk.handover import HandoverStore
from service.desk.queue import HandoverQueue
from service.kit.aws.stores import CALLBACKS, HANDOVERS, MESSAGES
from service.kit.frame.errors import StoreError
from service.kit.records.memory import AwaitedRows, RowsInMemory
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, add_listener

LIST = "/v1/handovers"
NEXT = "You're next in line. A specialist will be with you shortly."


@pytest.fixture
def callbacks():
    return CallbackStore(RowsInMemory(CALLBACKS))


@pytest.fixture
def service(api_runtime, monkeypatch, callbacks):
    book = CallbackBook(store=callbacks, sealer=OwnerOnly(), now=lambda: datetime.now(UTC))
    runtime = assistant_runtime(api_runtime, monkeypatch, book=book)
    with TestClient(create_app(runtime=runtime)) as client:
        client.queue = runtime.conversing.handovers
        yield client


def start(client, **body):
    return client.post(PATH, json=body).json()["conversation_id"]


def say(client, conversation, message, **more):
    answer = client.post(f"{PATH}/{conversation}/messages", json={"message": message, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def handed_over(client, *messages, **body):
    conversation = start(client, **body)
    for message in messages or ("I'd like to open a savings account in a branch",):
        say(client, conversation, message)
    return conversation, say(client, conversation, "Let me speak to a person please")


def only(client):
    (waiting,) = client.get(LIST).json()["waiting"]
    return waiting["handover_id"]


def taken(client, name="Anna"):
    handover = only(client)
    answer = client.post(f"{LIST}/{handover}/take", json={"name": name})
    assert answer.status_code == 200, answer.text
    return handover, answer.json()


@pytest.mark.acceptance("handover-10")
def test_who_is_handed_over_waits_with_a_story_made_of_the_conversation(service):
    _, told = handed_over(service, session={"phone": "07700 900123"})
    assert told["state"] == "handed_over"
    assert told["reply"].endswith(NEXT)
    (waiting,) = service.get(LIST).json()["waiting"]
    assert (waiting["reason"], waiting["channel"], waiting["conversation_turns"]) == ("explicit_request", "chat", 2)
    assert "07700" not in json.dumps(waiting)
    assert "savings account in" not in json.dumps(waiting)
    _, found = taken(service)
    summary = found["summary"]
    assert summary["customer_query"] == "I'd like to open a savings account in a branch"
    assert (summary["conversation_turns"], summary["topics_discussed"]) == (2, ["account"])
    known = {"account": "savings account", "channel": "branch", "verified phone": "07700 900123"}
    assert summary["information_collected"] == known
    assert summary["handover_reason"] == "explicit_request"
    assert "Let me speak to a person" in found["context"]["note"]


@pytest.mark.acceptance("connect-10", "handover-12")
def test_places_come_from_the_real_queue_and_the_urgent_go_first(service):
    handed_over(service)
    second, told = handed_over(service)
    assert told["reply"].endswith("You are number 2 in the queue. The estimated wait is about 6 minutes.")
    third = start(service)
    grave = say(service, third, "My husband has died and I need help with his account")
    assert (grave["reason"], grave["state"]) == ("sensitive_topic", "handed_over")
    assert grave["reply"].endswith(NEXT)
    read = service.get(f"{PATH}/{second}").json()
    assert (read["queue"]["position"], read["queue"]["estimated_wait_minutes"]) == (3, 9)
    assert [each["reason"] for each in service.get(LIST).json()["waiting"]] == [
        "sensitive_topic",
        *["explicit_request"] * 2,
    ]
    asked = say(service, start(service), "How long is the queue for a specialist?")
    assert "number 4" in asked["reply"], asked


@pytest.mark.acceptance("handover-15")
def test_a_person_and_the_customer_talk_in_the_chat(service):
    conversation, _ = handed_over(service)
    assert service.get(f"{PATH}/{conversation}").json()["notice"] == HANDED_OVER
    handover, found = taken(service)
    assert (found["state"], found["conversation"]) == ("taken", "handed_over")
    body = {"message": "Hello, this is Anna.", "message_id": "a-1"}
    for _ in range(2):
        assert service.post(f"{LIST}/{handover}/messages", json=body).status_code == 200
    shown = service.get(f"{PATH}/{conversation}").json()
    assert (shown["notice"], shown["person"], shown["queue"]) == (TAKEN_OVER.format(person="Anna"), "Anna", None)
    assert [(each["by"], each["text"]) for each in shown["said"]][-1] == ("person", "Hello, this is Anna.")
    assert say(service, conversation, "Hi Anna")["reply"] is None
    assert [each["text"] for each in service.get(f"{LIST}/{handover}").json()["said"]][-2:] == [
        "Hello, this is Anna.",
        "Hi Anna",
    ]
    assert [each["handover_id"] for each in service.get(LIST).json()["taken"]] == [handover]
    ended = service.post(f"{LIST}/{handover}/close", json={"ended": "resolved"}).json()
    assert (ended["state"], ended["summary"], ended["conversation"]) == ("closed", None, "closed")
    assert service.post(f"{LIST}/{handover}/close", json={"ended": "abandoned"}).json()["ended"] == "resolved"
    assert service.get(f"{PATH}/{conversation}").json()["state"] == "closed"
    late = service.post(f"{LIST}/{handover}/messages", json=body)
    assert (late.status_code, late.json()["code"]) == (409, "HANDOVER_NOT_YOURS")


def test_an_agent_who_has_said_all_that_may_be_said_in_a_row_can_still_end_with_a_callback(service, callbacks):
    conversation, _ = handed_over(service)
    handover, _ = taken(service)
    for number in range(20):
        said = service.post(f"{LIST}/{handover}/messages", json={"message": f"Are you there? {number}"})
        assert said.status_code == 200, said.text
    asked = {"ended": "callback", "phone": "07700 900123"}
    done = service.post(f"{LIST}/{handover}/close", json=asked)
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["conversation"], len(callbacks.waiting())) == ("closed", "closed", 1)
    assert "call" in service.get(f"{PATH}/{conversation}").json()["said"][-1]["text"]
    again = service.post(f"{LIST}/{handover}/close", json=asked).json()
    assert again["said"] == done.json()["said"]


@pytest.mark.acceptance("code.CALLBACK_REFUSED")
def test_a_callback_is_arranged_before_the_handover_ends_with_it(service, callbacks):
    conversation, _ = handed_over(service)
    handover, _ = taken(service)
    close = f"{LIST}/{handover}/close"
    wrong = service.post(close, json={"ended": "callback", "phone": "12345"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "CALLBACK_REFUSED")
    assert service.post(close, json={"ended": "callback"}).status_code == 422
    assert callbacks.waiting() == []
    assert service.get(f"{PATH}/{conversation}").json()["state"] == "handed_over"
    done = service.post(close, json={"ended": "callback", "phone": "07700 900123"}).json()
    assert (done["state"], done["ended"]) == ("closed", "callback")
    assert len(callbacks.waiting()) == 1
    last = service.get(f"{PATH}/{conversation}").json()["said"][-1]
    assert (last["by"], last["text"]) == ("person", "One of our specialists will call you back within the next hour.")


@pytest.mark.acceptance("event.HANDOVER_UNQUEUED")
def test_while_the_queue_is_down_the_tool_says_so_and_the_customer_is_connected_and_enters_later(service):
    heard = []
    add_listener(lambda event, fields: heard.append(event))
    store, add = service.queue.store, service.queue.store.add

    def down(handover):
        raise StoreError("down")

    store.add = down
    conversation, told = handed_over(service)
    assert told["state"] == "handed_over"
    assert "next in line" not in told["reply"]
    assert Event.HANDOVER_UNQUEUED in heard
    assert service.get(LIST).json()["waiting"] == []
    store.add = add
    assert service.get(f"{PATH}/{conversation}").json()["queue"]["position"] == 1
    _, found = taken(service)
    assert found["summary"]["customer_query"] == "I'd like to open a savings account in a branch"
    assert found["summary"]["handover_reason"] == "explicit_request"


def test_who_left_and_comes_back_waits_again(service):
    conversation, _ = handed_over(service)
    service.queue.close(only(service), "abandoned")
    assert service.get(LIST).json()["waiting"] == []
    assert service.get(f"{PATH}/{conversation}").json()["queue"]["position"] == 1
    _, found = taken(service)
    assert found["summary"]["customer_query"] == "I'd like to open a savings account in a branch"


def test_a_client_that_keeps_its_conversations_itself_has_a_place_too(service):
    body = {"conversation_id": "own-71", "message": "I want to speak to a person"}
    assert service.post("/v1/assistant", json=body).json()["output"]["action"] == "handover"
    handover, found = taken(service)
    assert (found["conversation"], found["said"], found["context"]["channel"]) == (None, [], "other")
    answer = service.post(f"{LIST}/{handover}/messages", json={"message": "Hello"})
    assert answer.status_code == 409
    assert "not in a chat of this service" in answer.json()["detail"]
    assert service.post(f"{LIST}/{handover}/close", json={"ended": "resolved"}).status_code == 200


@pytest.mark.acceptance("connect-10")
def test_a_stream_tells_place_and_then_who_takes_over_and_what_they_say(api_runtime, monkeypatch, tmp_path):
    monkeypatch.setattr("service.api.conversations.waiting._LOOK_S", 0.01)
    settings = Settings(state_dir=tmp_path).model_copy(update={"handover_update_s": 0.05})
    place, asked = HandoverQueue.place, []

    def placed(queue, handover):
        asked.append(handover)
        found = place(queue, handover)
        if len(asked) == 4:  # an agent works while the customer's page listens
            for path, body in (
                ("take", {"name": "Anna"}),
                ("messages", {"message": "Hello, this is Anna."}),
                ("close", {"ended": "resolved"}),
            ):
                assert client.post(f"{LIST}/{handover}/{path}", json=body).status_code == 200
        return found

    monkeypatch.setattr(HandoverQueue, "place", placed)
    with TestClient(create_app(runtime=assistant_runtime(api_runtime, monkeypatch, settings=settings))) as client:
        conversation, _ = handed_over(client)
        told = client.get(f"{PATH}/{conversation}", headers={"accept": "text/event-stream"}).text
    events = [(name, json.loads(data)) for name, data in re.findall(r"event: (\w+)\ndata: (.*)\n\n", told)]
    assert [name for name, _ in events[:2]] == ["conversation", "queue"]
    assert events[1][1] == {"position": 1, "estimated_wait_minutes": 3, "message": NEXT}
    name, last = events[-1]
    assert (name, last["state"], last["person"]) == ("conversation", "closed", "Anna")
    assert last["said"][-1]["text"] == "Hello, this is Anna."


@pytest.fixture
def guarded(api_runtime, monkeypatch, tmp_path):
    secret, settings = new_secret(), Settings(state_dir=tmp_path, access_dir=tmp_path / "access")
    agents = {name: {"scopes": ["handovers"], "tenant": "bank"} for name in ("anna", "bert")}
    keep_clients(
        settings,
        secret,
        **agents,
        other={"scopes": ["handovers"], "tenant": "shop"},
        web={"scopes": ["task:assistant"], "tenant": "bank"},
    )
    access = open_access(settings)
    runtime = assistant_runtime(api_runtime, monkeypatch, access=access)
    with TestClient(create_app(runtime=runtime)) as client:
        client.by = lambda name: {"authorization": f"Bearer {access.tokens.issue(name, secret, None).text}"}
        yield client


@pytest.mark.acceptance("code.HANDOVER_TAKEN", "code.HANDOVER_NOT_YOURS")
def test_two_agents_never_take_one_customer_and_other_tenants_see_nobody(guarded):
    web, anna, bert, other = map(guarded.by, ("web", "anna", "bert", "other"))
    started = guarded.post(PATH, json={}, headers=web).json()
    url = f"{PATH}/{started['conversation_id']}/messages"
    customer = {"authorization": f"Bearer {started['token']}"}
    assert guarded.post(url, json={"message": "I want a human"}, headers=customer).json()["state"] == "handed_over"
    (waiting,) = guarded.get(LIST, headers=anna).json()["waiting"]
    path = f"{LIST}/{waiting['handover_id']}"
    assert guarded.get(path, headers=anna).json()["detail"] == "nobody has taken this handover; take it first"
    assert guarded.get(LIST, headers=other).json() == {"waiting": [], "taken": []}
    assert guarded.post(f"{path}/take", json={"name": "Eve"}, headers=other).json()["code"] == "HANDOVER_NOT_FOUND"
    assert guarded.post(f"{path}/take", json={"name": "Anna"}, headers=anna).status_code == 200
    again = guarded.post(f"{path}/take", json={"name": "Bert"}, headers=bert)
    assert (again.status_code, again.json()["code"]) == (409, "HANDOVER_TAKEN")
    assert again.json()["detail"].endswith("any more; take the next one")
    for answer in (
        guarded.get(path, headers=bert),
        guarded.post(f"{path}/messages", json={"message": "Hi"}, headers=bert),
        guarded.post(f"{path}/close", json={"ended": "resolved"}, headers=bert),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "HANDOVER_NOT_YOURS")
    assert guarded.get(LIST, headers=bert).json() == {"waiting": [], "taken": []}
    assert guarded.get(LIST, headers=web).status_code == 403
    assert guarded.get(LIST, headers=customer).status_code == 401
    shown = guarded.get(f"{PATH}/{started['conversation_id']}", headers=customer).json()
    assert shown["person"] == "Anna"


def test_a_stream_ends_when_the_process_stops_and_with_the_conversation(service):
    conversation, _ = handed_over(service)
    service.app.state.runtime.leaving.set()
    headers = {"accept": "text/event-stream"}
    told = service.get(f"{PATH}/{conversation}", headers=headers)
    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.text.count("event: ") == 1
    missing = service.get(f"{PATH}/conv-{'0' * 24}", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "CONVERSATION_NOT_FOUND")


@pytest.mark.acceptance("code.HANDOVER_NOT_FOUND")
def test_an_unknown_handover_and_a_service_without_a_queue(service, api_runtime, monkeypatch):
    unknown = f"{LIST}/handover-{'0' * 24}"
    assert service.get(unknown).json()["code"] == "HANDOVER_NOT_FOUND"
    assert service.get(f"{LIST}/nonsense").status_code == 422
    with TestClient(create_app(runtime=assistant_runtime(api_runtime, monkeypatch, handovers=None))) as client:
        answer = client.get(LIST)
        assert (answer.status_code, answer.json()["detail"]) == (404, "this service has no queue of handovers")
        conversation, told = handed_over(client)
        assert told["reply"].endswith(NEXT)  # as the bank's own records say
        assert client.get(f"{PATH}/{conversation}").json()["queue"] is None


@pytest.mark.acceptance("audit-09")
def test_a_customer_who_leaves_is_abandoned_after_the_time(api_runtime, monkeypatch):
    runtime = assistant_runtime(
        api_runtime, monkeypatch, store=HandoverStore(RowsInMemory(HANDOVERS)), left_after=timedelta(0)
    )
    with TestClient(create_app(runtime=runtime)) as client:
        handed_over(client)
        assert client.get(LIST).json()["waiting"] == []
        (left,) = runtime.conversing.handovers.store.latest("closed", most=1)
        assert left.ended == "abandoned"


class Watched(ConversationStore):
    """Notes who stood in the queue at the moment in which a conversation was kept as handed over."""

    def __init__(self, queued):
        super().__init__(AwaitedRows(RowsInMemory(MESSAGES)), scope="", kept_s=60, now=time.time)
        self.queued, self.seen = queued, []

    async def put(self, key, conversation, *, over):
        if conversation.state == "handed_over" and not self.seen:
            self.seen = [(one.summary.customer_query, one.context["note"]) for one in self.queued.waiting()]
        await super().put(key, conversation, over=over)


@pytest.mark.acceptance("connect-14", "connect-15")
def test_summary_and_context_stand_in_the_queue_before_the_customer_reads_of_the_handover(api_runtime, monkeypatch):
    queued = HandoverStore(RowsInMemory(HANDOVERS))
    kept = Watched(queued)
    runtime = assistant_runtime(api_runtime, monkeypatch, store=queued, conversations=kept)
    with TestClient(create_app(runtime=runtime)) as client:
        handed_over(client)
    ((query, note),) = kept.seen
    assert query == "I'd like to open a savings account in a branch"
    assert "Let me speak to a person" in note


@pytest.mark.acceptance("connect-15")
def test_also_a_reply_without_the_tool_hands_over_after_the_queue_has_the_story(api_runtime):
    queued = HandoverStore(RowsInMemory(HANDOVERS))
    kept = Watched(queued)
    queue = HandoverQueue(store=queued, now=lambda: datetime.now(UTC))
    with TestClient(create_app(runtime=parcel_runtime(api_runtime, conversations=kept, handovers=queue))) as client:
        url = "/v1/parcels/conversations"
        conversation = client.post(url, json={}).json()["conversation_id"]
        told = client.post(f"{url}/{conversation}/messages", json={"message": "I want a human about AB123456"}).json()
        assert told["state"] == "handed_over"
        assert client.get(f"{url}/{conversation}").json()["queue"]["message"] == "You're next in line."
    assert kept.seen == [("I want a human about AB123456", "Parcel AB123456, status on its way.")]
