"""Compares the tools that a pair names with those that a server lists: its digest promised those schemas."""

from collections.abc import Iterable, Mapping
from typing import Any

from service.core.unit.pair import ToolSpec
from service.core.unit.tool_arguments import closed_schema
from service.kit.frame.canonical import canonical_json

# Words for readers; a model reads those of the pair.
_PROSE = frozenset({"title", "description", "examples", "$schema", "$comment"})
_BY_NAME = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset(
    {
        "items",
        "additionalProperties",
        "unevaluatedProperties",
        "unevaluatedItems",
        "contains",
        "propertyNames",
        "not",
        "if",
    }
    | {"then", "else"}
)
_UNORDERED = frozenset({"required", "enum", "type"})


def differing_tools(declared: Iterable[ToolSpec], listed: Iterable[ToolSpec]) -> str:
    """Return in one sentence how ``listed`` lacks what ``declared`` promises; "" if it holds all. Further tools do not matter."""
    offered = {tool.name: tool for tool in listed}
    faults = []
    for tool in declared:
        there = offered.get(tool.name)
        if there is None:
            faults.append(f"{tool.name!r} is missing")
        elif _plain(closed_schema(there.arguments)) != _plain(closed_schema(tool.arguments)):
            faults.append(f"{tool.name!r} takes other arguments")
        elif there.writes and not tool.writes:
            faults.append(f"{tool.name!r} writes, and the pair does not say so")
    return "; ".join(faults)


def _plain(schema: Any) -> str:
    return canonical_json(_meaning(schema))


def _meaning(schema: Any) -> Any:
    """Return a schema without prose and with its unordered lists sorted."""
    if not isinstance(schema, Mapping):
        return schema  # true, false
    found: dict[str, Any] = {}
    for word, value in schema.items():
        if word in _PROSE or (word == "required" and not value):
            continue
        if word in _BY_NAME and isinstance(value, Mapping):
            found[word] = {name: _meaning(inner) for name, inner in value.items()}
        elif word in _LISTS and isinstance(value, (list, tuple)):
            found[word] = [_meaning(inner) for inner in value]
        elif word in _UNORDERED and isinstance(value, (list, tuple)):
            found[word] = sorted(value, key=canonical_json)
        else:
            found[word] = _meaning(value) if word in _SINGLE else value
    return found
