"""Converts an audit record to warehouse rows: what queries need of an event's data becomes columns."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

from service.audit.clean import personal_texts_in, with_personal_texts
from service.audit.record import AuditEntry, AuditRecord, KeptFinding
from service.core.redaction.persons import json_text, output_texts, with_output_texts

AuditRow = tuple[Any, ...]


def audit_texts(record: AuditRecord) -> list[str]:
    """Return the texts that may hold personal data, in the order in which the functions below take them.

    They were cleaned by the patterns before they were kept; the finder has not seen them yet.
    """
    events = [text for event in record.events if event.data for text in personal_texts_in(event.data)]
    return [*events, *(text for found in record.findings for said in _said(found) for text in output_texts(said))]


def audit_rows(record: AuditRecord, texts: Sequence[str]) -> tuple[tuple[AuditRow, ...], tuple[AuditRow, ...]]:
    """Return the rows of the events and of the findings; ``texts`` are the redacted ``audit_texts``."""
    redacted = iter(texts)
    events = tuple(_event_row(event, record, redacted) for event in record.events)
    return events, tuple(_finding_row(found, record, redacted) for found in record.findings)


def _event_row(event: AuditEntry, record: AuditRecord, redacted: Iterator[str]) -> AuditRow:
    data = None if event.data is None else with_personal_texts(event.data, redacted)
    said = data or {}
    return (
        event.event_id,
        event.timestamp.astimezone(UTC),
        event.level,
        event.session_id,
        event.contact_id,
        event.user_id,
        event.event_type,
        event.correlation_id,
        event.task,
        event.environment,
        said.get("channel"),
        said.get("tool_name"),
        said.get("latency_ms"),
        said.get("handover_triggered"),
        said.get("reason"),
        said.get("validation_passed"),
        said.get("hallucination_detected"),
        said.get("duration_seconds"),
        said.get("total_turns", said.get("conversation_turns")),
        said.get("resolution_status"),
        None if event.error is None else event.error.code,
        None if data is None else json_text(data),
        record.schema_version,
        record.object_key,
    )


def _finding_row(found: KeptFinding, record: AuditRecord, redacted: Iterator[str]) -> AuditRow:
    query, results, response, details = (with_output_texts(said, redacted) for said in _said(found))
    return (
        found.log_id,
        found.timestamp.astimezone(UTC),
        query,
        found.tool_name,
        None if found.tool_results is None else results,
        response,
        found.hallucination_type,
        found.severity,
        details,
        found.action_taken,
        found.session_id,
        found.correlation_id,
        found.task,
        record.schema_version,
        record.object_key,
    )


def _said(found: KeptFinding) -> tuple[str, ...]:
    return found.user_query, found.tool_results or "", found.model_response, found.validation_details
