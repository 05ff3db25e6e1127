"""The OpenAPI document: an example for everything, and the security that the door enforces."""

import pytest
from pydantic import TypeAdapter

from service.api.calls import CallAnswer, CallList, OverrideAnswer, OverrideRequest
from service.api.dashboards import DashboardAnswer, DashboardName, LinkAnswer, SessionAnswer, SessionRequest
from service.api.feedback import FeedbackAnswer, FeedbackRequest
from service.api.health import Health, Readiness
from service.api.http.access import scope_of
from service.api.http.problems import Problem
from service.api.insights import InsightsRequest, InsightsResponse
from service.api.pairs import PairInService
from service.api.tasks import TaskAnswer, answer_model
from service.api.tokens import JsonWebKeySet, TokenError
from service.api.tokens import TokenAnswer as OAuthToken
from service.app import create_app
from service.task import load_task
from service.tasks.summarize import SummarizeInputs


@pytest.fixture
def document(api_runtime):
    return create_app(runtime=api_runtime()).openapi()


def operations(document):
    return [(path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()]


def has_example(content, document):
    if "example" in content or "examples" in content:
        return True
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("example") or schema.get("examples"):
        return True
    # A list of objects that have examples of their own.
    items = [part.get("items", {}) for part in schema.get("properties", {}).values()]
    return any("$ref" in item and has_example({"schema": item}, document) for item in items)


def test_every_body_and_every_answer_has_an_example(document):
    missing = []
    for path, method, operation in operations(document):
        parts = [("request", operation["requestBody"])] if "requestBody" in operation else []
        for name, part in [*parts, *operation["responses"].items()]:
            missing += [
                f"{method} {path} {name} {kind}"
                for kind, content in part.get("content", {}).items()
                if not has_example(content, document)
            ]
    assert missing == []


@pytest.mark.parametrize(
    "model",
    [
        CallAnswer,
        CallList,
        DashboardAnswer,
        DashboardName,
        FeedbackAnswer,
        FeedbackRequest,
        Health,
        InsightsRequest,
        InsightsResponse,
        JsonWebKeySet,
        LinkAnswer,
        OAuthToken,
        OverrideAnswer,
        OverrideRequest,
        PairInService,
        Problem,
        Readiness,
        SessionAnswer,
        SessionRequest,
        SummarizeInputs,
        TaskAnswer,
        answer_model(load_task("scorecard")),
        TokenError,
    ],
)
def test_examples_are_true_to_their_schema(model):
    for example in model.model_json_schema()["examples"]:
        assert TypeAdapter(model).validate_python(example)


def test_every_guarded_operation_names_its_scope_and_its_refusals(document):
    schemes = document["components"]["securitySchemes"]
    offered = schemes["clientCredentials"]["flows"]["clientCredentials"]["scopes"]
    assert set(offered) == {"summaries", "feedback", "operator", "tools", "handovers", "task:summarize", "task:*"}
    for path, _, operation in operations(document):
        scope = scope_of(path)
        assert operation.get("security", []) == ([] if scope is None else [{"clientCredentials": [scope]}])
        assert {"401", "403", "429"} <= set(operation["responses"]) or scope is None


def test_answers_of_the_summary_list_their_headers_and_events(document):
    answer = document["paths"]["/omni-channel-insights"]["post"]["responses"]["200"]
    assert set(answer["headers"]) >= {"X-Model-Used", "X-Cache-Hit", "X-Prompt-Cache-Hit", "X-Latency-Ms"}
    assert set(answer["content"]) == {"application/json", "text/event-stream"}
    assert document["openapi"].startswith("3.")


def test_every_required_endpoint_is_there(document):
    assert {
        "/omni-channel-insights",
        "/feedback",
        "/v1/summarize",
        "/v1/pairs",
        "/oauth/token",
        "/.well-known/jwks.json",
        "/healthz",
        "/readyz",
    } <= set(document["paths"])
