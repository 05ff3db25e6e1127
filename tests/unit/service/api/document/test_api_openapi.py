"""The OpenAPI document: an example for everything, and the security that the door enforces."""

import re

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter

from service.api.examples import EXAMPLES
from service.api.http.access import scope_of
from service.api.http.problem_examples import examples_for
from service.api.tasks import answer_model
from service.app import create_app
from service.core.run.task import load_task
from service.core.tasks.summarize import SummarizeInputs
from service.kit.settings import REPO_ROOT, Settings


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


@pytest.mark.acceptance("promise-17")
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


def models_below(base):
    for model in base.__subclasses__():
        yield from ([model] if model.__module__.startswith("service.api") else [])
        yield from models_below(model)


MODELS = {model.__name__: model for model in models_below(BaseModel)}


@pytest.mark.parametrize(
    "model",
    [*(MODELS[name] for name in EXAMPLES), SummarizeInputs, answer_model(load_task("scorecard"))],
    ids=lambda model: model.__name__,
)
@pytest.mark.acceptance("promise-17")
def test_examples_are_true_to_their_schema(model):
    for example in model.model_json_schema()["examples"]:
        assert TypeAdapter(model).validate_python(example)


def test_every_guarded_operation_names_its_scope_and_its_refusals(document):
    schemes = document["components"]["securitySchemes"]
    offered = schemes["clientCredentials"]["flows"]["clientCredentials"]["scopes"]
    others = {"summaries", "feedback", "operator", "tools", "handovers", "calls", "forms", "tenants"}
    assert set(offered) == others | {"task:summarize", "task:*"}
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


def examples_of(document):
    """Return each example of the whole document: where it stands, the schema that it must keep to, and itself."""
    found = []

    def given(place, holder, schema):
        values = [holder["example"]] if "example" in holder else []
        named = holder.get("examples", [])
        values += [each["value"] for each in named.values()] if isinstance(named, dict) else named
        found.extend((place, schema, value) for value in values)

    def walk(place, node):
        if isinstance(node, list):
            for number, item in enumerate(node):
                walk(f"{place}/{number}", item)
        if not isinstance(node, dict):
            return
        # A media type, a parameter or a header has its schema beside the example; a schema is its own.
        if "schema" in node:
            given(place, node, node["schema"])
        elif node.keys() & {"type", "anyOf", "$ref", "enum"}:
            given(place, node, {name: part for name, part in node.items() if name not in ("example", "examples")})
        for name, item in node.items():
            if name not in ("example", "examples", "value"):
                walk(f"{place}/{name}", item)

    for part in ("paths", "components"):
        walk(part, document[part])
    return found


def errors_of(value, schema, document):
    # The components stand beside the schema, so that its references lead somewhere.
    return list(Draft202012Validator({"components": document["components"], **schema}).iter_errors(value))


@pytest.fixture(scope="module")
def whole_document():
    """What is published: every task that is shipped, and no runtime."""
    return create_app(Settings()).openapi()


def test_every_example_of_the_document_is_valid_against_its_schema(whole_document):
    examples = examples_of(whole_document)
    assert len(examples) > 200
    wrong = [
        f"{place}: {error.message[:200]}"
        for place, schema, value in examples
        for error in errors_of(value, schema, whole_document)
    ]
    assert wrong == []


def test_an_example_that_is_wrong_is_found(whole_document):
    _, schema, value = next(each for each in examples_of(whole_document) if each[0].endswith("schemas/Problem"))
    assert errors_of({**value, "status": "503"}, schema, whole_document)


def test_every_error_of_every_operation_has_an_example_with_its_status(whole_document):
    codes = set()
    for path, method, operation in operations(whole_document):
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/problem+json")
            if content is None:
                continue
            assert content["examples"], f"{method} {path} {status}"
            assert {str(each["value"]["status"]) for each in content["examples"].values()} == {status}
            codes |= set(content["examples"])
    guide = (REPO_ROOT / "docs" / "guides" / "integrator.md").read_text(encoding="utf-8")
    table = guide.partition("| status | code | do |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([A-Z_]+)`", table)) <= codes


def test_a_path_gets_the_examples_of_its_own_errors():
    assert set(examples_for("/v1/calls/{call_id}", "404")) == {"CALL_NOT_FOUND"}
    assert set(examples_for("/v1/parcels/feedback", "404")) == {"ANSWER_NOT_FOUND"}
    assert set(examples_for("/v1/parcels", "429")) == {"RATE_LIMITED", "CONCURRENCY_LIMITED", "QUOTA_EXCEEDED"}
    assert examples_for("/healthz", "418") == {}


def test_no_two_schemas_have_one_name(whole_document):
    titles = [schema["title"] for schema in whole_document["components"]["schemas"].values()]
    assert sorted(titles) == sorted(set(titles))
    assert {"FormInput", "FormOutput", "Problem"} <= set(titles)


def test_operations_have_names_that_a_client_can_use(whole_document):
    names = [operation["operationId"] for _, _, operation in operations(whole_document)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z_]{3,39}", name)] == []
    assert {"omni_channel_insights", "feedback", "token", "start_assistant", "say_assistant"} <= set(names)
