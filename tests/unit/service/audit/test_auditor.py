"""What the audit keeps of a conversation that the service answers: every event in its form, no person, and no fault unseen."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from parcel_service import Code, Source
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from service.app import create_app
from service.audit import clean
from service.audit.auditor import Auditor
from service.audit.record import DATA_OF, AuditEntry
from service.cards import ModelCards
from service.errors import DeadlineExceeded
from service.llm.model_call import ModelReply
from service.llm.pricing import Usage
from service.pair_file import load_pair
from service.question import Said, Use
from service.settings import REPO_ROOT
from service.task import load_task
from service.tasks.assistant import tools
from service.tasks.assistant.bank import Bank
from service.tasks.assistant.knowledge import bank_knowledge
from service.telemetry import log, metrics
from service.telemetry.event_metrics import record
from service.telemetry.fields import pseudonym_of
from service.tools.serving import build_task_tools

PATH = "/v1/assistant/conversations"
PHONE, CARD, NAME = "07700 900123", "4929 1234 5678 9012", "Adaeze Okonkwo"
SESSION = {"phone": PHONE, "contact_id": "contact-71", "queue_id": "general"}
TRANSFER = Use(tool="transfer_to_agent", arguments={"reason": "explicit_request", "summary": "Wants a person."})
CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
WRONG = {"reply": "A premium debit card costs £99 a month.", "action": "answer"}
RIGHT = {"reply": "Which of our cards are you interested in?", "action": "clarify", "asks": ["card_type"]}


class Kept:
    name = "kept"

    def __init__(self):
        self.records = []

    def put(self, record):
        self.records.append(record)


class Broken:
    name = "broken"

    def put(self, record):
        raise OSError("bucket is gone")


class Scripted:
    """A model that says what it was told to, the last of it again and again; an exception is raised."""

    def __init__(self, *replies):
        self.replies = list(replies)

    async def complete(self, call):
        said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(said, Exception):
            raise said
        uses = said.uses if isinstance(said, Said) else ()
        return ModelReply(
            text="" if uses else json.dumps({"claims": [], **said}),
            uses=uses,
            usage=Usage(),
            stop_reason="tool_use" if uses else "end_turn",
            latency_ms=3.0,
            answered_by="nova-lite",
        )


@pytest.fixture
def bank(monkeypatch):
    opened = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: datetime(2026, 11, 24, 10, 30, tzinfo=UTC))
    monkeypatch.setattr(tools, "live_bank", lambda: opened)


@pytest.fixture
def world(api_runtime, bank):
    """Serve the assistant with a pair and a model, and yield what was said, the records and the lines of its log."""

    def served(pair_name="rules", gateway=None, stores=None):
        task, source, kept, lines = load_task("assistant"), Source(), Kept(), []
        path = REPO_ROOT / "prompts" / "assistant" / f"{pair_name}.prompty"
        pair = load_pair(path, cards=CARDS, task_variables=task.variables)
        patient = replace(pair.serving, deadline_ms=60_000, hedge_delay_ms=50_000)
        source.served = replace(Source.served, pair=replace(pair, serving=patient, backup=None))
        made = api_runtime(
            tasks={"assistant": task}, pair_sources={"assistant": source}, cards=CARDS, gateway=gateway or Code(task)
        )
        offered = build_task_tools(made.settings, {"assistant": task.tool_functions}, None)
        offered["assistant"].check(pair)
        audit = Auditor(now=made.now, environment="local", stores=stores or [kept], write=lines.append)
        return replace(made, tools=offered, audit=audit), kept.records, lines

    return served


def talked(runtime, *messages, channel="chat", session=SESSION, status=200):
    """Return the id of a conversation in which a customer said ``messages``; what was written is there afterwards."""
    with TestClient(create_app(runtime=runtime), raise_server_exceptions=False) as client:
        begun = client.post(PATH, json={"session": session, "channel": channel}).json()
        for message in messages:
            answer = client.post(f"{PATH}/{begun['conversation_id']}/messages", json={"message": message})
            assert answer.status_code == status, answer.text
    return begun["conversation_id"]


def events_of(records):
    return [event for record in records for event in record.events]


def named(records, name):
    return [event for event in events_of(records) if event.event_type == name]


def test_a_conversation_leaves_every_kind_of_event_with_its_fields(world):
    runtime, records, lines = world()
    session = talked(runtime, "how much is a premium debit card", "I want to speak to a person", channel="voice")
    events = events_of(records)
    assert {event.event_type for event in events} == set(DATA_OF)
    for event in events:
        assert event.data.keys() == DATA_OF[event.event_type].model_fields.keys()
        assert (event.session_id, event.contact_id) == (pseudonym_of(session), pseudonym_of("contact-71"))
        assert event.correlation_id.startswith("req-")
    assert lines == [event.model_dump_json() for event in events]
    assert AuditEntry.model_validate_json(lines[0]).event_type == "conversation_start"
    for kept in records:
        assert [event.timestamp for event in kept.events] == sorted(event.timestamp for event in kept.events)
    assert len({event.event_id for event in events}) == len(events)
    order = [event.event_type for event in records[1].events]
    assert order[:4] == ["user_input", "bedrock_invocation", "bedrock_response", "tool_invocation"]
    assert order[-2:] == ["validation_check", "handover_decision"]
    (begun,), (ended,) = named(records, "conversation_start"), named(records, "conversation_end")
    assert (begun.data["channel"], begun.data["queue_id"]) == ("voice", "general")
    assert named(records, "user_input")[0].data["input_mode"] == "voice"
    asked = named(records, "bedrock_response")[0].data
    assert (asked["stop_reason"], asked["tool_calls"][0]["tool_name"]) == ("tool_use", "get_debit_card_info")
    used = named(records, "tool_invocation")[0].data
    assert (used["tool_input"], used["tool_output"]["card_type"]) == ({"card_type": "premium"}, "premium")
    handed = named(records, "handover_decision")
    assert [event.data["handover_triggered"] for event in handed] == [False, True]
    assert (handed[1].data["reason"], handed[1].data["conversation_turns"]) == ("explicit_request", 2)
    assert ended.data["tools_used"] == ["get_debit_card_info", "transfer_to_agent"]
    assert (ended.data["resolution_status"], ended.data["total_turns"]) == ("transferred", 2)


def test_no_person_is_in_what_is_kept(world):
    runtime, records, lines = world()
    talked(runtime, f"My name is {NAME}, my card {CARD}, call me at {PHONE} or ada@example.com: a callback please")
    kept = "".join([*lines, *(record.model_dump_json() for record in records)])
    for planted in (PHONE, "07700900123", "7700900123", CARD, "9012", NAME, "Okonkwo", "ada@example.com", "contact-71"):
        assert planted not in kept
    assert named(records, "user_input")[0].data["transcript"]
    assert named(records, "conversation_start")[0].data["customer_phone"] == pseudonym_of(PHONE)


def test_what_cannot_be_cleaned_is_withheld(world, monkeypatch):
    def fails(*_):
        raise RuntimeError(f"cannot clean {PHONE}")

    monkeypatch.setattr(clean, "_clean_data", fails)
    runtime, records, lines = world()
    with capture_logs() as logged:
        talked(runtime, "how much is a premium debit card")
    assert {event.data for event in events_of(records)} == {None}
    assert {event.withheld for event in events_of(records)} == {"RuntimeError"}
    assert "premium" not in "".join(lines)
    assert PHONE not in "".join(lines)
    assert {line["reason"] for line in logged if line["event"] == "AUDIT_WITHHELD"} == {"RuntimeError"}


def test_a_task_that_names_no_ids_has_its_words_withheld(world, monkeypatch):
    runtime, records, _ = world()
    monkeypatch.setattr(type(runtime.tasks["assistant"]), "without_ids", lambda self, inputs, pseudonym: None)
    talked(runtime, "how much is a premium debit card")
    assert {event.data for event in events_of(records)} == {None}


def test_a_statement_that_no_tool_supports_is_a_finding_and_what_came_of_it(world):
    runtime, records, _ = world("nova-lite", Scripted(WRONG, RIGHT))
    with capture_logs() as logged:
        talked(runtime, f"What does a premium card cost? I am {NAME}, {PHONE}")
    (found,) = records[-1].findings
    assert (found.hallucination_type, found.severity, found.action_taken) == (
        "fabricated_data",
        "medium",
        "regenerated",
    )
    assert "£99" in found.model_response
    assert "99" in found.validation_details
    assert PHONE not in found.model_dump_json()
    check = named(records, "validation_check")[0]
    assert (check.level, check.data["validation_passed"], check.data["hallucination_detected"]) == ("WARN", True, True)
    assert check.data["confidence_score"] == 0.5
    assert "fabricated_data" in check.data["checks_performed"]
    (told,) = (line for line in logged if line["event"] == "HALLUCINATION_FOUND")
    assert (told["kinds"], told["severity"], told["outcome"]) == ("fabricated_data", "medium", "regenerated")


def test_an_answer_that_stays_wrong_is_replaced_and_says_where_it_ended(world):
    runtime, records, _ = world("nova-lite", Scripted(WRONG, WRONG))
    talked(runtime, "What does a premium card cost?")
    assert {found.action_taken for found in records[-1].findings} == {"fallback"}
    check = named(records, "validation_check")[0]
    assert (check.data["validation_passed"], check.data["confidence_score"]) == (False, 0.0)
    assert check.error.stack[-1] == "AnswerRefused"
    assert any("attempt.py" in place for place in check.error.stack)


def test_a_model_that_fails_leaves_an_error_without_its_words(world):
    runtime, records, lines = world("nova-lite", Scripted(DeadlineExceeded(f"late for {PHONE}")))
    task = type(runtime.tasks["assistant"])
    runtime = replace(runtime, tasks={"assistant": type("Bare", (task,), {"fallback_model": None})()})
    talked(runtime, "What does a premium card cost?", status=504)
    failed = next(event for event in events_of(records) if event.level == "ERROR")
    assert failed.event_type == "bedrock_invocation"
    assert failed.error.stack[-1] == "DeadlineExceeded"
    assert PHONE not in "".join(lines)
    assert not named(records, "handover_decision")


def test_a_store_that_fails_harms_neither_the_reply_nor_the_log(world):
    kept = Kept()
    runtime, _, lines = world(stores=[Broken(), kept])
    with capture_logs() as logged:
        talked(runtime, "how much is a premium debit card")
    assert len(kept.records) == 2
    assert len(lines) == len(events_of(kept.records))
    unkept = [line for line in logged if line["event"] == "AUDIT_UNKEPT"]
    assert [line["reason"] for line in unkept] == ["broken: OSError"] * 2


def test_a_fault_of_manner_is_no_hallucination(world):
    denies = {**RIGHT, "reply": "I am a human being. Which of our cards are you interested in?"}
    runtime, records, _ = world("nova-lite", Scripted(denies))
    with capture_logs() as logged:
        talked(runtime, "Are you a person?")
    assert {found.hallucination_type for found in records[-1].findings} == {"denies_ai", "not_disclosed"}
    assert named(records, "validation_check")[0].data["hallucination_detected"] is False
    assert [line["kinds"] for line in logged if line["event"] == "CONDUCT_FOUND"]


def test_the_figures_of_conversations_count_what_was_logged(world):
    log.add_listener(record)
    wanted = {
        (metrics.CONVERSATIONS, "channel", "voice"): 1,
        (metrics.CONVERSATION_ENDS, "resolution", "transferred"): 1,
        (metrics.TURNS, "hallucination", "true"): 1,
        (metrics.TURNS, "hallucination", "false"): 1,
        (metrics.VALIDATIONS, "outcome", "passed"): 2,
        (metrics.HALLUCINATIONS, "kind", "fabricated_data"): 1,
    }
    before = {key: metrics.total(key[0], **{key[1]: key[2]}) for key in wanted}
    lengths, unkept = metrics.total(metrics.CONVERSATION_LENGTH), metrics.total(metrics.AUDIT_UNKEPT)
    handed = {
        **RIGHT,
        "action": "handover",
        "asks": [],
        "handover": {"reason": "explicit_request", "context": "Wants a person."},
    }
    handed["reply"] = "Let me connect you with one of our specialists who can assist you. One moment please."
    runtime, _, _ = world("nova-lite", Scripted(WRONG, RIGHT, Said(output="", uses=(TRANSFER,)), handed), [Broken()])
    with capture_logs() as logged:
        talked(runtime, "What does a premium card cost?", "A person, please", channel="voice")
    (ended,) = (line for line in logged if line["event"] == "CONVERSATION_ENDED")
    assert (ended["outcome"], ended["turns"]) == ("transferred", 2)
    assert [line["outcome"] for line in logged if line["event"] == "TURN_VALIDATED"] == ["passed", "passed"]
    assert {key: metrics.total(key[0], **{key[1]: key[2]}) - before[key] for key in wanted} == wanted
    assert metrics.total(metrics.CONVERSATION_LENGTH) == lengths + 1
    assert metrics.total(metrics.AUDIT_UNKEPT) == unkept + 3


def test_a_repeated_start_is_one_conversation(world):
    runtime, records, _ = world()
    with TestClient(create_app(runtime=runtime)) as client:
        for _ in range(2):
            client.post(PATH, json={"key": "contact-71"})
    assert len(named(records, "conversation_start")) == 1
