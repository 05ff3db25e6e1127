"""Ends conversations by time: in the warehouse, those whose last event is old and that have no end count as abandoned."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from service.audit.auditor import keep
from service.audit.record import AuditEntry, AuditRecord, ConversationEnd
from service.audit.stores import JsonObjects
from service.kit.telemetry.log import write_line
from service.warehouse.events import SCHEMA_VERSION
from service.warehouse.port import Warehouse

_LOOKED_BACK = timedelta(days=30)  # the log is kept no longer, and one conversation lasts a day at most
_IDLE = """
WITH last AS (
    SELECT session_id, MAX(event_timestamp) AS last_at, MIN(event_timestamp) AS first_at,
      SUM(CASE WHEN event_type = 'user_input' THEN 1 ELSE 0 END) AS turns,
      MAX(CASE WHEN event_type = 'user_input' THEN event_timestamp END) AS said_at,
      MAX(CASE WHEN event_type = 'conversation_end' THEN event_timestamp END) AS ended_at
    FROM omni_audit_events WHERE event_timestamp >= CAST(:since AS timestamptz) GROUP BY session_id
)
SELECT l.session_id, l.last_at, l.first_at, l.turns, MAX(e.event_id) AS event_id, MAX(e.task) AS task,
  MAX(e.environment) AS environment, MAX(e.contact_id) AS contact_id, MAX(e.user_id) AS user_id
FROM last l JOIN omni_audit_events e ON e.session_id = l.session_id AND e.event_timestamp = l.last_at
WHERE (l.ended_at IS NULL OR l.ended_at < l.said_at) AND l.last_at < CAST(:idle_since AS timestamptz)
GROUP BY l.session_id, l.last_at, l.first_at, l.turns ORDER BY l.last_at, l.session_id
"""
_TOOLS = """
SELECT session_id, tool_name, MIN(event_timestamp) AS first_at FROM omni_audit_events
WHERE event_type = 'tool_invocation' AND tool_name IS NOT NULL AND event_timestamp >= CAST(:since AS timestamptz)
GROUP BY session_id, tool_name ORDER BY session_id, first_at
"""


def close_idle_conversations(
    warehouse: Warehouse,
    objects: JsonObjects,
    *,
    now: datetime,
    after: timedelta,
    write: Callable[[str], None] = write_line,
) -> int:
    """Write the end of each conversation without an event for ``after``, once; return how many were ended now.

    The ends are objects of the bucket, which the next load brings into the warehouse, and lines of the log.

    Raises:
        StoreError: the bucket does not answer; what was not ended is ended next time.
    """
    since = {"since": (now - _LOOKED_BACK).astimezone(UTC).isoformat()}
    idle = warehouse.query(_IDLE, {**since, "idle_since": (now - after).astimezone(UTC).isoformat()})
    used: dict[str, list[str]] = {}
    for row in warehouse.query(_TOOLS, since).to_dict("records"):
        used.setdefault(row["session_id"], []).append(row["tool_name"])
    closed = 0
    for row in idle.to_dict("records"):
        record = _ended({str(name): value for name, value in row.items()}, tuple(used.get(row["session_id"], ())))
        if objects.put_json(record.object_key, record.model_dump_json()) == "written":
            keep(record, stores=(), write=write)
            closed += 1
    return closed


def _ended(row: Mapping[str, Any], tools: tuple[str, ...]) -> AuditRecord:
    first, last = (row[name].to_pydatetime().astimezone(UTC) for name in ("first_at", "last_at"))
    end = ConversationEnd(
        duration_seconds=round((last - first).total_seconds(), 3),
        total_turns=int(row["turns"]),
        tools_used=tools,
        handover_occurred=False,
        resolution_status="abandoned",
    )
    # Named after the last event: should the customer come back and leave again, that is another end.
    name = f"{row['event_id']}-abandoned"
    event = AuditEntry(
        event_id=name,
        timestamp=last,
        level="INFO",
        session_id=row["session_id"],
        contact_id=_text(row["contact_id"]),
        user_id=_text(row["user_id"]),
        event_type="conversation_end",
        correlation_id=name,
        task=row["task"],
        environment=row["environment"],
        data=end.model_dump(mode="json"),
    )
    return AuditRecord(audit_id=name, recorded_at=last, events=(event,), schema_version=SCHEMA_VERSION)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
