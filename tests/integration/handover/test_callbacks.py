"""Callbacks in a real table with a real key, rung through a real web hook: once each, and the number is nowhere in the clear."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from service.desk.build import open_callbacks
from service.desk.callback import CallbackBook, CallbackStatus
from service.desk.dialer import WebhookDialer
from service.desk.worker import CallbackWorker
from service.kit.aws.clients import client
from service.kit.frame.errors import StoreError
from service.kit.records.table import RecordChanged
from service.kit.telemetry.log import _listeners as listeners

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
PHONE = "+447700900123"


class AlwaysOpen:
    def closes(self, moment):
        return moment + timedelta(hours=8)

    def next_opening(self, moment):
        return moment + timedelta(days=1)


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws()


@pytest.fixture
def opened(settings):
    return open_callbacks(settings)


@pytest.fixture
def telephone():
    """A telephone system: answers with the next of ``outcomes``, None for a broken answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.rung.append((self.headers["idempotency-key"], body))
            outcome = server.outcomes.pop(0) if server.outcomes else "reached"
            answer = b"busy here" if outcome is None else json.dumps({"outcome": outcome, "agent": "a7"}).encode()
            self.send_response(503 if outcome is None else 200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.rung, server.outcomes = [], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def heard():
    """The events that were logged."""
    events = []
    listener = lambda event, _: events.append(event)  # noqa: E731
    listeners.append(listener)
    yield events
    listeners.remove(listener)


def ask(opened, callback_id, *, at=AT):
    book = CallbackBook(store=opened.store, sealer=opened.sealer, now=lambda: at)
    promised = at, at + timedelta(hours=1)
    return book.request(callback_id, PHONE, contact_id=f"contact of {callback_id}", promised=promised)


async def work(opened, telephone, *, at=AT, owners=("w1",)):
    async with httpx2.AsyncClient() as http:
        dialer = WebhookDialer(http, f"http://127.0.0.1:{telephone.server_port}/ring")
        workers = [
            CallbackWorker(
                store=opened.store,
                sealer=opened.sealer,
                dialer=dialer,
                hours=AlwaysOpen(),
                now=lambda: at,
                owner=owner,
            )
            for owner in owners
        ]
        return await asyncio.gather(*(worker.work() for worker in workers))


def row(settings, callback_id):
    return client("dynamodb", settings).get_item(
        TableName=settings.stores.callbacks_table, Key={"callback_id": {"S": f"local/{callback_id}"}}
    )["Item"]


@pytest.mark.acceptance("event.CALLBACK_DIALER_FAILED", "connect-16", "handover-13")
async def test_a_callback_is_rung_retried_and_closed(settings, opened, telephone, heard):
    ask(opened, "cb-1")
    written = row(settings, "cb-1")
    assert PHONE not in str(written)
    assert written["customer_phone"]["S"].startswith("kms:")
    assert (written["status"]["S"], written["priority"]["S"]) == ("PENDING", "NORMAL")
    assert int(written["ttl"]["N"]) == int((AT + timedelta(hours=1, days=7)).timestamp())
    telephone.outcomes = [None, "no_answer"]
    await work(opened, telephone)
    await work(opened, telephone, at=AT + timedelta(minutes=5))
    await work(opened, telephone, at=AT + timedelta(minutes=6))
    (tally,) = await work(opened, telephone, at=AT + timedelta(minutes=30))
    assert [key for key, _ in telephone.rung] == ["cb-1-1", "cb-1-1", "cb-1-2"]
    assert telephone.rung[0][1]["phone"] == PHONE
    assert telephone.rung[0][1]["contact_id"] == "contact of cb-1"
    assert tally.states == {"closed": 1}
    assert tally.waiting == 0
    assert sum(event == "CALLBACK_DIALER_FAILED" for event in heard) == 1
    ended = opened.store.get("cb-1")
    assert (ended.status, ended.rings, ended.sealed_phone) == (CallbackStatus.CLOSED, 2, None)
    assert not {"customer_phone", "open_in"} & row(settings, "cb-1").keys()


@pytest.mark.acceptance("handover-13")
async def test_four_workers_on_one_table_ring_each_customer_once(opened, telephone):
    names = [f"many-{number}" for number in range(30)]
    for name in names:
        ask(opened, name)
    tallies = await work(opened, telephone, owners=("w1", "w2", "w3", "w4"))
    assert sorted(body["callback_id"] for _, body in telephone.rung) == sorted(names)
    assert sum(tally.states["closed"] for tally in tallies) == 30


def test_the_second_of_two_writes_is_refused_and_a_repeated_request_changes_nothing(opened):
    made = ask(opened, "cb-2")
    assert ask(opened, "cb-2", at=AT + timedelta(days=1)) == made
    taken = made.taken("w1", AT, timedelta(minutes=1))
    written = opened.store.put(taken)
    assert opened.store.get("cb-2") == written
    assert written.version == 2
    with pytest.raises(RecordChanged):
        opened.store.put(made.taken("w2", AT, timedelta(minutes=1)))
    assert opened.store.get("cb-2").taken_by == "w1"
    opened.store.put(written.given_up("test over", AT))


def test_a_sealed_number_opens_under_its_own_callback_only(opened):
    made = ask(opened, "cb-3")
    assert opened.sealer.open(made.sealed_phone, "cb-3").decode() == PHONE
    with pytest.raises(StoreError):
        opened.sealer.open(made.sealed_phone, "cb-4")
    opened.store.put(made.given_up("test over", AT))
