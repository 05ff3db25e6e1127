"""The structured log: one JSON object per line, event names of R-LOG, no customer text and no account number."""

import json
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from enum import StrEnum
from typing import Any, Self

import structlog

from service.kit.telemetry.fields import account_hash, redact_log_fields, withhold
from service.kit.telemetry.log_writer import LineWriter

__all__ = ["Event", "account_hash", "bind_request", "configure_logging", "log"]


class Event(StrEnum):
    """Names of log events; the first six are defined by R-LOG: log queries and alarms use them."""

    level: str

    def __new__(cls, value: str, level: str = "info") -> Self:
        """Make an event that is logged at ``level``."""
        event = str.__new__(cls, value)
        event._value_, event.level = value, level
        return event

    REQUEST_RECEIVED = "REQUEST RECEIVED"  # with a space, as in R-LOG
    DYNAMODB_QUERY_START = "DYNAMODB_QUERY_START"
    DYNAMODB_QUERY_SUCCESS = "DYNAMODB_QUERY_SUCCESS"
    BEDROCK_INVOKE_START = "BEDROCK_INVOKE_START"
    BEDROCK_INVOKE_SUCCESS = "BEDROCK_INVOKE_SUCCESS"
    BEDROCK_INVOKE_TIMEOUT = "BEDROCK_INVOKE_TIMEOUT", "warning"
    REQUEST_COMPLETED = "REQUEST_COMPLETED"
    REQUEST_FAILED = "REQUEST_FAILED", "error"
    DYNAMODB_QUERY_FAILURE = "DYNAMODB_QUERY_FAILURE", "error"
    DYNAMODB_ITEM_SKIPPED = "DYNAMODB_ITEM_SKIPPED", "warning"
    BEDROCK_INVOKE_FAILURE = "BEDROCK_INVOKE_FAILURE", "error"
    BEDROCK_INVOKE_CANCELLED = "BEDROCK_INVOKE_CANCELLED"
    SERVICE_STARTED = "SERVICE_STARTED"
    SERVICE_STOPPED = "SERVICE_STOPPED"
    WARM_UP_FAILED = "WARM_UP_FAILED", "error"
    SUMMARY_WRITE_FAILURE = "SUMMARY_WRITE_FAILURE", "warning"
    SUMMARY_SPOOL_FAILURE = "SUMMARY_SPOOL_FAILURE", "error"
    SUMMARY_REPLAYED = "SUMMARY_REPLAYED"
    SUMMARY_REFUSED = "SUMMARY_REFUSED", "error"
    SUMMARY_LOST = "SUMMARY_LOST", "error"
    SUMMARY_UNKEPT = "SUMMARY_UNKEPT", "warning"
    SUMMARY_WRITER_DIED = "SUMMARY_WRITER_DIED", "warning"
    REUSE_LOOKUP_FAILURE = "REUSE_LOOKUP_FAILURE", "warning"
    ACCESS_DENIED = "ACCESS_DENIED", "warning"
    ACCESS_UNREADABLE = "ACCESS_UNREADABLE", "warning"
    ACCESS_TAKEN_OVER = "ACCESS_TAKEN_OVER"
    TOKEN_ISSUED = "TOKEN_ISSUED"  # noqa: S105 - an event's name
    FEEDBACK_RECORDED = "FEEDBACK_RECORDED"
    STREAM_COMPLETED = "STREAM_COMPLETED"
    BREAKER_OPENED = "BREAKER_OPENED", "warning"
    BREAKER_CLOSED = "BREAKER_CLOSED"
    GUARD_TRIGGERED = "GUARD_TRIGGERED", "warning"
    TOOL_USED = "TOOL_USED"
    CONVERSATION_STARTED = "CONVERSATION_STARTED"
    INTENT_READ = "INTENT_READ"
    CONVERSATION_ENDED = "CONVERSATION_ENDED"
    TURN_VALIDATED = "TURN_VALIDATED"
    VALIDATION_TIMEOUT = "VALIDATION_TIMEOUT", "warning"
    HALLUCINATION_FOUND = "HALLUCINATION_FOUND", "warning"
    CONDUCT_FOUND = "CONDUCT_FOUND", "warning"
    AUDIT_WITHHELD = "AUDIT_WITHHELD", "warning"
    AUDIT_UNKEPT = "AUDIT_UNKEPT", "warning"
    TOOLS_DIFFER = "TOOLS_DIFFER", "warning"
    CROWDED = "CROWDED", "warning"
    ROLLOUT_STOPPED = "ROLLOUT_STOPPED", "warning"
    SHADOW_FAILED = "SHADOW_FAILED", "warning"
    SHADOW_LEFT_OUT = "SHADOW_LEFT_OUT", "warning"
    WAREHOUSE_UNREADABLE = "WAREHOUSE_UNREADABLE", "warning"
    SESSION_OPENED = "SESSION_OPENED"
    CONNECTION_REFUSED = "CONNECTION_REFUSED", "warning"
    SHARED_STATE_UNREACHABLE = "SHARED_STATE_UNREACHABLE", "warning"
    SHARED_STATE_BACK = "SHARED_STATE_BACK"
    CALL_SCORED = "CALL_SCORED"
    CALL_INSIGHTS_FAILED = "CALL_INSIGHTS_FAILED"
    CALL_SETTLED = "CALL_SETTLED"
    CALLS_WAIT = "CALLS_WAIT"
    CALLS_CHECKED = "CALLS_CHECKED"
    AGREEMENT_CHECKED = "AGREEMENT_CHECKED"
    APPROVALS_CHECKED = "APPROVALS_CHECKED"
    JUDGE_MEASURED = "JUDGE_MEASURED"
    CALL_OVERRIDDEN = "CALL_OVERRIDDEN"
    RESCORING_ORDERED = "RESCORING_ORDERED"
    RESCORING_ENDED = "RESCORING_ENDED"
    TENANT_CHANGED = "TENANT_CHANGED"
    CALLBACK_RUNG = "CALLBACK_RUNG"
    CALLBACK_SETTLED = "CALLBACK_SETTLED"
    CALLBACK_DIALER_FAILED = "CALLBACK_DIALER_FAILED", "warning"
    CALLBACKS_CHECKED = "CALLBACKS_CHECKED"
    CALLBACKS_UNREADABLE = "CALLBACKS_UNREADABLE", "warning"
    VOICEMAIL_LEFT = "VOICEMAIL_LEFT"
    VOICEMAIL_CLOSED = "VOICEMAIL_CLOSED"
    HANDOVER_ENTERED = "HANDOVER_ENTERED"
    HANDOVER_TAKEN = "HANDOVER_TAKEN"
    HANDOVER_ENDED = "HANDOVER_ENDED"
    HANDOVER_UNQUEUED = "HANDOVER_UNQUEUED", "warning"
    HANDOVERS_CHECKED = "HANDOVERS_CHECKED"
    HANDOVERS_UNREADABLE = "HANDOVERS_UNREADABLE", "warning"
    VOICEMAILS_CHECKED = "VOICEMAILS_CHECKED"
    SMOKE_TESTED = "SMOKE_TESTED"
    REGISTRY_UNREADABLE = "REGISTRY_UNREADABLE", "warning"


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
    getattr(_logger if ours else structlog.get_logger(), event.level)(event.value, **fields)


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
