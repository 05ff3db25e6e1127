"""The five questions of an audit, asked of what real conversations left, and the ends of those that nobody ended."""

import json
import re
from contextlib import closing
from datetime import timedelta
from functools import partial

import pytest
from audited import RIGHT, STARTED, TRANSFER, WRONG, Scripted, audited_assistant, open_bank, talked
from loadable import item

from service.audit.idle import close_idle_conversations
from service.audit.queries import AuditRange, audit_queries, insights_of, session_named
from service.audit.record import AuditEntry
from service.core.redaction.texts import TextRedactor
from service.core.unit.question import Said
from service.kit.frame.errors import ConfigurationError
from service.kit.telemetry.fields import FIELDS, pseudonym_of
from service.kit.telemetry.log import Event
from service.loading.batch import prepare
from service.loading.merging import merge_batch
from service.loading.objects import kind_of, kind_of_line
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import AuditEvent, FindingEvent

WIDE = AuditRange(start=STARTED - timedelta(days=1), end=STARTED + timedelta(days=1))
HANDED = {
    "reply": "Let me connect you with one of our specialists who can assist you. One moment please.",
    "action": "handover",
    "asks": [],
    "handover": {"reason": "explicit_request", "context": "Wants a person."},
}


@pytest.fixture
def house(api_runtime, monkeypatch, tmp_path):
    """Three conversations in a warehouse: one handed over, one answered wrongly at first, one that was only begun."""
    open_bank(monkeypatch)
    served = partial(audited_assistant, api_runtime)
    records, sessions, lines = [], [], []
    for pair, gateway, said in (
        ("rules", None, ["how much is a premium debit card", "I want to speak to a person"]),
        (
            "nova-lite",
            Scripted(WRONG, RIGHT, Said(output="", uses=(TRANSFER,)), HANDED),
            ["What does it cost?", "A person!"],
        ),
        ("rules", None, ["how much is a premium debit card"]),
    ):
        runtime, kept, written = served(pair, gateway)
        sessions.append(talked(runtime, *said))
        records += kept
        lines += written
    warehouse = DuckWarehouse(tmp_path / "house.duckdb")
    warehouse.migrate()
    load(warehouse, records)
    with closing(warehouse):
        yield warehouse, sessions, records, lines


def load(warehouse, records):
    batch = prepare([item(record) for record in records], STARTED + timedelta(days=1), TextRedactor())
    assert not batch.dead
    return merge_batch(warehouse, batch, STARTED + timedelta(days=1), bury=lambda dead: None)


def asked(warehouse, name, about=WIDE):
    return warehouse.query(audit_queries()[name].sql, about.parameters()).to_dict("records")


def test_a_record_is_loaded_once_with_all_its_rows(house):
    warehouse, _, records, _ = house
    events = sum(len(record.events) for record in records)
    findings = sum(len(record.findings) for record in records)
    again = load(warehouse, records)
    assert (again.rows, again.repeated) == (0, events + findings)
    for table, count in ((AuditEvent.table, events), (FindingEvent.table, findings)):
        assert warehouse.query(f"SELECT COUNT(*) AS n FROM {table}")["n"].iloc[0] == count
    assert {kind_of(record.object_key) for record in records} == {"audit"}
    assert {kind_of_line(record.model_dump_json().encode()) for record in records} == {"audit"}


@pytest.mark.acceptance("audit-14")
def test_the_handovers_are_those_that_happened(house):
    warehouse, (first, second, _), _, _ = house
    found = {(row["session_id"], row["reason"], row["total_turns"]) for row in asked(warehouse, "handovers")}
    assert found == {(pseudonym_of(one), "explicit_request", 2) for one in (first, second)}


@pytest.mark.acceptance("audit-04", "audit-14")
def test_the_tools_of_a_session_are_its_own(house):
    warehouse, (first, *_), _, _ = house
    about = AuditRange(start=WIDE.start, end=WIDE.end, session=session_named(first))
    found = asked(warehouse, "tools", about)
    assert [row["tool_name"] for row in found] == ["get_debit_card_info", "transfer_to_agent"]
    assert json.loads(found[0]["data"])["tool_output"]["card_type"] == "premium"
    assert len(asked(warehouse, "tools")) == 4


@pytest.mark.acceptance("validation-13", "audit-14")
def test_the_hallucinations_say_what_came_of_them(house):
    warehouse, (_, second, _), _, _ = house
    (found,) = asked(warehouse, "hallucinations")
    assert found["session_id"] == pseudonym_of(second)
    assert (found["hallucination_type"], found["severity"], found["action_taken"]) == (
        "fabricated_data",
        "medium",
        "regenerated",
    )


@pytest.mark.acceptance("audit-14")
def test_durations_and_tools_are_counted(house):
    warehouse, *_ = house
    (ends,) = asked(warehouse, "durations")
    assert (ends["resolution_status"], ends["conversations"], ends["average_turns"]) == ("transferred", 2, 2.0)
    assert ends["shortest_s"] <= ends["p50_s"] <= ends["p95_s"] <= ends["longest_s"]
    used = {row["tool_name"]: row for row in asked(warehouse, "most-used")}
    assert (used["get_debit_card_info"]["uses"], used["get_debit_card_info"]["conversations"]) == (2, 2)
    assert (used["transfer_to_agent"]["uses"], used["transfer_to_agent"]["failed"]) == (2, 0)


def test_a_range_without_conversations_has_no_rows(house):
    early = AuditRange(start=STARTED - timedelta(days=9), end=STARTED - timedelta(days=8))
    assert {name: asked(house[0], name, early) for name in audit_queries()} == {name: [] for name in audit_queries()}


@pytest.mark.acceptance("audit-14")
def test_each_insights_query_asks_for_fields_that_the_lines_have(house):
    lines = [json.loads(line) for line in house[3]]
    for query in audit_queries().values():
        kinds = re.findall(r'event_type = "(\w+)"', query.insights)
        assert kinds or re.search(r'event = "\w+"', query.insights)
        for kind in kinds:
            fields = set(re.findall(r"data\.(\w+)", query.insights))
            assert fields <= next(line["data"].keys() for line in lines if line["event_type"] == kind)
        for name in re.findall(r'event = "(\w+)"', query.insights):
            assert name in [event.value for event in Event]
        listed = re.search(r"^fields (.*)$", query.insights, re.MULTILINE)
        ours = AuditEntry.model_fields.keys() if kinds else FIELDS.keys()
        assert all(field.startswith("data.") or field in ours for field in (listed[1].split(", ") if listed else ()))


def test_a_session_is_named_in_the_insights_query_too():
    assert insights_of(audit_queries()["tools"], "id-x").startswith('filter session_id = "id-x"\n| fields timestamp')
    with pytest.raises(ConfigurationError, match="no session"):
        insights_of(audit_queries()["hallucinations"], "id-x")


class Bucket:
    def __init__(self):
        self.objects = {}

    def put_json(self, key, text):
        if key in self.objects:
            return "already"
        self.objects[key] = text
        return "written"


@pytest.mark.acceptance("audit-05")
def test_who_says_nothing_more_has_abandoned_the_conversation_once(house):
    warehouse, (*_, third), records, _ = house
    bucket, lines = Bucket(), []
    close = partial(close_idle_conversations, warehouse, bucket, after=timedelta(minutes=30), write=lines.append)
    assert close(now=STARTED + timedelta(minutes=29)) == 0
    assert close(now=STARTED + timedelta(minutes=31)) == 1
    assert close(now=STARTED + timedelta(minutes=32)) == 0  # not loaded yet, and written all the same
    (line,) = map(AuditEntry.model_validate_json, lines)
    assert (line.session_id, line.data["resolution_status"]) == (pseudonym_of(third), "abandoned")
    assert (line.data["tools_used"], line.data["total_turns"]) == (["get_debit_card_info"], 1)
    (text,) = bucket.objects.values()
    load(warehouse, [type(records[0]).model_validate_json(text)])
    assert close(now=STARTED + timedelta(hours=2)) == 0
    ends = {row["resolution_status"]: row["conversations"] for row in asked(warehouse, "durations")}
    assert ends == {"transferred": 2, "abandoned": 1}
