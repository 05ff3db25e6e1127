"""Reads one pair file: the pair's settings, its main prompt in the body, and its parts in the front matter."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import get_args

from service.core.unit.cards import ModelCards
from service.core.unit.pair import (
    MINIMUM_HISTORY_TOKENS,
    VARIABLE,
    Artifact,
    Lineage,
    OutputRules,
    Pair,
    PairRole,
    Part,
    PromptMessage,
    Sampling,
    ServingPolicy,
    ToolSpec,
)
from service.core.unit.pair_file.artifacts import open_artifacts
from service.core.unit.pair_file.declared_tools import ToolsWrong, declared_tools
from service.core.unit.pair_file.front_matter import FrontMatter, near_or_all
from service.core.unit.pair_file.templates import Templates
from service.kit.frame.errors import PairError
from service.kit.frame.strict import MOST_YAML_BYTES, NotStrict, read_strict

_MOST_PARTS = _MOST_ARTIFACTS = 8
_NO_PARTS: Mapping[str, frozenset[str]] = {}
_OF_A_MODEL = {
    "model": frozenset({"id", "options"}),
    "model.options": frozenset({"temperature", "topP", "maxOutputTokens", "stopSequences"}),
    "backup": frozenset({"id"}),
}
_SECTIONS: Mapping[str, frozenset[str]] = {
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
            "parts",
            "artifacts",
            "lineage",
        ]
    ),
    **_OF_A_MODEL,
    "output": frozenset({"schema", "max_words", "min_words", "labels"}),
    "serving": frozenset({"deadline_ms", "hedge_delay_ms", "max_history_tokens"}),
    "lineage": frozenset({"run", "number", "parent", "tried", "looks", "writers"}),
}
_OF_A_PART = frozenset({"description", "model", "backup", "cache_prefix", "inputs", "prompt"})
_OF_AN_ARTIFACT = ("file", "sha256")
_REQUIRED_OF_A_PART = ("model", "model.id", "model.options.maxOutputTokens", "inputs", "prompt")
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


def load_pair(
    path: Path,
    *,
    cards: ModelCards,
    task_variables: Collection[str],
    part_variables: Mapping[str, Collection[str]] = _NO_PARTS,
) -> Pair:
    """Read one pair file, and verify the artifacts that it names.

    Args:
        path: the file, named ``<task>/<pair>.prompty``.
        cards: the known models; all models of the pair need a card.
        task_variables: names that the task can supply to a template.
        part_variables: the parts that the task may ask (``Task.part_variables``), each with the names that it supplies.

    Raises:
        PairError: with ``path:line: what is wrong; what to do``; or the bytes of an artifact are others than the pair names.
    """
    return pair_of_text(path, _read(path), cards=cards, task_variables=task_variables, part_variables=part_variables)


def pair_of_text(
    path: Path,
    text: str,
    *,
    cards: ModelCards,
    task_variables: Collection[str],
    part_variables: Mapping[str, Collection[str]] = _NO_PARTS,
) -> Pair:
    """Read the pair that ``path`` would hold with ``text``, whose lines end with a line feed; see ``load_pair``."""
    source = FrontMatter(path, text)
    source.check_keys(_SECTIONS, _REQUIRED)
    templates = Templates(source=source, text=source.body, line=source.body_line)
    main = _prompt(source, "", templates, task_variables, cards)
    source.text_equals("name", path.stem)
    source.text_equals("task", path.parent.name)
    pair = Pair(
        name=source.text("name"),
        task=source.text("task"),
        version=source.text("version"),
        description=str(source.get("description") or ""),
        model=main.model,
        backup=main.backup,
        sampling=main.sampling,
        output=_output(source),
        serving=_serving(source),
        messages=main.messages,
        variables=main.variables,
        cache_prefix=main.cache_prefix,
        tools=_tools(source),
        parts=_parts(source, part_variables, cards),
        artifacts=_artifacts(source),
        role=_role(source),
        lineage=_lineage(source),
    )
    return open_artifacts(pair, path.parent)


def _read(path: Path) -> str:
    try:
        return read_strict(path, MOST_YAML_BYTES).replace("\r\n", "\n")
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.prompty"))) or "none"
        raise PairError(f"no pair file {path}; pairs there: {known}") from None
    except (OSError, NotStrict) as err:
        raise PairError(f"{path} cannot be read: {err}") from err


def _parts(source: FrontMatter, part_variables: Mapping[str, Collection[str]], cards: ModelCards) -> tuple[Part, ...]:
    declared = source.get("parts")
    if declared is None:
        return ()
    if not isinstance(declared, dict) or not declared:
        source.fail("parts", "'parts' must be a mapping of names, each with a model, inputs and a prompt")
    if len(declared) > _MOST_PARTS:
        source.fail("parts", f"a pair may have {_MOST_PARTS} parts; this one has {len(declared)}")
    return tuple(_part(source, name, part_variables, cards) for name in sorted(map(str, declared)))


def _artifacts(source: FrontMatter) -> tuple[Artifact, ...]:
    declared = source.get("artifacts")
    if declared is None:
        return ()
    if not isinstance(declared, dict) or not declared:
        source.fail("artifacts", "'artifacts' must be a mapping of names, each with file and sha256")
    if len(declared) > _MOST_ARTIFACTS:
        source.fail("artifacts", f"a pair may name {_MOST_ARTIFACTS} artifacts; this one names {len(declared)}")
    found = []
    for name in sorted(map(str, declared)):
        key = f"artifacts.{name}"
        source.check_keys({key: frozenset(_OF_AN_ARTIFACT)}, [f"{key}.{wanted}" for wanted in _OF_AN_ARTIFACT])
        artifact = Artifact(name=name, file=source.text(f"{key}.file"), sha256=source.text(f"{key}.sha256"))
        if fault := artifact.fault():
            source.fail(key, f"artifact {name!r}: {fault}")
        found.append(artifact)
    return tuple(found)


def _part(source: FrontMatter, name: str, part_variables: Mapping[str, Collection[str]], cards: ModelCards) -> Part:
    key = f"parts.{name}"
    if name == "main":
        source.fail(key, "'main' is the prompt in the body, in traces and reports; name the part otherwise")
    if name not in part_variables:
        hint = near_or_all(name, part_variables, "it asks")
        source.fail(key, f"task {source.get('task')!r} asks no part {name!r}; {hint}")
    sections = {f"{key}.{section}": allowed for section, allowed in _OF_A_MODEL.items()}
    source.check_keys({key: _OF_A_PART, **sections}, [f"{key}.{wanted}" for wanted in _REQUIRED_OF_A_PART])
    text, line = source.block(f"{key}.prompt")
    templates = Templates(
        source=source, text=text, line=line, inputs_key=f"{key}.inputs", called=f"the prompt of part {name!r}"
    )
    return _prompt(source, name, templates, part_variables[name], cards)


def _prompt(source: FrontMatter, name: str, templates: Templates, known: Collection[str], cards: ModelCards) -> Part:
    prefix = f"parts.{name}." if name else ""
    model, backup = _model_id(source, f"{prefix}model.id", cards), None
    if source.get(f"{prefix}backup") is not None:
        backup = _model_id(source, f"{prefix}backup.id", cards)
    messages = templates.messages()
    return Part(
        name=name,
        model=model,
        backup=backup,
        sampling=_sampling(source, f"{prefix}model.options"),
        messages=messages,
        variables=templates.variables(messages, known),
        cache_prefix=_cache_prefix(source, f"{prefix}cache_prefix", messages),
    )


def _model_id(source: FrontMatter, key: str, cards: ModelCards) -> str:
    model_id = source.text(key)
    try:
        return cards.get(model_id).id
    except PairError as err:
        source.fail(key, str(err))


def _sampling(source: FrontMatter, key: str) -> Sampling:
    return Sampling(
        temperature=source.number(f"{key}.temperature", default=0.0, zero=True),
        top_p=None if source.get(f"{key}.topP") is None else source.number(f"{key}.topP"),
        max_output_tokens=source.number(f"{key}.maxOutputTokens", whole=True),
        stop_sequences=source.texts(f"{key}.stopSequences"),
    )


def _cache_prefix(source: FrontMatter, key: str, messages: tuple[PromptMessage, ...]) -> bool:
    cache_prefix = source.flag(key)
    if cache_prefix and VARIABLE.search(messages[0].content):
        source.fail(key, "cache_prefix needs a system message without variables: a changing prefix is never reused")
    return cache_prefix


def _output(source: FrontMatter) -> OutputRules:
    output = OutputRules(
        schema=source.text("output.schema"),
        max_words=source.number("output.max_words", whole=True),
        min_words=source.number("output.min_words", whole=True, default=1),
        labels=source.texts("output.labels"),
    )
    if output.min_words > output.max_words:
        source.fail("output.min_words", f"min_words {output.min_words} is above max_words {output.max_words}")
    return output


def _serving(source: FrontMatter) -> ServingPolicy:
    serving = ServingPolicy(
        deadline_ms=source.number("serving.deadline_ms", whole=True, default=5000),
        hedge_delay_ms=source.number("serving.hedge_delay_ms", whole=True, default=2500),
        max_history_tokens=_history_tokens(source),
    )
    if serving.hedge_delay_ms >= serving.deadline_ms:
        source.fail(
            "serving.hedge_delay_ms", "hedge_delay_ms must be below deadline_ms; otherwise the backup never starts"
        )
    return serving


def _tools(source: FrontMatter) -> tuple[ToolSpec, ...]:
    try:
        return declared_tools(source.get("tools"))
    except ToolsWrong as err:
        source.fail(err.key, str(err))


def _role(source: FrontMatter) -> PairRole:
    role = source.get("role")
    if role is not None and role not in get_args(PairRole):
        source.fail("role", f"unknown role {role!r}; one of: {', '.join(get_args(PairRole))}")
    found: PairRole = role or "candidate"
    return found


def _lineage(source: FrontMatter) -> Lineage | None:
    if source.get("lineage") is None:
        return None
    found = Lineage(
        run=source.text("lineage.run"),
        number=source.number("lineage.number", whole=True),
        parent=source.text("lineage.parent"),
        tried=source.number("lineage.tried", whole=True),
        looks=source.number("lineage.looks", whole=True),
        writers=source.texts("lineage.writers"),
    )
    if fault := found.fault():
        source.fail("lineage", fault)
    return found


def _history_tokens(source: FrontMatter) -> int | None:
    if source.get("serving.max_history_tokens") is None:
        return None
    tokens: int = source.number("serving.max_history_tokens", whole=True)
    if tokens < MINIMUM_HISTORY_TOKENS:
        source.fail(
            "serving.max_history_tokens",
            f"max_history_tokens {tokens} is below {MINIMUM_HISTORY_TOKENS}: not even the newest contact would fit",
        )
    return tokens
