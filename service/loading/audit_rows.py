"""Converts an audit record to warehouse rows: what queries need of an event's data becomes columns."""

from collections.abc import Iterator
from datetime import UTC

from service.audit.clean import personal_texts_in, with_personal_texts
from service.audit.record import AuditEntry, AuditRecord, KeptFinding
from service.core.redaction.persons import json_text, output_texts, with_output_texts
from service.loading.arrow_tables import WarehouseRow, WarehouseRows, row_of
from service.warehouse.events import AuditEvent, FindingEvent

# The columns that repeat a field of an event's data.
_FROM_DATA = (
    "channel", "tool_name", "latency_ms", "handover_triggered", "reason", "validation_passed", "hallucination_detected",
    "duration_seconds", "resolution_status",
)  # fmt: skip


def audit_texts(record: AuditRecord) -> list[str]:
    """Return the texts that may hold personal data, in the order in which ``audit_rows`` takes them.

    They were cleaned by the patterns before they were kept; the finder has not seen them yet.
    """
    events = [text for event in record.events if event.data for text in personal_texts_in(event.data)]
    return [*events, *(text for found in record.findings for said in _said(found) for text in output_texts(said))]


def audit_rows(record: AuditRecord, redacted: Iterator[str]) -> WarehouseRows:
    """Return the rows of the events and of the findings; ``redacted`` yields the redacted ``audit_texts``."""
    events = [_event_row(event, record, redacted) for event in record.events]
    findings = [_finding_row(found, record, redacted) for found in record.findings]
    return [*((AuditEvent, row) for row in events), *((FindingEvent, row) for row in findings)]


def _event_row(event: AuditEntry, record: AuditRecord, redacted: Iterator[str]) -> WarehouseRow:
    data = None if event.data is None else with_personal_texts(event.data, redacted)
    said = data or {}
    return row_of(
        AuditEvent,
        event,
        **{name: said.get(name) for name in _FROM_DATA},
        event_timestamp=event.timestamp.astimezone(UTC),
        total_turns=said.get("total_turns", said.get("conversation_turns")),
        error_code=None if event.error is None else event.error.code,
        data=None if data is None else json_text(data),
        schema_version=record.schema_version,
        source_key=record.object_key,
    )


def _finding_row(found: KeptFinding, record: AuditRecord, redacted: Iterator[str]) -> WarehouseRow:
    query, results, response, details = (with_output_texts(said, redacted) for said in _said(found))
    return row_of(
        FindingEvent,
        found,
        finding_timestamp=found.timestamp.astimezone(UTC),
        user_query=query,
        tool_results=None if found.tool_results is None else results,
        model_response=response,
        validation_details=details,
        schema_version=record.schema_version,
        source_key=record.object_key,
    )


def _said(found: KeptFinding) -> tuple[str, ...]:
    return found.user_query, found.tool_results or "", found.model_response, found.validation_details
