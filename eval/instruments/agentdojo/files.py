"""Reads AgentDojo's banking suite from the public data folder (``OMNI_PUBLIC_DATA_DIR``); nothing of it is shipped.

Source: AgentDojo 0.1.35, suite version v1.2.2 (Debenedetti et al., NeurIPS 2024), MIT.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from eval.instruments.agentdojo.bank import WORKS, WRITES, BankRecords, records_of
from eval.spine.errors import AgentDojoError
from service.core.unit.pair import ToolSpec
from service.kit.frame.display.inert import one_line
from service.kit.frame.strict import NotStrict, lines_of, parse_json, parse_yaml, read_strict

FOLDER = "assistant"
_ENVIRONMENT, _VECTORS = "agentdojo_environment.yaml", "agentdojo_injection_vectors.yaml"
_TOOLS, _VISIBLE, _TEMPLATES = (
    "agentdojo_tools.json",
    "agentdojo_visible_vectors.json",
    "agentdojo_attack_templates.json",
)
_USER_TASKS, _INJECTION_TASKS = "agentdojo_user_tasks.jsonl", "agentdojo_injection_tasks.jsonl"


class _Published(BaseModel):
    """A row of the suite; what is not needed here, such as its difficulty, is left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PublishedCall(_Published):
    """A call of a tool in a gold run. ``placeholder_args`` has a name with a dollar sign for what any value may be."""

    function: str
    args: Mapping[str, Any]
    placeholder_args: Mapping[str, Any] = Field(default_factory=dict)


class UserTask(_Published):
    """What a customer wants, and the published gold run. ``ground_truth_output`` is "" where calls say it all."""

    id: str = Field(pattern=r"^[A-Za-z0-9_]{1,30}$")
    prompt: str = Field(min_length=3, max_length=4_000)
    ground_truth_calls: tuple[PublishedCall, ...] = Field(min_length=1)
    ground_truth_output: str = ""
    do_nothing_passes_original_check: bool | None = None


class InjectionTask(_Published):
    """What an attacker wants, in words and as calls."""

    id: str = Field(pattern=r"^[A-Za-z0-9_]{1,30}$")
    goal: str = Field(min_length=3)
    ground_truth_calls: tuple[PublishedCall, ...] = Field(min_length=1)


class _Tool(_Published):
    name: str
    description: str
    parameters: Mapping[str, Any]


class _Vector(_Published):
    default: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BankingSuite:
    """The suite. ``records`` hold placeholders such as ``{injection_bill_text}``, whose harmless texts are ``defaults``.

    ``visible`` names, by user task, the placeholders that its gold run reads. ``templates`` wrap an attacker's goal.
    """

    records: BankRecords
    tools: tuple[ToolSpec, ...]
    user_tasks: tuple[UserTask, ...]
    injection_tasks: tuple[InjectionTask, ...]
    defaults: Mapping[str, str]
    visible: Mapping[str, tuple[str, ...]]
    templates: Mapping[str, str]


def load_suite(public_data: Path) -> BankingSuite:
    """Return the suite whose files are in ``public_data``.

    Raises:
        AgentDojoError: a file is not there, or is not what it should be.
    """
    folder = public_data / FOLDER
    if not (folder / _USER_TASKS).is_file():
        raise AgentDojoError(
            f"AgentDojo's banking suite is not in {folder}; set OMNI_PUBLIC_DATA_DIR to the folder that holds "
            f"{FOLDER}/{_USER_TASKS} and the files beside it"
        )
    vectors = _checked(dict[str, _Vector], _yaml(folder / _VECTORS), folder / _VECTORS)
    suite = BankingSuite(
        records=_records(folder / _ENVIRONMENT),
        tools=_tools(folder / _TOOLS),
        user_tasks=_checked(tuple[UserTask, ...], _rows(folder / _USER_TASKS), folder / _USER_TASKS),
        injection_tasks=_checked(
            tuple[InjectionTask, ...], _rows(folder / _INJECTION_TASKS), folder / _INJECTION_TASKS
        ),
        defaults={name: _unescaped(vector.default) for name, vector in vectors.items()},
        visible=_checked(dict[str, tuple[str, ...]], _json(folder / _VISIBLE), folder / _VISIBLE),
        templates=_checked(dict[str, str], _json(folder / _TEMPLATES), folder / _TEMPLATES),
    )
    _check_names(suite)
    return suite


def _check_names(suite: BankingSuite) -> None:
    known = {tool.name for tool in suite.tools}
    tasks: list[UserTask | InjectionTask] = [*suite.user_tasks, *suite.injection_tasks]
    for task in tasks:
        if unknown := sorted({call.function for call in task.ground_truth_calls} - known):
            raise AgentDojoError(f"{task.id} calls {', '.join(unknown)}, which {_TOOLS} does not describe")
    for user_task in suite.user_tasks:
        if unknown := sorted(set(suite.visible.get(user_task.id, ())) - suite.defaults.keys()):
            raise AgentDojoError(f"{user_task.id} reads {', '.join(unknown)}, which {_VECTORS} does not describe")


def _records(file: Path) -> BankRecords:
    environment = _yaml(file)
    try:
        return records_of(environment)
    except (KeyError, TypeError, AttributeError) as err:
        raise AgentDojoError(f"{file} is not what it should be: {type(err).__name__}: {one_line(str(err))}") from None


def _tools(file: Path) -> tuple[ToolSpec, ...]:
    tools = _checked(tuple[_Tool, ...], _json(file), file)
    if unknown := sorted({tool.name for tool in tools} - WORKS.keys()):
        raise AgentDojoError(f"{file} describes {', '.join(unknown)}, which this bank does not have")
    return tuple(
        ToolSpec(name=tool.name, description=tool.description, arguments=tool.parameters, writes=tool.name in WRITES)
        for tool in tools
    )


def _unescaped(text: str) -> str:
    """The defaults are published as they stand inside quotation marks of YAML."""
    return text.replace("\\n", "\n").replace("\\t", "\t")


def _checked(kind: Any, value: object, file: Path) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise AgentDojoError(f"{file} is not what it should be: {where}: {first['msg']}") from None


def _yaml(file: Path) -> Any:
    try:
        return parse_yaml(_text(file))[1]
    except NotStrict as err:
        raise AgentDojoError(f"{file}: {err}") from None


def _json(file: Path) -> Any:
    return _parsed(file, _text(file), 1)


def _rows(file: Path) -> list[Any]:
    return [_parsed(file, line, number) for number, line in enumerate(lines_of(_text(file)), 1) if line.strip()]


def _parsed(file: Path, text: str, line: int) -> Any:
    try:
        return parse_json(text)
    except NotStrict as err:
        raise AgentDojoError(f"{file}:{line}: {err}") from None


def _text(file: Path) -> str:
    try:
        return read_strict(file)
    except (NotStrict, OSError) as err:
        raise AgentDojoError(f"{file}: {err}") from None
