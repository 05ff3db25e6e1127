"""Answers of any task: what is kept of them, who may rate them, and that no person is in what is stored."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from access_place import keep_clients
from desk_task import ACCOUNT, CARD, CONVERSATION, NAME, PHONE, Desk, DeskInputs, DeskPairs, desk_inputs
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.access.clients import new_secret
from service.access.control import open_access
from service.answers_kept.answer_record import KeptAnswer, read_served
from service.answers_kept.feedback import AnswerFeedback, RatedRow, SaidFeedback
from service.answers_kept.store import Summaries
from service.api.keeping import TaskFace
from service.app import create_app
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import Task
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings
from service.kit.telemetry.fields import account_hash, pseudonym_of

SECRET = new_secret()
PLANTED = (ACCOUNT, ACCOUNT.lower(), NAME, "Okonkwo", CONVERSATION, PHONE, "88123456")


class Store:
    """Writer, outbox, table and archive in one, in memory."""

    def __init__(self, kept=True):
        self.rows, self.objects, self.records, self._kept = {}, {}, [], kept

    def start(self):
        pass

    close = start

    def snapshot(self):
        return {}

    def keep(self, record, *, patience_s=0.0, kept=False):
        self.records.append(record)
        self.rows[record.request_id] = RatedRow(key=record.request_id, record=record)

    def find(self, target, now):
        return self.rows.get(target.request_id)

    def set_feedback(self, row, verdict):
        row = self.rows[row.key]
        if row.said_at >= verdict.feedback_timestamp:
            return "late"
        texts = {"comment": verdict.comment, "edited": verdict.edited_output}
        said = SaidFeedback(rating=verdict.helpful_feedback, reason=verdict.reason, by=verdict.by, **texts)
        self.rows[row.key] = replace(row, said=said, said_at=verdict.feedback_timestamp)
        if row.said is None:
            return "first"
        return "same" if row.said.rating == said.rating else "changed"

    def put_json(self, key, text):
        self.objects.setdefault(key, text)
        return "written"


class Outbox:
    def __init__(self, kept):
        self._kept = kept

    async def keep(self, record, *, patience_s):
        return self._kept


class Code:
    async def complete(self, call):
        text = Desk.in_process[call.model](call.document)
        return ModelReply(text=text, usage=Usage(), stop_reason="end_turn", latency_ms=1.0, answered_by="code")


@pytest.fixture
def world(api_runtime, tmp_path):
    store = Store()
    clock = [datetime(2026, 11, 22, 12, 0, tzinfo=UTC)]
    settings = Settings(state_dir=tmp_path, access_dir=tmp_path / "access")
    clients = {
        "desk-a": {"scopes": ["task:desk", "feedback"], "tenant": "acme"},
        "phone-a": {"scopes": ["feedback"], "tenant": "acme"},
        "desk-b": {"scopes": ["task:desk", "feedback"], "tenant": "bolt"},
        "alone": {"scopes": ["task:desk", "feedback"]},
        "other": {"scopes": ["task:desk", "feedback"]},
        "mute": {"scopes": ["task:desk"], "tenant": "acme"},
    }
    keep_clients(settings, SECRET, **clients)
    runtime = api_runtime(
        settings=settings,
        access=open_access(settings),
        cards=ModelCards([CARD]),
        gateway=Code(),
        tasks={"desk": Desk()},
        pair_sources={"desk": DeskPairs()},
        summaries=Summaries(
            writer=store,
            outbox=Outbox(True),
            answer_feedback=AnswerFeedback(store, store, timeout_s=5.0, now=lambda: clock[0]),
        ),
        now=lambda: clock[0],
    )
    return runtime, store, clock


@contextmanager
def client_of(runtime, name):
    with TestClient(create_app(runtime=runtime)) as client:
        client.headers["authorization"] = f"Bearer {runtime.access.tokens.issue(name, SECRET, None).text}"
        yield client


def answered(client, **changes):
    answer = client.post("/v1/desk", json=desk_inputs(**changes))
    assert answer.status_code == 200, answer.text
    return answer.json()


def rate(client, request_id, rating="helpful", **changes):
    return client.post("/v1/desk/feedback", json={"request_id": request_id, "rating": rating} | changes)


def test_an_answer_is_kept_whole_and_without_the_person(world):
    runtime, store, _ = world
    with client_of(runtime, "desk-a") as client:
        answer = answered(client)
    assert answer["kept"] is True
    assert NAME in answer["output"]
    (record,) = store.records
    for planted in PLANTED:
        assert planted not in record.to_json()
    assert read_served(record.to_json()) == record
    given = {
        name: getattr(record, name) for name in ("task", "client", "tenant", "arm", "pair", "degraded", "withheld")
    }
    assert given == {
        "task": "desk",
        "client": "desk-a",
        "tenant": "acme",
        "arm": "primary",
        "pair": "desk",
        "degraded": False,
        "withheld": (),
    }
    assert record.request_id == answer["request_id"]
    assert (record.pair_digest, record.registry_version) == (answer["pair_digest"], 7)
    assert record.customer == account_hash(ACCOUNT)
    assert record.conversation == pseudonym_of(CONVERSATION) == record.inputs["conversation_id"]
    assert json.loads(record.output)["action"] == "answer"
    assert [call.model_dump() for call in record.tools] == [
        {"name": "orders", "status": "refused", "reason": "not_allowed"},
        {"name": "unknown", "status": "refused", "reason": "not_allowed"},
    ]
    assert record.object_key == f"omni-channel/answers/desk/year=2026/month=11/day=22/hour=12/{record.request_id}.json"


def test_what_must_not_be_stored_is_not(world, monkeypatch):
    runtime, store, _ = world
    monkeypatch.setattr(Desk, "stores", False)
    with client_of(runtime, "desk-a") as client:
        answer = answered(client)
        assert answer["kept"] is None
        assert rate(client, answer["request_id"]).status_code == 404
    assert store.records == []


def test_without_stores_nothing_is_redacted(world, monkeypatch):
    runtime, _, _ = world
    monkeypatch.setattr("service.api.keeping._without_persons", None)
    with client_of(replace(runtime, summaries=Summaries()), "desk-a") as client:
        assert answered(client)["kept"] is None


def test_a_task_that_cannot_say_what_may_be_stored_answers_and_keeps_nothing(world, monkeypatch):
    runtime, store, _ = world

    def broken(self, inputs, pseudonym):
        raise KeyError(inputs.account)

    monkeypatch.setattr(Desk, "without_ids", broken)
    with capture_logs() as logs, client_of(runtime, "desk-a") as client:
        assert answered(client)["kept"] is None
    assert store.records == []
    assert ACCOUNT not in str(logs)
    assert [entry["reason"] for entry in logs if entry["event"] == "SUMMARY_UNKEPT"] == ["ids of desk: KeyError"]


@pytest.mark.acceptance("turn-09", "audit-07")
def test_texts_that_cannot_be_redacted_are_withheld(world):
    runtime, store, _ = world
    hidden = "7a7b3c1d4e4f1g0"
    with client_of(runtime, "desk-a") as client:
        answered(client, account="77314410", question=f"it is {hidden}", history=[])
        answered(client, question="x" * 70_000, history=[])
    first, second = store.records
    assert (first.inputs, first.output) == (None, "[withheld]")
    assert [why.partition(":")[0] for why in first.withheld] == ["inputs", "output"]
    assert hidden not in first.to_json()
    assert second.inputs is None
    assert "too long to keep" in second.withheld[0]


def test_feedback_is_kept_once_per_answer_and_without_the_person(world):
    runtime, store, clock = world
    with client_of(runtime, "desk-a") as client:
        asked = answered(client)["request_id"]
        said = {"reason": "wrong", "comment": f"{NAME} ({ACCOUNT}) says so", "edited_output": f"call {PHONE}"}
        first = rate(client, asked, "not_helpful", **said)
        assert (first.status_code, first.json()["current"]) == (200, True)
        clock[0] += timedelta(seconds=5)
        again = rate(client, asked, "not_helpful", **said)
        assert again.json() == first.json()
        assert len(store.objects) == 1
        clock[0] += timedelta(seconds=5)
        changed = rate(client, asked, "helpful").json()
        assert (changed["rating"], changed["current"]) == ("helpful", True)
        clock[0] -= timedelta(hours=1)
        assert rate(client, asked, "not_helpful").json()["current"] is False
    assert store.rows[asked].said.rating == "helpful"
    for planted in PLANTED:
        assert planted not in "".join(store.objects.values())
    kept = json.loads(next(iter(store.objects.values())))
    assert kept["comment"] == f"[name] ({pseudonym_of(ACCOUNT)}) says so"
    assert (kept["reason"], kept["by"], kept["edited_output"]) == ("wrong", "desk-a", "call [number]")


@pytest.mark.parametrize(
    ("asker", "rater", "status"),
    [
        ("desk-a", "phone-a", 200),
        ("desk-a", "desk-b", 404),
        ("desk-a", "alone", 404),
        ("alone", "other", 404),
        ("alone", "alone", 200),
        ("desk-a", "mute", 403),
    ],
)
@pytest.mark.acceptance("code.ANSWER_NOT_FOUND")
def test_only_who_was_answered_or_its_tenant_may_rate(world, asker, rater, status):
    runtime, store, _ = world
    with client_of(runtime, asker) as client:
        asked = answered(client)["request_id"]
    with client_of(runtime, rater) as client:
        answer = rate(client, asked)
        missing = rate(client, "req-000000000000")
    assert answer.status_code == status
    if status == 404:  # and it reads like an answer that never was
        assert answer.json() | {"request_id": ""} == missing.json() | {"request_id": ""}
        assert answer.json()["code"] == "ANSWER_NOT_FOUND"
        assert store.objects == {}


def test_of_a_task_that_keeps_nothing_the_reason_is_told(world, monkeypatch):
    runtime, *_ = world
    monkeypatch.setattr(Desk, "without_ids", Task.without_ids)
    with client_of(runtime, "desk-a") as client:
        answer = rate(client, "req-000000000000")
    assert answer.status_code == 404
    assert "no answer of desk is kept" in answer.json()["detail"]


def test_an_answer_of_another_task_is_not_found(world):
    runtime, store, _ = world
    with client_of(runtime, "alone") as client:
        asked = answered(client)["request_id"]
        row = store.rows[asked]
        store.rows[asked] = replace(row, record=row.record.model_copy(update={"task": "other"}))
        assert rate(client, asked).status_code == 404


@pytest.mark.parametrize("wrong", [{"rating": "good"}, {"reason": "because"}, {"request_id": ""}, {"agent": "Ann"}])
def test_feedback_of_another_form_is_refused(world, wrong):
    runtime, _, _ = world
    with client_of(runtime, "alone") as client:
        body = {"request_id": "req-1", "rating": "helpful"} | wrong
        assert client.post("/v1/desk/feedback", json=body).status_code == 422


def test_without_a_store_there_is_nothing_to_rate(world):
    runtime, _, _ = world
    with client_of(replace(runtime, summaries=Summaries()), "alone") as client:
        assert rate(client, "req-1").status_code == 503


async def test_the_answer_does_not_wait_for_a_record_that_cannot_be_made(world):
    runtime, store, _ = world
    request = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(runtime=runtime)), state=None)
    face = TaskFace(Desk(), DeskInputs.model_validate(desk_inputs()), request)
    await face.read(None)
    with capture_logs() as logs:
        kept = await face.keep(None, patience_s=1.0)
    assert kept is False
    assert store.records == []
    assert [entry["reason"] for entry in logs] == ["no record of desk: AttributeError"]


def test_a_record_of_another_shape_is_not_read():
    with pytest.raises(ValueError, match="validation error"):
        read_served('{"task": "desk"}')
    with pytest.raises(ValueError, match="task"):
        KeptAnswer.model_validate({"task": "../x"})
