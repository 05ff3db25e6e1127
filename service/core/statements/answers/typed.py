"""Reads answers that are JSON of a model, and words the model's schema so that every provider takes it."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.core.unit.pair import OutputRules
from service.kit.frame.canonical import canonical_json
from service.kit.frame.errors import OutputInvalid

M = TypeVar("M", bound=BaseModel)
# Of no use to a model that must give every field.
_LEFT_OUT = frozenset({"title", "default", "examples"})
_SHOWN_CHARS = 200


def typed_answer(text: str, model: type[M]) -> M:
    """Return the object in ``text``, which models like to put into a code fence.

    Raises:
        OutputInvalid: there is no object of ``model``; the message names the field and not its value.
    """
    first, last = text.find("{"), text.rfind("}")
    try:
        return model.model_validate_json(text[first : last + 1] if 0 <= first < last else text)
    except ValidationError as err:
        wrong = err.errors(include_url=False, include_input=False, include_context=False)[0]
        # A key that the model made up is its text, and may be a customer's.
        names = _names(json.loads(_schema_text(model)))
        field = ".".join(str(part) if isinstance(part, int) or part in names else "?" for part in wrong["loc"])
        raise OutputInvalid(
            f"the answer is not as it must be: {field or 'the answer'}: {wrong['msg']}"[:_SHOWN_CHARS], raw_text=text
        ) from err


def typed_output(text: str, model: type[BaseModel], rules: OutputRules) -> str:
    """Return the object in ``text`` as canonical JSON; its texts together may have ``rules.max_words``.

    Raises:
        OutputInvalid: there is no such object, or its texts are too long.
    """
    found = typed_answer(text, model).model_dump(mode="json")
    words = sum(len(part.split()) for part in _texts(found))
    if words > rules.max_words:
        raise OutputInvalid(f"the answer's texts have {words} words; {rules.max_words} are allowed", raw_text=text)
    return canonical_json(found)


def schema_for_models(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of ``model`` as structured output wants it: closed, every field required, references resolved.

    A model that refers to itself keeps its references.
    """
    schema: dict[str, Any] = json.loads(_schema_text(model))
    return schema


@lru_cache(maxsize=256)
def _schema_text(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    return json.dumps(dict(_strict(schema, definitions, ())) | _kept_definitions(definitions))


def _strict(schema: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_strict(part, definitions, inside) for part in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions:
        return {"$ref": schema["$ref"]} if name in inside else _strict(definitions[name], definitions, (*inside, name))
    strict: dict[str, Any] = {}
    for word, value in schema.items():
        if word == "properties":
            strict[word] = {field: _strict(inner, definitions, inside) for field, inner in value.items()}
        elif word not in _LEFT_OUT:
            strict[word] = value if word in ("enum", "const") else _strict(value, definitions, inside)
    if "properties" in strict:
        strict |= {"required": list(strict["properties"]), "additionalProperties": False}
    return strict


def _kept_definitions(definitions: Mapping[str, Any]) -> dict[str, Any]:
    recursive = {name for name, inner in definitions.items() if name in _reached(inner, definitions, frozenset())}
    return (
        {"$defs": {name: _strict(definitions[name], definitions, (name,)) for name in sorted(recursive)}}
        if recursive
        else {}
    )


def _reached(schema: Any, definitions: Mapping[str, Any], seen: frozenset[str]) -> frozenset[str]:
    """Return the names of the definitions that ``schema`` refers to, directly or by others."""
    if isinstance(schema, dict):
        name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        if name in definitions and name not in seen:
            seen = _reached(definitions[name], definitions, seen | {name})
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            seen = _reached(part, definitions, seen)
    return seen


def _names(schema: Any) -> frozenset[str]:
    """Return the names of all fields in ``schema``."""
    if isinstance(schema, dict):
        return frozenset(schema.get("properties", {})).union(*map(_names, schema.values()))
    return frozenset().union(*map(_names, schema)) if isinstance(schema, list) else frozenset()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
