"""The API in front of the service: every operation, validated, throttled, behind a firewall."""

import json

import pytest
from openapi import FILE, gateway_document
from openapi_spec_validator import validate

DOCUMENT = json.loads(FILE.read_text(encoding="utf-8"))
PAGES = ("/agent", "/chat", "/dashboards", "/qa", "/workspace")


@pytest.fixture
def bodies(resources):
    return [api["Properties"]["Body"] for *_, api in resources("AWS::ApiGateway::RestApi")]


def test_the_committed_document_is_openapi_3_0():
    assert DOCUMENT["openapi"].startswith("3.0.")
    validate(DOCUMENT)


def test_every_operation_goes_to_the_balancer_through_the_private_link(bodies):
    assert len(bodies) == 3
    for body in bodies:
        assert set(body["paths"]) == set(DOCUMENT["paths"])
        for path, item in body["paths"].items():
            for method, operation in item.items():
                integration = operation["x-amazon-apigateway-integration"]
                assert integration["type"] == "http_proxy", path
                assert integration["connectionType"] == "VPC_LINK", path
                assert integration["httpMethod"] == method.upper(), path
                assert json.dumps(integration["uri"]).rstrip(']}"').endswith(path.rstrip("}")), path
                for name in integration["requestParameters"].values():
                    assert f"{{{name.rpartition('.')[2]}}}" in path


def test_requests_are_validated_and_need_a_key_where_they_need_a_token(bodies):
    for body in bodies:
        assert body["x-amazon-apigateway-request-validator"] == "all"
        open_paths = {
            path
            for path, item in body["paths"].items()
            for method, one in item.items()
            if "security" not in one and method != "options"
        }
        files = {path for path in open_paths if path.endswith((".css", ".js"))} | set(PAGES)
        assert open_paths == files | {"/oauth/token", "/.well-known/jwks.json", "/dashboards/session"}
        assert body["paths"]["/omni-channel-insights"]["post"]["requestBody"]["required"] is True


def test_a_page_of_another_origin_gets_the_widget_and_may_ask_for_permission(bodies):
    for body in bodies:
        for path in ("/widget.js", *PAGES, *(f"{page}{page}.css" for page in PAGES if page != "/dashboards")):
            assert set(body["paths"][path]) == {"get"}
            assert "security" not in body["paths"][path]["get"]
        preflights = {path for path, item in body["paths"].items() if "options" in item}
        assert preflights == {"/omni-channel-insights", "/feedback"}
        for path in preflights:
            assert "security" not in body["paths"][path]["options"], "a browser sends no key with a preflight"
            assert body["paths"][path]["post"]["security"]
        for kind, answer in body["x-amazon-apigateway-gateway-responses"].items():
            assert set(answer["responseParameters"].values()) == {"'*'"}, kind


def test_server_sent_events_arrive_as_they_are_written(bodies):
    for body in bodies:
        streamed = {
            (method, path)
            for path, item in body["paths"].items()
            for method, one in item.items()
            if one["x-amazon-apigateway-integration"].get("responseTransferMode") == "STREAM"
        }
        assert ("post", "/omni-channel-insights") in streamed
        assert ("options", "/omni-channel-insights") not in streamed
        assert {
            ("get", path) for path in body["paths"] if path.endswith("/conversations/{conversation_id}")
        } <= streamed
        assert {("post", path) for path in body["paths"] if path.endswith("{conversation_id}/messages")} <= streamed


def test_operators_metrics_are_not_published(bodies):
    for body in bodies:
        assert not {"/metrics", "/healthz", "/readyz"} & set(body["paths"])


def test_each_client_has_a_rate_and_a_quota(resources):
    plans = {stage: plan["Properties"] for stage, _, _, plan in resources("AWS::ApiGateway::UsagePlan")}
    assert set(plans) == {"dev", "test", "prod"}
    assert plans["prod"]["Throttle"] == {"RateLimit": 200, "BurstLimit": 500}
    assert plans["prod"]["Quota"] == {"Limit": 1_000_000, "Period": "DAY"}


def test_the_stage_logs_requests_without_bodies_and_has_a_firewall(resources):
    for *_, stage in resources("AWS::ApiGateway::Stage"):
        (settings,) = stage["Properties"]["MethodSettings"]
        assert settings["DataTraceEnabled"] is False
        assert stage["Properties"]["AccessLogSetting"]["DestinationArn"]
    assert len(resources("AWS::WAFv2::WebACLAssociation")) == 3
    for *_, acl in resources("AWS::WAFv2::WebACL"):
        names = [rule["Name"] for rule in acl["Properties"]["Rules"]]
        assert "AWSManagedRulesCommonRuleSet" in names
        assert "PerAddress" in names


def test_a_schema_of_3_1_is_read_the_same_by_3_0_and_by_the_gateway():
    published = {
        "info": {"title": "t", "version": "1", "description": "d"},
        "paths": {
            "/a/{b}": {
                "post": {
                    "operationId": "do_it",
                    "security": [{"bearer": []}],
                    "parameters": [{"name": "b", "in": "path", "required": True, "schema": {"type": "string"}}],
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In_1"}}}},
                    "responses": {},
                }
            },
            "/metrics": {"get": {"operationId": "m", "responses": {}}},
        },
        "components": {
            "schemas": {
                "In_1": {
                    "type": "object",
                    "title": "In",
                    "properties": {
                        "type": {"anyOf": [{"type": "string", "examples": ["x"]}, {"type": "null"}]},
                        "n": {"type": "integer", "exclusiveMinimum": 0, "default": 3},
                        "k": {"const": "one"},
                        "other": {"$ref": "#/components/schemas/Other"},
                    },
                },
                "Other": {"type": "object"},
                "Unused": {"type": "object"},
            }
        },
    }
    made = gateway_document(published)
    validate(made)
    assert list(made["paths"]) == ["/a/{b}"]
    assert made["paths"]["/a/{b}"]["post"]["operationId"] == "doit"
    assert set(made["components"]["schemas"]) == {"In1", "Other"}
    assert made["components"]["schemas"]["In1"]["properties"] == {
        "type": {"anyOf": [{"type": "string"}, {"enum": [None]}]},
        "n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        "k": {"enum": ["one"]},
        "other": {"$ref": "#/components/schemas/Other"},
    }
