"""The structured log: one JSON object per line, event names of seed 000, no customer text and no account number."""

import hashlib
import logging
import sys
from enum import StrEnum
from typing import Any

import structlog


class Event(StrEnum):
    """Names of log events; the first seven are seed 000's, its log queries and alarms look for them."""

    REQUEST_RECEIVED = "REQUEST_RECEIVED"
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
    BREAKER_OPENED = "BREAKER_OPENED"
    BREAKER_CLOSED = "BREAKER_CLOSED"
    GUARD_TRIGGERED = "GUARD_TRIGGERED"
    ROLLOUT_STOPPED = "ROLLOUT_STOPPED"
    SHADOW_FAILED = "SHADOW_FAILED"


_FAILURES = frozenset(
    {Event.REQUEST_FAILED, Event.DYNAMODB_QUERY_FAILURE, Event.BEDROCK_INVOKE_FAILURE, Event.WARM_UP_FAILED}
)
_WARNINGS = frozenset(
    {
        Event.DYNAMODB_ITEM_SKIPPED,
        Event.BEDROCK_INVOKE_TIMEOUT,
        Event.BREAKER_OPENED,
        Event.GUARD_TRIGGERED,
        Event.ROLLOUT_STOPPED,
        Event.SHADOW_FAILED,
    }
)


def log(event: Event, **fields: str | int | float | bool | None) -> None:
    """Write one event; ``fields`` must be free of customer text, and an account goes through ``account_hash``."""
    level = "error" if event in _FAILURES else "warning" if event in _WARNINGS else "info"
    getattr(structlog.get_logger(), level)(event.value, **fields)


def account_hash(account_number: str) -> str:
    """Return the first 12 hexadecimal digits of the account number's SHA-256: joins log lines, names nobody."""
    return hashlib.sha256(account_number.encode()).hexdigest()[:12]


def bind_request(request_id: str) -> None:
    """Start a request's log context: every later line of the same request carries ``request_id``."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)


def configure_logging(level: str = "INFO") -> None:
    """Send our events at ``level`` and other libraries' warnings to standard output as JSON lines. Safe to repeat."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.dict_tracebacks,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
