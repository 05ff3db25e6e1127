"""Examples of problem bodies for the OpenAPI document: which errors each operation answers with, and how they read."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from service.api.http.problems import title_of

# By code: status, detail, and further fields.
_PROBLEMS: Mapping[str, tuple[int, str, Mapping[str, Any]]] = {
    "UNAUTHORIZED": (401, "send a token: Authorization: Bearer <token>, from POST /oauth/token", {}),
    "FORBIDDEN": (403, "this path needs a token with scope 'feedback'; ask for one at /oauth/token", {}),
    "NOT_FOUND": (404, "there is no such dashboard; there are effectiveness, performance, cost", {}),
    "SUMMARY_NOT_FOUND": (404, "there is no such summary, or it is older than seven days", {}),
    "ANSWER_NOT_FOUND": (
        404,
        "there is no such answer of summarize to this client or its tenant, or it has expired",
        {},
    ),
    "CONVERSATION_NOT_FOUND": (404, "there is no such conversation of this client, or it has expired", {}),
    "CALL_NOT_FOUND": (404, "there is no call 'call-1' of this tenant", {}),
    "CRITERION_NOT_FOUND": (404, "the call was not scored on 'greet_01'", {}),
    "RESCORING_NOT_FOUND": (404, "tenant 'acme' has no re-scoring 'rescoring-0123456789abcdef01234567'", {}),
    "RESCORING_REFUSED": (409, "this Idempotency-Key was sent with another order: send another key", {}),
    "FORM_NOT_FOUND": (404, "there is no form 'support'", {}),
    "TENANT_NOT_FOUND": (404, "there is no tenant 'nobody': omni tenant list shows them", {}),
    "TENANT_REFUSED": (409, "tenant 'acme' is active; suspend it first: omni tenant suspend acme", {}),
    "REQUEST_TIMEOUT": (408, "the body did not arrive within 10 s; send it again", {}),
    "AMBIGUOUS_SUMMARY": (
        409,
        "2 summaries fit: send one of request_ids as request_id",
        {"request_ids": ["req-0123456789ab", "req-ba9876543210"]},
    ),
    "CONVERSATION_ENDED": (409, "the conversation is closed; start a new one", {}),
    "CONVERSATION_REFUSED": (409, "four messages are waiting already; send this one again later", {}),
    "HANDOVER_NOT_FOUND": (404, "there is no such handover, or it has expired", {}),
    "HANDOVER_TAKEN": (
        409,
        "nobody waits under 'handover-0123456789abcdef01234567' any more; take the next one",
        {},
    ),
    "HANDOVER_NOT_YOURS": (409, "take the handover before you answer or close it", {}),
    "CALLBACK_REFUSED": (
        422,
        "the callback was not arranged: that is not a UK phone number that we can call back",
        {},
    ),
    "CALL_NOT_SCORED": (409, "the call has no scorecard yet", {}),
    "OVERRIDE_CHANGED": (409, "another override was saved; read the call again and send its edit", {}),
    "FORM_CHANGED": (409, "the form was changed since you read it; read it again and send its edit", {}),
    "PAYLOAD_TOO_LARGE": (413, "the body is larger than 262144 bytes; send a smaller request", {}),
    "INVALID_REQUEST": (
        422,
        "wrong or unknown: max_history_days",
        {"errors": [{"field": "max_history_days", "message": "Input should be less than or equal to 3650"}]},
    ),
    "INSUFFICIENT_CONTENT": (422, "there is too little text to answer from", {}),
    "REASON_NOT_REDACTED": (422, "the reason could not be redacted; write it without names and numbers", {}),
    "RATE_LIMITED": (429, "more than 50 requests per second of this client", {}),
    "CONCURRENCY_LIMITED": (429, "more than 100 requests of this client at once", {}),
    "QUOTA_EXCEEDED": (429, "nova-lite throttles us", {}),
    "INTERNAL_ERROR": (500, "unexpected error; the log has its type and place under this request id", {}),
    "OUTPUT_INVALID": (502, "the answer was cut off at the pair's maxOutputTokens", {}),
    "FAILED_SAFETY_GUIDELINES": (502, "the guardrail stopped the answer of nova-lite", {}),
    "UPSTREAM_UNAVAILABLE": (503, "table 'ucdp-interactions' gave no answer within 2 s", {}),
    "DEADLINE": (504, "nova-lite gave no answer within 5.0 s", {}),
}
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
    return {code: {"value": _body(code)} for code in _codes_of(path) if str(_PROBLEMS[code][0]) == status}


def _codes_of(path: str) -> Iterator[str]:
    yield from _EVERYWHERE
    yield from next((codes for pattern, codes in _OF_PATHS if re.fullmatch(pattern, path)), ())


def _body(code: str) -> dict[str, Any]:
    status, detail, further = _PROBLEMS[code]
    return {
        "type": f"urn:problem:{code.lower().replace('_', '-')}",
        "title": title_of(code),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "req-0123456789ab",
        **further,
    }
