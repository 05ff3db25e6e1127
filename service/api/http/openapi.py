"""Completes the OpenAPI document: problem media type, each path's security, and an example of every answer."""

from typing import Any

from service.access.clients import EVERY_TASK, SCOPES
from service.api.http.access import scope_of
from service.api.http.problem_examples import examples_for
from service.api.http.problems import with_problem_media_type

_SCHEME = "clientCredentials"
_SCOPE_TEXTS = {
    "summaries": "ask for summaries; comes with task:summarize and task:scorecard",
    "feedback": "give feedback on summaries and on answers of tasks",
    "operator": "see what is served and the figures of the whole service; for clients of no tenant",
    "calls": "read the tenant's scored calls, and put people's verdicts beside them",
    "forms": "read and write the tenant's forms",
    "tenants": "create, configure, suspend, export and delete tenants; for clients of no tenant",
    "handovers": "see the customers who wait for a person, take them, and answer them",
    "tools": "call the tools of a task at its tools' server (`omni tools serve`)",
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
    for name, component in schema["components"].get("schemas", {}).items():
        # A model that is sent in another form than it is taken has two schemas of one title; generated clients need two names.
        component["title"] = name.replace("-", "")
        for example in component.get("examples", ()):
            _put_nulls_back(example, component, schema)
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            _give_examples(path, operation)
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


def _give_examples(path: str, operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get(_PROBLEM_TYPE)
        if content is not None:
            content["examples"] = examples_for(path, status)


def _put_nulls_back(value: Any, wanted: dict[str, Any], document: dict[str, Any]) -> None:
    """Add the required fields that are null in an example: FastAPI drops every null when it writes the document."""
    while "$ref" in wanted:
        wanted = document["components"]["schemas"][wanted["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for item in value:
            _put_nulls_back(item, wanted.get("items", {}), document)
    if not isinstance(value, dict):
        return
    for name, inner in wanted.get("properties", {}).items():
        if name in value:
            for choice in inner.get("anyOf", [inner]):
                _put_nulls_back(value[name], choice, document)
        elif name in wanted.get("required", ()) and any(
            choice.get("type") == "null" for choice in inner.get("anyOf", [inner])
        ):
            value[name] = None
