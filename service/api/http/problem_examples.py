"""Examples of problem bodies for the OpenAPI document: which errors each operation answers with, and how they read."""

import re
from collections.abc import Iterator
from typing import Any

from service.api.http.problems import PROBLEMS, title_of

_EVERYWHERE = (
    "UNAUTHORIZED",
    "FORBIDDEN",
    "REQUEST_TIMEOUT",
    "PAYLOAD_TOO_LARGE",
    "INVALID_REQUEST",
    "RATE_LIMITED",
    "CONCURRENCY_LIMITED",
    "INTERNAL_ERROR",
    "UPSTREAM_UNAVAILABLE",
)
_OF_MODELS = ("INSUFFICIENT_CONTENT", "QUOTA_EXCEEDED", "OUTPUT_INVALID", "FAILED_SAFETY_GUIDELINES", "DEADLINE")
_OF_CONVERSATIONS = ("CONVERSATION_NOT_FOUND", "CONVERSATION_ENDED", "CONVERSATION_REFUSED")
# The first pattern that matches the path says what else its operation answers with.
_OF_PATHS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"/omni-channel-insights", _OF_MODELS),
    (r"/feedback", ("SUMMARY_NOT_FOUND", "AMBIGUOUS_SUMMARY")),
    (r"/v1/calls/\{call_id\}(/transcript)?", ("CALL_NOT_FOUND",)),
    (r"/v1/calls/(figures|failures)", ()),
    (r"/v1/calls/rescorings", ("FORM_NOT_FOUND", "RESCORING_REFUSED")),
    (r"/v1/calls/rescorings/estimate", ("FORM_NOT_FOUND",)),
    (r"/v1/calls/rescorings/.*", ("RESCORING_NOT_FOUND",)),
    (
        r"/v1/calls/.*/override",
        ("CALL_NOT_FOUND", "CRITERION_NOT_FOUND", "CALL_NOT_SCORED", "OVERRIDE_CHANGED", "REASON_NOT_REDACTED"),
    ),
    (r"/v1/tenants.*", ("TENANT_NOT_FOUND", "TENANT_REFUSED")),
    (r"/v1/forms/.*", ("FORM_NOT_FOUND", "FORM_CHANGED")),
    (r"/v1/dashboards/\{name\}", ("NOT_FOUND",)),
    (r"/v1/handovers.*", ("HANDOVER_NOT_FOUND", "HANDOVER_TAKEN", "HANDOVER_NOT_YOURS", "CALLBACK_REFUSED")),
    (r"/v1/[a-z0-9_]+/feedback", ("ANSWER_NOT_FOUND",)),
    (r"/v1/[a-z0-9_]+/conversations/.*/messages", (*_OF_CONVERSATIONS, *_OF_MODELS)),
    (r"/v1/[a-z0-9_]+/conversations.*", _OF_CONVERSATIONS),
    (r"/v1/[a-z0-9_]+", _OF_MODELS),
)


def examples_for(path: str, status: str) -> dict[str, dict[str, Any]]:
    """Return OpenAPI's ``examples`` of a problem response, by code; empty if no code of ours has this status there."""
    return {code: {"value": _body(code)} for code in _codes_of(path) if str(PROBLEMS[code]["status"]) == status}


def _codes_of(path: str) -> Iterator[str]:
    yield from _EVERYWHERE
    yield from next((codes for pattern, codes in _OF_PATHS if re.fullmatch(pattern, path)), ())


def _body(code: str) -> dict[str, Any]:
    return {
        "type": f"urn:problem:{code.lower().replace('_', '-')}",
        "title": title_of(code),
        "code": code,
        "request_id": "req-0123456789ab",
        **PROBLEMS[code],
    }
