"""What the audit keeps of a conversation that the service answers: every event in its form, no person, and no fault unseen."""

from functools import partial

import pytest
from audited import (
    CARD,
    NAME,
    PATH,
    PHONE,
    RIGHT,
    TRANSFER,
    WRONG,
    Broken,
    Kept,
    Scripted,
    audited_assistant,
    events_of,
    named,
    open_bank,
    talked,
)
from builders import changed
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from service.app import create_app
from service.audit.record import DATA_OF, AuditEntry
from service.core.redaction.persons import Persons
from service.core.unit.question import Said
from service.kit.frame.errors import DeadlineExceeded
from service.kit.telemetry import log, metrics
from service.kit.telemetry.event_metrics import record
from service.kit.telemetry.fields import pseudonym_of


@pytest.fixture
def world(api_runtime, monkeypatch):
    """Serve the assistant with a pair and a model; returns the runtime, the records and the lines of its log."""
    open_bank(monkeypatch)
    return partial(audited_assistant, api_runtime)


@pytest.mark.acceptance("validation-12", "audit-01", "audit-02", "audit-03", "audit-04", "audit-05")
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


@pytest.mark.acceptance("audit-06", "audit-07")
def test_no_person_is_in_what_is_kept(world):
    runtime, records, lines = world()
    talked(runtime, f"My name is {NAME}, my card {CARD}, call me at {PHONE} or ada@example.com: a callback please")
    kept = "".join([*lines, *(record.model_dump_json() for record in records)])
    for planted in (PHONE, "07700900123", "7700900123", CARD, "9012", NAME, "Okonkwo", "ada@example.com", "contact-71"):
        assert planted not in kept
    assert named(records, "user_input")[0].data["transcript"]
    assert named(records, "conversation_start")[0].data["customer_phone"] == pseudonym_of(PHONE)


@pytest.mark.acceptance("event.AUDIT_WITHHELD", "audit-07")
def test_what_cannot_be_cleaned_is_withheld(world, monkeypatch):
    def fails(*_):
        raise RuntimeError(f"cannot clean {PHONE}")

    monkeypatch.setattr(Persons, "clean_json", fails)
    runtime, records, lines = world()
    with capture_logs() as logged:
        talked(runtime, "how much is a premium debit card")
    withheld = [event for event in events_of(records) if event.event_type != "validation_check"]  # which holds no words
    assert [event.data for event in withheld] == [None] * len(withheld)
    assert {event.withheld for event in withheld} == {"RuntimeError"}
    assert "premium" not in "".join(lines)
    assert PHONE not in "".join(lines)
    assert {line["reason"] for line in logged if line["event"] == "AUDIT_WITHHELD"} == {"RuntimeError"}


@pytest.mark.acceptance("audit-07")
def test_a_task_that_names_no_ids_has_its_words_withheld(world, monkeypatch):
    runtime, records, _ = world()
    monkeypatch.setattr(type(runtime.answering.tasks["assistant"]), "without_ids", lambda self, inputs, pseudonym: None)
    talked(runtime, "how much is a premium debit card")
    assert not [event for event in events_of(records) if event.data is not None]


@pytest.mark.acceptance("event.HALLUCINATION_FOUND", "validation-14", "audit-02", "bot-test-05")
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


@pytest.mark.acceptance("audit-05")
def test_an_answer_that_stays_wrong_is_replaced_and_says_where_it_ended(world):
    runtime, records, _ = world("nova-lite", Scripted(WRONG, WRONG))
    talked(runtime, "What does a premium card cost?")
    assert {found.action_taken for found in records[-1].findings} == {"fallback"}
    check = named(records, "validation_check")[0]
    assert (check.data["validation_passed"], check.data["confidence_score"]) == (False, 0.0)
    assert check.error.stack[-1] == "AnswerRefused"
    assert any("attempt.py" in place for place in check.error.stack)


@pytest.mark.acceptance("audit-03", "audit-06")
def test_a_model_that_fails_leaves_an_error_without_its_words(world):
    runtime, records, lines = world("nova-lite", Scripted(DeadlineExceeded(f"late for {PHONE}")))
    task = type(runtime.answering.tasks["assistant"])
    runtime = changed(runtime, tasks={"assistant": type("Bare", (task,), {"fallback_model": None})()})
    talked(runtime, "What does a premium card cost?", status=504)
    failed = next(event for event in events_of(records) if event.level == "ERROR")
    assert failed.event_type == "bedrock_invocation"
    assert failed.error.stack[-1] == "DeadlineExceeded"
    assert PHONE not in "".join(lines)
    assert not named(records, "handover_decision")


@pytest.mark.acceptance("event.AUDIT_UNKEPT", "validation-18", "bot-test-05")
def test_a_store_that_fails_harms_neither_the_reply_nor_the_log(world):
    kept = Kept()
    runtime, _, lines = world(stores=[Broken(), kept])
    with capture_logs() as logged:
        talked(runtime, "how much is a premium debit card")
    assert len(kept.records) == 2
    assert len(lines) == len(events_of(kept.records))
    unkept = [line for line in logged if line["event"] == "AUDIT_UNKEPT"]
    assert [line["reason"] for line in unkept] == ["broken: OSError"] * 2


@pytest.mark.acceptance("event.CONDUCT_FOUND", "validation-16")
def test_a_fault_of_manner_is_no_hallucination(world):
    denies = {**RIGHT, "reply": "I am a human being. Which of our cards are you interested in?"}
    runtime, records, _ = world("nova-lite", Scripted(denies))
    with capture_logs() as logged:
        talked(runtime, "Are you a person?")
    assert {found.hallucination_type for found in records[-1].findings} == {"denies_ai", "not_disclosed"}
    assert named(records, "validation_check")[0].data["hallucination_detected"] is False
    assert [line["kinds"] for line in logged if line["event"] == "CONDUCT_FOUND"]


@pytest.mark.acceptance(
    "event.CONVERSATION_ENDED",
    "event.TURN_VALIDATED",
    "figure.omni_conversations",
    "figure.omni_conversation_ends",
    "figure.omni_conversation_turns",
    "figure.omni_conversation_length",
    "figure.omni_validations",
    "figure.omni_hallucinations",
    "figure.omni_audit_unkept",
    "validation-16",
    "audit-10",
)
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


@pytest.mark.acceptance("audit-01")
def test_a_repeated_start_is_one_conversation(world):
    runtime, records, _ = world()
    with TestClient(create_app(runtime=runtime)) as client:
        for _ in range(2):
            client.post(PATH, json={"key": "contact-71"})
    assert len(named(records, "conversation_start")) == 1
