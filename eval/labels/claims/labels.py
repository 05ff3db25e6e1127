"""Reads the labelled claims of a task (``datasets/<task>/claims.jsonl``) strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eval.spine.cases import numbered_lines
from eval.spine.errors import CaseError
from service.kit.frame.canonical import sha256_hex

CLAIMS = "claims"  # this file labels the facts of other files' cases
FORBIDDEN = "forbidden"
Dimension = Literal[
    "polarity",
    "role",
    "modality",
    "direction",
    "amount",
    "unit",
    "due",
    "object",
    "cause",
    "condition",
    "forbidden",
]


class ClaimRow(BaseModel):
    """One line: a fact of a case, or what is true in place of a forbidden claim, with false counterparts by dimension.

    ``number`` is the place, from 1, in the case's ``expectations.facts`` or ``expectations.forbidden``. ``critical``: leaving it
    out or turning it round may endanger somebody, or cost the customer service or money at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{3,80}/[fx][0-9]{1,2}$")
    case_id: str
    source: Literal["fact", "forbidden"]
    number: int = Field(ge=1)
    statement: str = Field(min_length=3)
    predicate: str = Field(min_length=1)
    subject_role: Literal["customer", "agent", "company", "third_party"]
    object: str
    polarity: Literal["affirmed", "denied"]
    modality: Literal["stated", "asked", "promised", "scheduled", "done", "refused"]
    direction: Literal["to_customer", "from_customer"] | None
    amount: str | None = Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")
    currency: str | None = Field(pattern=r"^[A-Z]{3}$")
    unit: str | None
    due: date | None
    critical: bool
    contrasts: dict[Dimension, str] = Field(min_length=1)

    @model_validator(mode="after")
    def _agree(self) -> "ClaimRow":
        letter = "f" if self.source == "fact" else "x"
        if self.id != f"{self.case_id}/{letter}{self.number}":
            raise ValueError(f"id must be '{self.case_id}/{letter}{self.number}', after case, source and number")
        if (self.source == FORBIDDEN) != (set(self.contrasts) == {FORBIDDEN}):
            raise ValueError("a forbidden claim has the one contrast 'forbidden', which no fact has")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLabels:
    """All rows in file order, by case, with the digest of the file's bytes; ``lines`` is each row's line, by id."""

    by_case: Mapping[str, tuple[ClaimRow, ...]]
    digest: str
    lines: Mapping[str, int]


def claims_path(datasets_dir: Path, task: str) -> Path:
    """Return where a task's labelled claims are."""
    return datasets_dir / task / f"{CLAIMS}.jsonl"


def claims_digest(datasets_dir: Path, task: str) -> str | None:
    """Return the digest of a task's labelled claims, None if it has none."""
    path = claims_path(datasets_dir, task)
    return sha256_hex(path.read_text(encoding="utf-8")) if path.exists() else None


def load_claims(datasets_dir: Path, task: str) -> ClaimLabels:
    """Read all rows.

    Raises:
        CaseError: the file is missing, or a row is wrong; the message names file and line.
    """
    path = claims_path(datasets_dir, task)
    digest = claims_digest(datasets_dir, task)
    if digest is None:
        raise CaseError(f"task {task!r} has no labelled claims; write {path} first")
    by_case: dict[str, list[ClaimRow]] = {}
    lines: dict[str, int] = {}
    for number, line in numbered_lines(path):
        row = read_claim(line, f"{path}:{number}")
        if row.id in lines:
            raise CaseError(f"{path}:{number}: id {row.id!r} stands in line {lines[row.id]} too; label each claim once")
        lines[row.id] = number
        by_case.setdefault(row.case_id, []).append(row)
    return ClaimLabels(by_case={name: tuple(rows) for name, rows in by_case.items()}, digest=digest, lines=lines)


def read_claim(line: str, where: str) -> ClaimRow:
    """Return one line's row.

    Raises:
        CaseError: naming ``where``, the field and the remedy of the first thing that is wrong.
    """
    try:
        return ClaimRow.model_validate_json(line)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the line"
        raise CaseError(f"{where}: {field}: {first['msg']}; mend the line and run again") from err
