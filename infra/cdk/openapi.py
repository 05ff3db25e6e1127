"""Turns the service's OpenAPI 3.1 document into the 3.0 document of the API's gateway, and writes it beside this module.

The gateway routes, and refuses requests that the service would refuse; what answers look like it need not know. Standard library
only until ``main``, which runs in the project's own environment: ``python infra/cdk/openapi.py``.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("openapi.json")
# For operators and probes inside the network.
_INSIDE_ONLY = frozenset({"/metrics", "/healthz", "/readyz"})
_DESCRIPTION = "/docs"  # its page, too
_KEYWORDS = frozenset(
    {
        *(
            "type",
            "format",
            "enum",
            "properties",
            "required",
            "items",
            "additionalProperties",
            "anyOf",
            "oneOf",
            "allOf",
            "$ref",
        ),
        *("minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems", "uniqueItems"),
    }
)
_KEY = {"gateway-key": []}
_TIMEOUT_MS = 29_000  # the gateway's own limit without a raised quota; the service's deadline is 5 s
# Method and end of the path of operations that may answer with server-sent events.
_STREAMED = {("post", "omni-channel-insights"), ("post", "messages"), ("get", "{conversation_id}")}


def gateway_document(
    published: dict[str, Any], *, pages: Iterable[str] = (), embedded: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the gateway's document of the published one: operations, parameters and request bodies.

    ``pages`` are paths that browsers load and nobody publishes as operations; ``embedded`` are those whose operations pages of
    other origins use, so that a browser asks for permission before.
    """
    paths = {
        path: {method: _operation(operation) for method, operation in item.items()}
        for path, item in published["paths"].items()
        if path not in _INSIDE_ONLY
    }
    for path in pages:
        paths[path] = {"get": _for_browsers("get", path)}
    for path in embedded:
        paths[path]["options"] = _for_browsers("options", path)
    schemas = published["components"]["schemas"]
    wanted, todo = set(), _referred(paths)
    while todo:
        name = todo.pop()
        wanted.add(name)
        todo |= _referred(_schema(_original(schemas, name))) - wanted
    return {
        "openapi": "3.0.3",
        "info": {name: published["info"][name] for name in ("title", "version", "description")},
        "paths": paths,
        "components": {
            "schemas": {name: _schema(_original(schemas, name)) for name in sorted(wanted)},
            "securitySchemes": {"gateway-key": {"type": "apiKey", "name": "x-api-key", "in": "header"}},
        },
    }


def _for_browsers(method: str, path: str) -> dict[str, Any]:
    """A browser loads a script or a page, and asks for permission, without a key of the gateway."""
    return {
        "operationId": _plain(f"{method}{path}"),
        "summary": "",
        "responses": {"default": {"description": "as the service answers"}},
    }


def _original(schemas: dict[str, Any], plain: str) -> dict[str, Any]:
    (found,) = (schema for name, schema in schemas.items() if _plain(name) == plain)
    return dict(found)


def _plain(name: str) -> str:
    """A model's name as the gateway allows it: letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", name)


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _plain(operation["operationId"]),
        "summary": operation.get("summary", ""),
        "parameters": [_parameter(one) for one in operation.get("parameters", []) if one["in"] != "cookie"],
        # The gateway passes answers on as they are; one line says so, because OpenAPI wants an answer.
        "responses": {"default": {"description": "as the service answers"}},
    }
    if operation.get("security"):
        made["security"] = [_KEY]
    if "requestBody" in operation:
        made["requestBody"] = {
            "required": operation["requestBody"].get("required", False),
            "content": {
                kind: {"schema": _schema(content.get("schema", {}))}
                for kind, content in operation["requestBody"]["content"].items()
            },
        }
    return made


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    plain = {"name": parameter["name"], "in": parameter["in"], "required": parameter.get("required", False)}
    return plain | {"schema": _schema(parameter.get("schema", {}))}


def _schema(schema: Any) -> Any:
    """A JSON schema of 2020-12 as OpenAPI 3.0 and the gateway's draft 4 both read it."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "null":
        return {
            "enum": [None]
        }  # valid in both, where `nullable` is ignored by the gateway and "null" is no type of OpenAPI 3.0
    made: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "const":
            made["enum"] = [value]
        elif name in ("exclusiveMinimum", "exclusiveMaximum"):
            made |= {name.removeprefix("exclusive").lower(): value, name: True}
        elif name == "properties":
            made[name] = {key: _schema(inner) for key, inner in value.items()}
        elif name == "$ref":
            made[name] = f"#/components/schemas/{_plain(value.rpartition('/')[2])}"
        elif name in ("anyOf", "oneOf", "allOf"):
            made[name] = [_schema(inner) for inner in value]
        elif name in _KEYWORDS:
            made[name] = _schema(value)
    return made


def _referred(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_referred(inner) for inner in value.values()))
    return set().union(*(_referred(inner) for inner in value)) if isinstance(value, list) else set()


def with_integrations(link: str, balancer: str) -> dict[str, Any]:
    """Return the gateway's document with the integrations of its operations, through ``link`` to ``balancer`` (host and port)."""
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    document["x-amazon-apigateway-request-validators"] = {
        "all": {"validateRequestBody": True, "validateRequestParameters": True}
    }
    document["x-amazon-apigateway-request-validator"] = "all"
    document["x-amazon-apigateway-gateway-responses"] = {
        kind: {
            "responseTemplates": {"application/problem+json": _problem(status, title)},
            # Else the widget in a page of another origin could not say what is wrong. No cookie is sent along.
            "responseParameters": {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
            "statusCode": status,
        }
        for kind, status, title in (
            ("BAD_REQUEST_BODY", 422, "The request body is not valid"),
            ("BAD_REQUEST_PARAMETERS", 422, "A parameter is missing"),
            ("INVALID_API_KEY", 401, "The header x-api-key is missing or unknown"),
            ("THROTTLED", 429, "Too many requests for this key"),
            ("QUOTA_EXCEEDED", 429, "The key's quota for today is used up"),
            ("INTEGRATION_TIMEOUT", 504, "The service did not answer in time"),
            ("INTEGRATION_FAILURE", 502, "The service cannot be reached"),
        )
    }
    for path, item in document["paths"].items():
        for method, operation in item.items():
            integration = {
                "type": "http_proxy",
                "httpMethod": method.upper(),
                "uri": f"http://{balancer}{path}",  # inside the network; TLS ends at the gateway
                "connectionType": "VPC_LINK",
                "connectionId": link,
                "timeoutInMillis": _TIMEOUT_MS,
                "requestParameters": {
                    f"integration.request.path.{name}": f"method.request.path.{name}"
                    for name in re.findall(r"{(\w+)}", path)
                },
            }
            if (method, path.rpartition("/")[2]) in _STREAMED:
                integration["responseTransferMode"] = "STREAM"  # server-sent events arrive as they are written
            operation["x-amazon-apigateway-integration"] = integration
    return document


def _problem(status: int, title: str) -> str:
    return json.dumps({"type": "about:blank", "status": status, "title": title})


def written(document: dict[str, Any]) -> str:
    """Return the file's text."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def document_of_the_service() -> dict[str, Any]:
    """Return the gateway's document of the service as it is: needs the project's own environment."""
    from service.api.assets import PATHS, WIDGET
    from service.api.http.embedding import PATHS as EMBEDDED
    from service.app import create_app

    pages = {f"/{WIDGET}"} | {path for path in PATHS if not path.startswith(_DESCRIPTION)}
    return gateway_document(create_app().openapi(), pages=sorted(pages), embedded=sorted(EMBEDDED))


def main() -> None:
    """Write the file."""
    FILE.write_text(written(document_of_the_service()), encoding="utf-8")


if __name__ == "__main__":
    main()
