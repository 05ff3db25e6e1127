"""Reads the tools that a pair file names: a mapping of tool name to description, arguments and whether it writes.

A tool that searches documents names an index by its digest instead of arguments, which all such tools have in common.
"""

import re
from collections.abc import Mapping
from typing import Any

from service.core.unit.pair import ToolSpec
from service.core.unit.tool_arguments import DOCUMENT_ARGUMENTS, wrong_schema

# What Converse, OpenAI and Anthropic all accept.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYS = frozenset({"kind", "description", "arguments", "writes", "verifies", "own_words", "documents"})
_NOT_FOR_DOCUMENTS = ("arguments", "writes", "own_words")
_MOST_TOOLS = 32


class ToolsWrong(ValueError):
    """The tools of a pair file are not as they should be; ``key`` is the dotted key that is wrong."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def declared_tools(raw: Any) -> tuple[ToolSpec, ...]:
    """Return the tools that ``raw`` declares, sorted by name; none for None.

    Raises:
        ToolsWrong: a name, key or schema is wrong.
    """
    if raw is None:
        return ()
    if not isinstance(raw, dict) or not raw:
        raise ToolsWrong("tools", "'tools' must be a mapping of tool names, each with description and arguments")
    if len(raw) > _MOST_TOOLS:
        raise ToolsWrong("tools", f"a pair may name {_MOST_TOOLS} tools; this one names {len(raw)}")
    return tuple(_declared(str(name), fields) for name, fields in sorted(raw.items(), key=lambda item: str(item[0])))


def _declared(name: str, fields: Any) -> ToolSpec:
    key = f"tools.{name}"
    if not _NAME.fullmatch(name):
        raise ToolsWrong(key, f"a tool's name is a letter, then letters, digits, '_' and '-', at most 64; not {name!r}")
    if not isinstance(fields, dict):
        raise ToolsWrong(key, f"tool {name!r} must be a mapping with description and arguments")
    if unknown := sorted(set(map(str, fields)) - _KEYS):
        raise ToolsWrong(f"{key}.{unknown[0]}", f"unknown key {unknown[0]!r}; allowed: {', '.join(sorted(_KEYS))}")
    # Our own key for nothing: without it Prompty's runtime takes the tool for one of a server.
    if fields.get("kind", "function") != "function":
        raise ToolsWrong(f"{key}.kind", "kind must be function, or be left out")
    description = fields.get("description")
    if not isinstance(description, str) or not description.strip():
        raise ToolsWrong(key, f"tool {name!r} needs a description: the model chooses by it")
    documents = _documents(key, name, fields)
    arguments, writes = DOCUMENT_ARGUMENTS if documents else fields.get("arguments"), fields.get("writes", False)
    if not isinstance(arguments, Mapping):
        raise ToolsWrong(key, f"tool {name!r} needs 'arguments', a JSON schema of an object")
    if not isinstance(writes, bool):
        raise ToolsWrong(f"{key}.writes", "writes must be true or false")
    spec = ToolSpec(
        name=name,
        description=description.strip(),
        arguments=arguments,
        writes=writes,
        verifies=_names(key, "verifies", fields, "fields of the tool's answer, as in [parcel_id]"),
        own_words=_names(key, "own_words", fields, "arguments that are texts, as in [note]"),
        documents=documents,
    )
    if wrong := wrong_schema(spec):
        raise ToolsWrong(f"{key}.arguments", f"the schema of tool {name!r} is wrong: {wrong}")
    if wrong := _wrong_own_words(spec):
        raise ToolsWrong(f"{key}.own_words", wrong)
    return spec


def _documents(key: str, name: str, fields: Mapping[str, Any]) -> str:
    """Return the digest of the index that the tool searches; "" for a tool that searches none."""
    if "documents" not in fields:
        return ""
    digest = fields["documents"]
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ToolsWrong(
            f"{key}.documents", "documents must be the digest of an index, as `omni knowledge build` prints it"
        )
    for other in _NOT_FOR_DOCUMENTS:
        if other in fields:
            raise ToolsWrong(f"{key}.{other}", f"tool {name!r} searches documents, which sets {other}; leave it out")
    return digest


def _names(key: str, field: str, fields: Mapping[str, Any], of_what: str) -> tuple[str, ...]:
    names = fields.get(field, ())
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) and name for name in names):
        raise ToolsWrong(f"{key}.{field}", f"{field} must be a list of {of_what}")
    if len(set(names)) < len(names):
        raise ToolsWrong(f"{key}.{field}", f"{field} names something twice")
    return tuple(names)


def _wrong_own_words(spec: ToolSpec) -> str:
    if spec.own_words and not spec.writes:
        return "own_words is for tools that write: arguments of other tools need no source"
    properties = spec.arguments.get("properties", {})
    texts = [
        name for name, schema in properties.items() if isinstance(schema, Mapping) and schema.get("type") == "string"
    ]
    stray = [name for name in spec.own_words if name not in texts]
    return f"own_words names {stray[0]!r}, which is no argument of type string" if stray else ""
