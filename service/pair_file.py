"""Reads pair files (``prompts/<task>/<pair>.prompty``); every error names the file, the line and the remedy."""

import difflib
import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn, get_args

import yaml

from service.cards import ModelCards
from service.errors import PairError
from service.pair import (
    MINIMUM_HISTORY_TOKENS,
    VARIABLE,
    Message,
    OutputRules,
    Pair,
    PairRole,
    Role,
    Sampling,
    ServingPolicy,
    ToolSpec,
)
from service.strict import MOST_YAML_BYTES, NotStrict, parse_yaml, read_strict
from service.tools.declared import ToolsWrong, declared_tools

_ROLE_LINE = re.compile(r"^(system|user|assistant):[ \t]*$", re.MULTILINE)
_SCHEMA: dict[str, frozenset[str]] = {
    "": frozenset(
        [
            "name",
            "description",
            "role",
            "task",
            "version",
            "model",
            "backup",
            "inputs",
            "output",
            "serving",
            "cache_prefix",
            "tools",
        ]
    ),
    "model": frozenset({"id", "options"}),
    "model.options": frozenset({"temperature", "topP", "maxOutputTokens", "stopSequences"}),
    "backup": frozenset({"id"}),
    "output": frozenset({"schema", "max_words", "min_words", "labels"}),
    "serving": frozenset({"deadline_ms", "hedge_delay_ms", "max_history_tokens"}),
}
_REQUIRED = (
    "name",
    "task",
    "version",
    "model",
    "model.id",
    "model.options.maxOutputTokens",
    "inputs",
    "output.schema",
    "output.max_words",
)


class _FrontMatter:
    """Parsed front matter with the line number of each dotted key, for error messages."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        lines = text.split("\n")
        if lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:]]:
            self.fail("", "no front matter: the file starts with a line '---', YAML, and a second line '---'", line=1)
        end = 1 + [line.strip() for line in lines[1:]].index("---")
        self.body = "\n".join(lines[end + 1 :])
        self.body_line = end + 2
        self.lines: dict[str, int] = {}
        front = "\n".join(lines[1:end])
        try:
            node, data = parse_yaml(front)
        except NotStrict as err:
            self.fail("", f"front matter: {err}; put a text with ': ' in quotes", line=(err.line or 1) + 1)
        if not isinstance(data, dict):
            self.fail("", "front matter must be a mapping of keys", line=2)
        self.data: dict[str, Any] = data
        self._walk(node, "")

    def _walk(self, node: Any, prefix: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            name = f"{prefix}.{key.value}" if prefix else str(key.value)
            if name in self.lines:
                self.fail(name, f"key {name!r} appears twice; keep one", line=key.start_mark.line + 2)
            self.lines[name] = key.start_mark.line + 2
            self._walk(value, name)

    def get(self, dotted: str) -> Any:
        value: Any = self.data
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def fail(self, key: str, message: str, *, line: int | None = None) -> NoReturn:
        if line is None:
            while key and key not in self.lines:
                key = key.rpartition(".")[0]
            line = self.lines.get(key, 1)
        raise PairError(f"{self.path}:{line}: {message}")


def load_pair(path: Path, *, cards: ModelCards, task_variables: Collection[str]) -> Pair:
    """Read one pair file.

    Args:
        path: the file, named ``<task>/<pair>.prompty``.
        cards: the known models; both models of the pair need a card.
        task_variables: names that the task can supply to a template.

    Raises:
        PairError: with ``path:line: what is wrong; what to do``.
    """
    source = _FrontMatter(path, _read(path))
    _check_keys(source)
    model, backup = _model_id(source, "model.id", cards), None
    if source.get("backup") is not None:
        backup = _model_id(source, "backup.id", cards)
    messages = _messages(source)
    variables = _variables(source, messages, task_variables)
    _text_equals(source, "name", path.stem)
    _text_equals(source, "task", path.parent.name)
    output, serving = _output(source), _serving(source)
    cache_prefix = _cache_prefix(source, messages)
    return Pair(
        name=_text(source, "name"),
        task=_text(source, "task"),
        version=_text(source, "version"),
        description=str(source.get("description") or ""),
        model=model,
        backup=backup,
        sampling=_sampling(source),
        output=output,
        serving=serving,
        messages=messages,
        variables=variables,
        cache_prefix=cache_prefix,
        tools=_tools(source),
        role=_role(source),
    )


def _read(path: Path) -> str:
    try:
        return read_strict(path, MOST_YAML_BYTES).replace("\r\n", "\n")
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.prompty"))) or "none"
        raise PairError(f"no pair file {path}; pairs there: {known}") from None
    except (OSError, NotStrict) as err:
        raise PairError(f"{path} cannot be read: {err}") from err


def _output(source: _FrontMatter) -> OutputRules:
    output = OutputRules(
        schema=_text(source, "output.schema"),
        max_words=_number(source, "output.max_words", whole=True),
        min_words=_number(source, "output.min_words", whole=True, default=1),
        labels=_texts(source, "output.labels"),
    )
    if output.min_words > output.max_words:
        source.fail("output.min_words", f"min_words {output.min_words} is above max_words {output.max_words}")
    return output


def _serving(source: _FrontMatter) -> ServingPolicy:
    serving = ServingPolicy(
        deadline_ms=_number(source, "serving.deadline_ms", whole=True, default=5000),
        hedge_delay_ms=_number(source, "serving.hedge_delay_ms", whole=True, default=2500),
        max_history_tokens=_history_tokens(source),
    )
    if serving.hedge_delay_ms >= serving.deadline_ms:
        source.fail(
            "serving.hedge_delay_ms", "hedge_delay_ms must be below deadline_ms; otherwise the backup never starts"
        )
    return serving


def _cache_prefix(source: _FrontMatter, messages: tuple[Message, ...]) -> bool:
    cache_prefix = source.get("cache_prefix") or False
    if not isinstance(cache_prefix, bool):
        source.fail("cache_prefix", "cache_prefix must be true or false")
    if cache_prefix and VARIABLE.search(messages[0].content):
        source.fail(
            "cache_prefix",
            "cache_prefix needs a system message without variables: a changing prefix is never reused",
        )
    return cache_prefix


def _tools(source: _FrontMatter) -> tuple[ToolSpec, ...]:
    try:
        return declared_tools(source.get("tools"))
    except ToolsWrong as err:
        source.fail(err.key, str(err))


def _role(source: _FrontMatter) -> PairRole:
    role = source.get("role")
    if role is not None and role not in get_args(PairRole):
        source.fail("role", f"unknown role {role!r}; one of: {', '.join(get_args(PairRole))}")
    found: PairRole = role or "candidate"
    return found


def _sampling(source: _FrontMatter) -> Sampling:
    return Sampling(
        temperature=_number(source, "model.options.temperature", default=0.0, zero=True),
        top_p=None if source.get("model.options.topP") is None else _number(source, "model.options.topP"),
        max_output_tokens=_number(source, "model.options.maxOutputTokens", whole=True),
        stop_sequences=_texts(source, "model.options.stopSequences"),
    )


def _history_tokens(source: _FrontMatter) -> int | None:
    if source.get("serving.max_history_tokens") is None:
        return None
    tokens: int = _number(source, "serving.max_history_tokens", whole=True)
    if tokens < MINIMUM_HISTORY_TOKENS:
        source.fail(
            "serving.max_history_tokens",
            f"max_history_tokens {tokens} is below {MINIMUM_HISTORY_TOKENS}: not even the newest contact would fit",
        )
    return tokens


def _check_keys(source: _FrontMatter) -> None:
    for prefix, allowed in _SCHEMA.items():
        section = source.get(prefix) if prefix else source.data
        if section is None:
            continue
        if not isinstance(section, dict):
            source.fail(prefix, f"{prefix!r} must be a mapping with: {', '.join(sorted(allowed))}")
        for key in section:
            if key not in allowed:
                near = difflib.get_close_matches(str(key), sorted(allowed), n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(allowed))}"
                source.fail(
                    f"{prefix}.{key}" if prefix else str(key),
                    f"unknown key {key!r}{f' in {prefix!r}' if prefix else ''}; {hint}",
                )
    for name in _REQUIRED:
        if source.get(name) is None:
            source.fail(name, f"key {name!r} is missing; add it to the front matter")


def _model_id(source: _FrontMatter, key: str, cards: ModelCards) -> str:
    model_id = _text(source, key)
    try:
        return cards.get(model_id).id
    except PairError as err:
        source.fail(key, str(err))


def _messages(source: _FrontMatter) -> tuple[Message, ...]:
    marks = list(_ROLE_LINE.finditer(source.body))
    before = source.body[: marks[0].start()] if marks else source.body
    if not marks or before.strip():
        source.fail("", "the body must start with a line 'system:', followed by a line 'user:'", line=source.body_line)
    messages = []
    for number, mark in enumerate(marks):
        end = marks[number + 1].start() if number + 1 < len(marks) else len(source.body)
        content = source.body[mark.end() : end].strip("\n").rstrip()
        line = source.body_line + source.body[: mark.start()].count("\n")
        if not content.strip():
            source.fail("", f"message {mark[1]!r} is empty", line=line)
        role: Role = mark[1]  # type: ignore[assignment]  # the pattern admits these three words only
        messages.append(Message(role=role, content=content))
    roles = [message.role for message in messages]
    if roles[0] != "system" or roles[-1] == "system" or "system" in roles[1:] or "user" not in roles:
        source.fail(
            "",
            f"messages must be one system, then user (and assistant) turns; found {', '.join(roles)}",
            line=source.body_line,
        )
    return tuple(messages)


def _line_of(source: _FrontMatter, needle: str) -> int:
    return source.body_line + source.body[: source.body.index(needle)].count("\n")


def _variables(source: _FrontMatter, messages: tuple[Message, ...], known: Collection[str]) -> tuple[str, ...]:
    inputs = source.get("inputs")
    if not isinstance(inputs, dict) or not inputs:
        source.fail("inputs", "'inputs' must be a mapping of variable names, each with a 'kind'")
    used: dict[str, None] = {}
    for mark in ("{%", "{#"):
        if mark in source.body:
            source.fail(
                "", f"{mark!r} is template code; a pair supports {{{{variable}}}} only", line=_line_of(source, mark)
            )
    for found in re.finditer(r"\{\{.*?\}\}|\{\{", source.body, re.DOTALL):
        match = VARIABLE.fullmatch(found[0])
        if match is None:
            source.fail("", f"{found[0]!r} is not a variable; write {{{{name}}}}", line=_line_of(source, found[0]))
        used[match[1]] = None
    for name in used:
        line = _line_of(source, "{{" + name) if "{{" + name in source.body else None
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the task supplies: {', '.join(sorted(known))}"
            source.fail("", f"unknown variable {name!r}; {hint}", line=line)
        if name not in inputs:
            source.fail("", f"variable {name!r} is used but not declared; add it under 'inputs'", line=line)
        tag = (f"<{name}>", f"</{name}>")
        wrapped = rf"<{name}>\s*\{{\{{\s*{name}\s*\}}\}}\s*</{name}>"
        bodies = [message.content for message in messages if message.role == "user"]
        if not any(re.search(wrapped, body) for body in bodies) or sum(b.count("{{" + name) for b in bodies) != 1:
            source.fail(
                "",
                f"variable {name!r} holds customer text: use it once, in a user message, as {tag[0]}{{{{{name}}}}}{tag[1]}",
                line=line,
            )
        if tag[0] not in messages[0].content:
            source.fail(
                "", f"the system message must name the tag {tag[0]} that encloses untrusted text", line=source.body_line
            )
    for name in inputs:
        if name not in used:
            source.fail(
                f"inputs.{name}", f"input {name!r} is declared but no message uses it; remove it or use {{{{{name}}}}}"
            )
        kind = inputs[name].get("kind") if isinstance(inputs[name], dict) else None
        if kind != "string" or set(inputs[name]) - {"kind", "description"}:
            source.fail(f"inputs.{name}", f"input {name!r} must be {{kind: string}} with an optional description")
    return tuple(sorted(used))


def _text(source: _FrontMatter, key: str) -> str:
    value = source.get(key)
    if not isinstance(value, str) or not value.strip():
        source.fail(key, f"{key!r} must be a non-empty text (found {value!r}); put a number or date in quotes")
    return value


def _text_equals(source: _FrontMatter, key: str, wanted: str) -> None:
    if _text(source, key) != wanted:
        source.fail(key, f"{key!r} is {source.get(key)!r}, but the file's path requires {wanted!r}; make them equal")


def _texts(source: _FrontMatter, key: str) -> tuple[str, ...]:
    value = source.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        source.fail(key, f"{key!r} must be a list of non-empty texts")
    return tuple(value)


def _number(
    source: _FrontMatter, key: str, *, whole: bool = False, zero: bool = False, default: float | None = None
) -> Any:
    value = source.get(key)
    if value is None and default is not None:
        return default
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not math.isfinite(value):
        source.fail(key, f"{key!r} must be {kind} (found {value!r})")
    if value < 0 or (value == 0 and not zero):
        source.fail(key, f"{key!r} must be above zero (found {value})")
    return value
