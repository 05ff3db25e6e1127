"""Completes the OpenAPI document: problem media type, each path's security, and an example of every answer."""

from collections.abc import Mapping
from typing import Any

from service.access.clients import EVERY_TASK, SCOPES
from service.api.http.access import scope_of
from service.api.http.problems import title_of, with_problem_media_type

_SCHEME = "clientCredentials"
_SCOPE_TEXTS = {
    "summaries": "ask for summaries; comes with task:summarize and task:scorecard",
    "feedback": "give feedback on summaries and on answers of tasks",
    "operator": "see what is served and the service's figures; write the tenant's forms; read and answer its scored calls",
    "handovers": "see the customers who wait for a person, take them, and answer them",
    "tools": "call the tools of a task at its tools' server (`omni tools serve`)",
}
# Status: code and detail of the example.
_PROBLEMS: dict[str, tuple[str, str]] = {
    "401": ("UNAUTHORIZED", "send a token: Authorization: Bearer <token>, from POST /oauth/token"),
    "403": ("FORBIDDEN", "this path needs a token with scope 'feedback'; ask for one at /oauth/token"),
    "404": ("SUMMARY_NOT_FOUND", "there is no such summary, or it is older than seven days"),
    "408": ("REQUEST_TIMEOUT", "the body did not arrive within 10 s; send it again"),
    "409": ("AMBIGUOUS_SUMMARY", "2 summaries fit: send one of request_ids as request_id"),
    "413": ("PAYLOAD_TOO_LARGE", "the body is larger than 262144 bytes; send a smaller request"),
    "422": ("INVALID_REQUEST", "wrong or unknown: max_history_days"),
    "429": ("RATE_LIMITED", "more than 50 requests per second of this client"),
    "500": ("INTERNAL_ERROR", "unexpected error; the log has its type and place under this request id"),
    "502": ("OUTPUT_INVALID", "the answer was cut off at the pair's maxOutputTokens"),
    "503": ("UPSTREAM_UNAVAILABLE", "table 'ucdp-interactions' gave no answer within 2 s"),
    "504": ("DEADLINE", "nova-lite gave no answer within 5.0 s"),
}
# By the end of the path, before what stands in braces.
_OF_PATHS: dict[str, dict[str, tuple[str, str]]] = {
    "feedback": {
        "404": (
            "ANSWER_NOT_FOUND",
            "there is no such answer of summarize to this client or its tenant, or it has expired",
        )
    },
    "conversations": {
        "404": ("CONVERSATION_NOT_FOUND", "there is no such conversation of this client, or it has expired"),
        "409": ("CONVERSATION_ENDED", "the conversation is closed; start a new one"),
    },
}
_OF_HANDOVERS = {
    "404": ("HANDOVER_NOT_FOUND", "there is no such handover, or it has expired"),
    "409": ("HANDOVER_TAKEN", "nobody waits under 'handover-0123456789abcdef01234567' any more; take the next one"),
    "422": ("CALLBACK_REFUSED", "the callback was not arranged: that is not a UK phone number that we can call back"),
}
_EXTRA: dict[str, Any] = {
    "409": {"request_ids": ["req-0123456789ab", "req-ba9876543210"]},
    "422": {"errors": [{"field": "max_history_days", "message": "Input should be less than or equal to 3650"}]},
}
_DENIED = {"401": "No valid token", "403": "The token lacks the scope", "429": "The client exceeds its limits"}
_BODY_REFUSED = {"408": "The body did not arrive in time", "413": "The body is too large"}
_PROBLEM_TYPE = "application/problem+json"
_HEADERS: dict[str, Any] = {
    "X-Model-Used": ("string", "Short name of the model asked for", "nova-lite"),
    "X-Cache-Hit": ("string", "Whether a stored summary was reused", "false"),
    "X-Prompt-Cache-Hit": ("string", "Whether the provider reused the prompt's prefix", "true"),
    "X-Latency-Ms": ("string", "Time of the whole request in milliseconds", "1847"),
    "X-Request-Id": ("string", "The request's id, as in log and body", "req-0123456789ab"),
}
_STREAM_EXAMPLE = (
    'event: text\ndata: {"text": "Customer called 3 times "}\n\n'
    'event: verdict\ndata: {"accepted": true, "first_text_ms": 412}\n\n'
    'event: result\ndata: {"contact_id": "abc-123-xyz", "summary": "Customer called 3 times ...", "degraded": false}\n\n'
)


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Return FastAPI's document with what its middleware adds: access control, body limits, and server-sent events."""
    components = schema.setdefault("components", {})
    needed = sorted({scope for path in schema["paths"] if (scope := scope_of(path)) is not None} - set(SCOPES))
    tasks = {scope: f"run the task {scope.partition(':')[2]}" for scope in needed}
    components["securitySchemes"] = {
        _SCHEME: {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": "/oauth/token",
                    "scopes": _SCOPE_TEXTS | tasks | {EVERY_TASK: "run every task"},
                }
            },
        }
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _secure(operation, scope_of(path), has_body=method in ("post", "put"))
    insights = schema["paths"].get("/omni-channel-insights", {}).get("post")
    if insights is not None:
        answer = insights["responses"]["200"]
        answer["content"]["text/event-stream"] = {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}
        answer["headers"] = {
            name: {"schema": {"type": kind}, "description": text, "example": example}
            for name, (kind, text, example) in _HEADERS.items()
        }
    with_problem_media_type(schema)
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            _give_examples(operation, _PROBLEMS | _of_path(path))
    return schema


def _secure(operation: dict[str, Any], scope: str | None, *, has_body: bool) -> None:
    added = dict(_BODY_REFUSED) if has_body else {}
    if scope is not None:
        operation["security"] = [{_SCHEME: [scope]}]
        added |= _DENIED
    for status, description in added.items():
        operation["responses"].setdefault(
            status,
            {
                "description": description,
                "content": {_PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        )


def _of_path(path: str) -> dict[str, tuple[str, str]]:
    if path.startswith("/v1/handovers"):
        return _OF_HANDOVERS
    parts = path.split("/")  # ["", "v1", task, "conversations", ...]
    return _OF_PATHS.get(parts[3], {}) if path.startswith("/v1/") and len(parts) > 3 else {}


def _give_examples(operation: dict[str, Any], problems: Mapping[str, tuple[str, str]]) -> None:
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get(_PROBLEM_TYPE)
        if content is None or status not in problems:
            continue
        code, detail = problems[status]
        extra = _EXTRA.get(status, {}) if problems[status] == _PROBLEMS[status] else {}
        content["example"] = {
            "type": f"urn:problem:{code.lower().replace('_', '-')}",
            "title": title_of(code),
            "status": int(status),
            "detail": detail,
            "code": code,
            "request_id": "req-0123456789ab",
            **extra,
        }
