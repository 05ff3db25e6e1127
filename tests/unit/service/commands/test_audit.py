"""`omni audit`: questions of the embedded warehouse, their text for Logs Insights, and wrong input in one line."""

import json
from datetime import UTC, datetime

import pytest

from service.__main__ import main
from service.audit.record import AuditEntry, AuditRecord, ConversationEnd
from service.core.redaction.texts import TextRedactor
from service.loading.batch import prepare
from service.loading.merging import merge_batch
from service.loading.objects import Fetched
from service.warehouse.duck import DuckWarehouse

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
END = ConversationEnd(
    duration_seconds=61.5, total_turns=3, tools_used=(), handover_occurred=False, resolution_status="resolved"
)


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("OMNI_WAREHOUSE_PATH", str(tmp_path / "house.duckdb"))
    event = AuditEntry(
        event_id="e-1",
        timestamp=AT,
        level="INFO",
        session_id="id-abcdefghabcdefgh",
        contact_id=None,
        user_id=None,
        event_type="conversation_end",
        correlation_id="req-1",
        task="assistant",
        environment="local",
        data=END.model_dump(mode="json"),
    )
    record = AuditRecord(audit_id="req-1", recorded_at=AT, events=(event,), schema_version=1)
    made = DuckWarehouse(tmp_path / "house.duckdb")
    made.migrate()
    body = record.model_dump_json().encode()
    batch = prepare([Fetched(key=record.object_key, etag="e", body=body)], AT, TextRedactor())
    merge_batch(made, batch, AT, bury=lambda dead: None)
    made.close()


@pytest.mark.acceptance("audit-14")
def test_a_question_is_answered_from_the_warehouse(warehouse, capsys):
    assert main(["audit", "durations", "--from", "2026-11-20", "--to", "2026-11-21", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["resolution_status"], row["conversations"], row["average_s"]) == ("resolved", 1, 61.5)
    assert main(["audit", "durations", "--from", "2026-11-21", "--to", "2026-11-22", "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == []
    named = ["--session", "id-aaaaaaaaaaaaaaaa", "--from", "2026-11-20", "--to", "2026-11-21", "--format", "json"]
    assert main(["audit", "durations", *named]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_the_text_for_logs_insights_is_printed(capsys):
    assert main(["audit", "most-used", "--format", "insights"]) == 0
    assert capsys.readouterr().out.startswith('filter event_type = "tool_invocation"\n| stats count(*) as uses')


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--from", "yesterday"], "--from 'yesterday' is no day or time; write 2026-11-22 or 2026-11-22T14:30"),
        (["--from", "2026-11-22", "--to", "2026-11-21"], "the range ends before it begins: --from must be before --to"),
    ],
)
def test_wrong_input_is_told_in_one_line(given, told, capsys):
    assert main(["audit", "handovers", *given]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line
