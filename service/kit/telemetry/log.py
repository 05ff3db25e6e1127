"""The structured log: one JSON object per line, event names of R-LOG, no customer text and no account number."""

import json
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from enum import StrEnum
from typing import Any

import structlog

from service.kit.telemetry.fields import account_hash, redact_log_fields, withhold
from service.kit.telemetry.log_writer import LineWriter

__all__ = ["Event", "account_hash", "bind_request", "configure_logging", "log"]


class Event(StrEnum):
    """Names of log events; the first six are defined by R-LOG: log queries and alarms use them."""

    REQUEST_RECEIVED = "REQUEST RECEIVED"  # with a space, as in R-LOG
    DYNAMODB_QUERY_START = "DYNAMODB_QUERY_START"
    DYNAMODB_QUERY_SUCCESS = "DYNAMODB_QUERY_SUCCESS"
    BEDROCK_INVOKE_START = "BEDROCK_INVOKE_START"
    BEDROCK_INVOKE_SUCCESS = "BEDROCK_INVOKE_SUCCESS"
    BEDROCK_INVOKE_TIMEOUT = "BEDROCK_INVOKE_TIMEOUT"
    REQUEST_COMPLETED = "REQUEST_COMPLETED"
    REQUEST_FAILED = "REQUEST_FAILED"
    DYNAMODB_QUERY_FAILURE = "DYNAMODB_QUERY_FAILURE"
    DYNAMODB_ITEM_SKIPPED = "DYNAMODB_ITEM_SKIPPED"
    BEDROCK_INVOKE_FAILURE = "BEDROCK_INVOKE_FAILURE"
    BEDROCK_INVOKE_CANCELLED = "BEDROCK_INVOKE_CANCELLED"
    SERVICE_STARTED = "SERVICE_STARTED"
    SERVICE_STOPPED = "SERVICE_STOPPED"
    WARM_UP_FAILED = "WARM_UP_FAILED"
    SUMMARY_WRITE_FAILURE = "SUMMARY_WRITE_FAILURE"
    SUMMARY_SPOOL_FAILURE = "SUMMARY_SPOOL_FAILURE"
    SUMMARY_REPLAYED = "SUMMARY_REPLAYED"
    SUMMARY_REFUSED = "SUMMARY_REFUSED"
    SUMMARY_LOST = "SUMMARY_LOST"
    SUMMARY_UNKEPT = "SUMMARY_UNKEPT"
    SUMMARY_WRITER_DIED = "SUMMARY_WRITER_DIED"
    REUSE_LOOKUP_FAILURE = "REUSE_LOOKUP_FAILURE"
    ACCESS_DENIED = "ACCESS_DENIED"
    ACCESS_UNREADABLE = "ACCESS_UNREADABLE"
    ACCESS_TAKEN_OVER = "ACCESS_TAKEN_OVER"
    TOKEN_ISSUED = "TOKEN_ISSUED"  # noqa: S105 - an event's name
    FEEDBACK_RECORDED = "FEEDBACK_RECORDED"
    STREAM_COMPLETED = "STREAM_COMPLETED"
    BREAKER_OPENED = "BREAKER_OPENED"
    BREAKER_CLOSED = "BREAKER_CLOSED"
    GUARD_TRIGGERED = "GUARD_TRIGGERED"
    TOOL_USED = "TOOL_USED"
    CONVERSATION_STARTED = "CONVERSATION_STARTED"
    INTENT_READ = "INTENT_READ"
    CONVERSATION_ENDED = "CONVERSATION_ENDED"
    TURN_VALIDATED = "TURN_VALIDATED"
    VALIDATION_TIMEOUT = "VALIDATION_TIMEOUT"
    HALLUCINATION_FOUND = "HALLUCINATION_FOUND"
    CONDUCT_FOUND = "CONDUCT_FOUND"
    AUDIT_WITHHELD = "AUDIT_WITHHELD"
    AUDIT_UNKEPT = "AUDIT_UNKEPT"
    TOOLS_DIFFER = "TOOLS_DIFFER"
    CROWDED = "CROWDED"
    ROLLOUT_STOPPED = "ROLLOUT_STOPPED"
    SHADOW_FAILED = "SHADOW_FAILED"
    SHADOW_LEFT_OUT = "SHADOW_LEFT_OUT"
    WAREHOUSE_UNREADABLE = "WAREHOUSE_UNREADABLE"
    SESSION_OPENED = "SESSION_OPENED"
    CONNECTION_REFUSED = "CONNECTION_REFUSED"
    SHARED_STATE_UNREACHABLE = "SHARED_STATE_UNREACHABLE"
    SHARED_STATE_BACK = "SHARED_STATE_BACK"
    CALL_SCORED = "CALL_SCORED"
    CALL_INSIGHTS_FAILED = "CALL_INSIGHTS_FAILED"
    CALL_SETTLED = "CALL_SETTLED"
    CALLS_WAIT = "CALLS_WAIT"
    CALLS_CHECKED = "CALLS_CHECKED"
    AGREEMENT_CHECKED = "AGREEMENT_CHECKED"
    CALL_OVERRIDDEN = "CALL_OVERRIDDEN"
    RESCORING_ORDERED = "RESCORING_ORDERED"
    RESCORING_ENDED = "RESCORING_ENDED"
    TENANT_CHANGED = "TENANT_CHANGED"
    CALLBACK_RUNG = "CALLBACK_RUNG"
    CALLBACK_SETTLED = "CALLBACK_SETTLED"
    CALLBACK_DIALER_FAILED = "CALLBACK_DIALER_FAILED"
    CALLBACKS_CHECKED = "CALLBACKS_CHECKED"
    CALLBACKS_UNREADABLE = "CALLBACKS_UNREADABLE"
    VOICEMAIL_LEFT = "VOICEMAIL_LEFT"
    VOICEMAIL_CLOSED = "VOICEMAIL_CLOSED"
    HANDOVER_ENTERED = "HANDOVER_ENTERED"
    HANDOVER_TAKEN = "HANDOVER_TAKEN"
    HANDOVER_ENDED = "HANDOVER_ENDED"
    HANDOVER_UNQUEUED = "HANDOVER_UNQUEUED"
    HANDOVERS_CHECKED = "HANDOVERS_CHECKED"
    HANDOVERS_UNREADABLE = "HANDOVERS_UNREADABLE"
    VOICEMAILS_CHECKED = "VOICEMAILS_CHECKED"
    SMOKE_TESTED = "SMOKE_TESTED"
    REGISTRY_UNREADABLE = "REGISTRY_UNREADABLE"


_FAILURES = frozenset(
    {Event.REQUEST_FAILED, Event.DYNAMODB_QUERY_FAILURE, Event.BEDROCK_INVOKE_FAILURE, Event.WARM_UP_FAILED}
)
_FAILURES |= {Event.SUMMARY_REFUSED, Event.SUMMARY_LOST, Event.SUMMARY_SPOOL_FAILURE}
_WARNINGS = frozenset(
    {
        Event.DYNAMODB_ITEM_SKIPPED,
        Event.BEDROCK_INVOKE_TIMEOUT,
        Event.ACCESS_DENIED,
        Event.CONNECTION_REFUSED,
        Event.ACCESS_UNREADABLE,
        Event.SUMMARY_WRITE_FAILURE,
        Event.SUMMARY_WRITER_DIED,
        Event.SUMMARY_UNKEPT,
        Event.REUSE_LOOKUP_FAILURE,
        Event.BREAKER_OPENED,
        Event.GUARD_TRIGGERED,
        Event.VALIDATION_TIMEOUT,
        Event.HALLUCINATION_FOUND,
        Event.CONDUCT_FOUND,
        Event.AUDIT_WITHHELD,
        Event.AUDIT_UNKEPT,
        Event.TOOLS_DIFFER,
        Event.CROWDED,
        Event.ROLLOUT_STOPPED,
        Event.SHADOW_FAILED,
        Event.SHADOW_LEFT_OUT,
        Event.SHARED_STATE_UNREACHABLE,
        Event.WAREHOUSE_UNREADABLE,
        Event.CALLBACK_DIALER_FAILED,
        Event.CALLBACKS_UNREADABLE,
        Event.HANDOVER_UNQUEUED,
        Event.HANDOVERS_UNREADABLE,
        Event.REGISTRY_UNREADABLE,
    }
)


_LEVELS: Mapping[Event, str] = dict.fromkeys(_WARNINGS, "warning") | dict.fromkeys(_FAILURES, "error")

Field = str | int | float | bool | None
Listener = Callable[[Event, Mapping[str, Field]], None]
_listeners: list[Listener] = []


def add_listener(listener: Listener) -> None:
    """Also pass every event to ``listener``, at any log level. It must not raise. Safe to repeat."""
    if listener not in _listeners:
        _listeners.append(listener)


def log(event: Event, **fields: Field) -> None:
    """Write one event. ``fields`` must not hold customer text; pass an account number through ``account_hash``."""
    for listener in _listeners:
        listener(event, fields)
    # Reuse our logger while structlog's configuration is the one of `configure_logging`: making a logger costs as much as
    # writing the line.
    ours = _logger is not None and structlog.get_config()["processors"] is _processors
    getattr(_logger if ours else structlog.get_logger(), _LEVELS.get(event, "info"))(event.value, **fields)


def bind_request(request_id: str, **more: str) -> None:
    """Start a request's log context: every later line of the request has ``request_id`` and ``more``."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id, **more)


_writer: LineWriter | None = None
_logger: Any = None
_processors: list[Any] = []


def write_line(line: str) -> None:
    """Write one finished line, such as a metric's, to the log; before ``configure_logging`` to standard output."""
    if _writer is None:
        print(line, flush=True)
    else:
        _writer.msg(line)


def flush_log() -> None:
    """Wait until every line is written, at most two seconds; call it at the end of a process."""
    if _writer is not None:
        _writer.flush()


def configure_logging(level: str = "INFO") -> None:
    """Send our events at ``level`` and other libraries' warnings to standard output as JSON lines. Safe to repeat.

    Drops fields that ``service.kit.telemetry.fields`` does not allow; keeps only place and error of other libraries' records.
    """
    global _logger, _processors, _writer
    writer = _writer = LineWriter(sys.stdout)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    _processors = [*shared, redact_log_fields, _as_line]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: writer,
    )
    _logger = structlog.get_logger().bind()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[withhold, structlog.processors.JSONRenderer()],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


# One encoder for all lines: `json.dumps` with options makes a new one per call.
_encode = json.JSONEncoder().encode


def _as_line(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> str:
    # A structlog processor that runs after `redact_log_fields`, which leaves only JSON types.
    return _encode(fields)
