"""Checks a tool's arguments against its JSON schema, and the schema itself."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from service.core.unit.pair import ToolSpec
from service.kit.frame.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema import Draft202012Validator

_MOST_CHARS = 10_000
_SHOWN_CHARS = 200
FEW_PASSAGES = 5  # of a search in documents, where a model names no limit
MOST_PASSAGES = 10
# In the digest of every pair that searches documents: another schema refuses them all.
DOCUMENT_ARGUMENTS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "A question, or words that the documents use."},
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_PASSAGES,
            "description": f"Most passages to return; {FEW_PASSAGES} without it.",
        },
        "where": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Only documents whose metadata have these values.",
        },
    },
    "required": ["query"],
}


def wrong_arguments(spec: ToolSpec, arguments: Mapping[str, Any]) -> str:
    """Return in one sentence what is wrong with ``arguments``, for the model; "" if nothing is."""
    try:
        size = len(canonical_json(dict(arguments)))
    except (TypeError, ValueError) as err:
        return f"the arguments are no JSON: {err}"
    if size > _MOST_CHARS:
        return f"the arguments have {size:,} characters; {_MOST_CHARS:,} are allowed"
    try:
        found = next(_validator(canonical_json(closed_schema(spec.arguments))).iter_errors(dict(arguments)), None)
    except Exception as err:  # a schema that was not read from a pair file may refer to anything, and to itself
        return f"the tool's schema cannot be applied ({type(err).__name__})"
    if found is None:
        return ""
    where = ".".join(map(str, found.absolute_path)) or "the arguments"
    return f"{where}: {found.message}"[:_SHOWN_CHARS]


def wrong_schema(spec: ToolSpec) -> str:
    """Return in one sentence what is wrong with the tool's schema; "" if nothing is."""
    import jsonschema  # late: most tasks use no tools, and it takes some time to import

    if spec.arguments.get("type") != "object":
        return "the schema's type must be object"
    try:
        jsonschema.Draft202012Validator.check_schema(spec.arguments)
    except jsonschema.SchemaError as err:
        return f"{'.'.join(map(str, err.absolute_path)) or 'the schema'}: {err.message}"[:_SHOWN_CHARS]
    schema = canonical_json(closed_schema(spec.arguments))
    try:
        for reference in {*_references(spec.arguments)} - {"#"}:
            next(_validator(json.dumps({**json.loads(schema), "$ref": reference})).iter_errors({}), None)
        next(_validator(schema).iter_errors({}), None)
    except RecursionError:
        return "the schema refers to itself without end"
    except Exception as err:  # what the library raises for a reference is private to it
        return f"the schema cannot be applied: {err}"[:_SHOWN_CHARS]
    return ""


def _references(schema: Any) -> "Iterator[str]":
    """Yield every `$ref` in ``schema``; a value of that name in an enum or a default is harmless."""
    if isinstance(schema, Mapping):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference
        schema = list(schema.values())
    if isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _references(part)


def closed_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``schema`` without room for arguments that it does not name, unless it says otherwise."""
    return {"additionalProperties": False, **schema}


@lru_cache(maxsize=256)
def _validator(schema: str) -> "Draft202012Validator":
    import jsonschema
    import referencing

    # An empty registry: by default the library would fetch what a reference names from the network.
    return jsonschema.Draft202012Validator(json.loads(schema), registry=referencing.Registry())
