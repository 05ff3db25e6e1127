"""Reads labelled rows: the task's own calibration rows and public sets, as questions to judges."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.spine.cases import Case, load_cases, numbered_lines
from eval.spine.errors import CaseError
from eval.suites import load_case_rules
from service.core.run.task import Task
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.strict import parse_json
from service.kit.settings import Settings

CALIBRATION_SET = "judge_calibration"  # the project's own labelled rows: the ones that decide
SALES_EMAIL, LLMBAR = "consistency_sales_email", "llmbar_natural_100"


class CalibrationRow(BaseModel):
    """One line of ``judge_calibration.jsonl``: an output for a dev case (``summary``), good or with one planted defect.

    ``span`` are the words of the defect where it has some, ``why`` what its author says against it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{3,80}$")
    case_id: str
    summary: str = Field(min_length=1)
    label: str = Field(pattern="^(good|bad)$")
    kind: str | None
    span: str | None
    pair_id: str | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRows:
    """The task's calibration rows with their cases, and the digest of both files' bytes."""

    rows: tuple[CalibrationRow, ...]
    cases: dict[str, Case]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicRow:
    """One row of a public set. For a pair, ``summary`` is the better text and ``other`` the worse one."""

    row_id: str
    group: str
    source: str
    summary: str
    good: bool = True
    other: str | None = None


def own_digest(task: str, settings: Settings) -> str | None:
    """Return the digest of the task's calibration rows and their cases; None when it has none."""
    paths = [settings.datasets_dir / task / f"{name}.jsonl" for name in (CALIBRATION_SET, "dev")]
    if not all(path.exists() for path in paths):
        return None
    return sha256_hex("\0".join(path.read_text(encoding="utf-8") for path in paths))


def load_own(task: Task[Any], settings: Settings) -> OwnRows:
    """Read the task's calibration rows strictly.

    Raises:
        CaseError: a file is missing, or a row is wrong, names an unknown case, or stands twice.
    """
    path = settings.datasets_dir / task.name / f"{CALIBRATION_SET}.jsonl"
    labels = load_case_rules(task.name).expectations
    found = load_cases(path.with_name("dev.jsonl"), input_model=task.input_model, expectations=labels)
    cases = {case.id: case for case in found.cases}
    if not path.exists():
        raise CaseError(f"task {task.name!r} has no calibration rows; write {path}")
    rows: list[CalibrationRow] = []
    for number, line in numbered_lines(path):
        try:
            row = CalibrationRow.model_validate_json(line)
        except ValidationError as err:
            first = err.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or "the line"
            raise CaseError(f"{path}:{number}: {field}: {first['msg']}; mend the line and run again") from err
        if row.case_id not in cases:
            raise CaseError(f"{path}:{number}: no case {row.case_id!r} in dev.jsonl")
        if (row.label == "bad") != (row.kind is not None):
            raise CaseError(f"{path}:{number}: a bad row names the kind of its defect, a good one none")
        if any(other.id == row.id for other in rows):
            raise CaseError(f"{path}:{number}: id {row.id!r} stands twice; give each row its own")
        rows.append(row)
    # By case: a provider, or the bundled model, reads a source that it has just read faster.
    rows.sort(key=lambda row: (row.case_id, row.id))
    digest = own_digest(task.name, settings)
    assert digest is not None
    return OwnRows(rows=tuple(rows), cases=cases, digest=digest)


def source_text(task: Task[Any], case: Case) -> str:
    """Return what the task's prompts are filled with for ``case``, each value under its name: the judge's source."""
    values = task.values(task.input_model.model_validate(case.inputs))
    return "\n\n".join(f"{name}:\n{values[name]}" for name in sorted(values))


def load_public(name: str, folder: Path) -> tuple[tuple[PublicRow, ...], str] | None:
    """Return the rows of ``SALES_EMAIL`` or ``LLMBAR`` with their digest; None when the file is not in ``folder``.

    Raises:
        CaseError: a line lacks a field.
    """
    path = folder / f"{name}.jsonl"
    if not path.exists():
        return None
    rows = []
    for number, line in numbered_lines(path):
        try:
            rows.append(_PUBLIC[name](parse_json(line)))
        except (ValueError, KeyError, TypeError) as err:
            raise CaseError(f"{path}:{number}: not a row of {name} ({type(err).__name__}: {err})") from err
    return tuple(rows), sha256_hex(path.read_text(encoding="utf-8"))


def _sales_email(row: dict[str, Any]) -> PublicRow:
    source = str(row["source"])
    return PublicRow(
        row_id=str(row["id"]),
        group=sha256_hex(source),
        source=source,
        summary=str(row["summary"]),
        good=int(row["label"]) == 1,
    )


def _llmbar(row: dict[str, Any]) -> PublicRow:
    first, second = str(row["output_1"]), str(row["output_2"])
    better, worse = (first, second) if int(row["label"]) == 1 else (second, first)
    return PublicRow(row_id=str(row["id"]), group=str(row["id"]), source=str(row["input"]), summary=better, other=worse)


_PUBLIC = {SALES_EMAIL: _sales_email, LLMBAR: _llmbar}
