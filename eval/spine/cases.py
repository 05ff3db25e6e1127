"""Cases: what they hold, how they are read strictly from JSON lines, and their digests."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from eval.spine.errors import CaseError
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.strict import NotStrict, lines_of, parse_json, read_strict


class Fact(BaseModel):
    """Something a good output carries: any of the ``accepted`` surface forms, shown by ``span`` in ``interaction_id``.

    ``critical``: to omit it may endanger somebody, or cost the customer service or money at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    statement: str = Field(min_length=3)
    accepted: tuple[str, ...] = Field(min_length=1)
    interaction_id: str
    span: str = Field(min_length=1)
    critical: bool = False


class Forbidden(BaseModel):
    """A claim that would be false for this case, with the surface forms that would state it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: str = Field(min_length=3)
    accepted: tuple[str, ...] = Field(min_length=1)


class Expectations(BaseModel):
    """What is known about a good output; every list may be empty where a dataset does not say.

    A task whose outputs are labelled otherwise names a subclass in its ``CaseRules``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    references: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
    open_items: tuple[str, ...] = ()
    mood: str | None = None


class Case(BaseModel):
    """One case: task inputs as the service would receive them, expectations, and the slices it belongs to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{3,80}$")
    inputs: dict[str, Any]  # the task's own input model validates it
    # A task's own subclass keeps its fields in digests and reports.
    expectations: SerializeAsAny[Expectations] = Expectations()
    slices: dict[str, str | bool] = Field(default_factory=dict)
    origin: str = "written"

    @cached_property
    def inputs_digest(self) -> str:
        """SHA-256 over the inputs as sorted JSON: what a model's answer depends on, and nothing else."""
        # Not canonical_json: these came out of JSON and are compared with themselves, in the middle of the calls.
        return sha256_hex(json.dumps(self.inputs, sort_keys=True, ensure_ascii=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Cases in file order, under a name, with the digest that evidence refers to.

    ``must_pass`` are further cases that are asked one by one and stand in no metric.
    """

    name: str
    cases: tuple[Case, ...]
    source: str
    must_pass: tuple[Case, ...] = ()
    _digest: list[str] = field(default_factory=list, init=False, repr=False, compare=False)  # at most one

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of every case, in order, those of ``must_pass`` last; reckoned once."""
        if not self._digest:
            self._digest.append(cases_digest((*self.cases, *self.must_pass)))
        return self._digest[0]


def cases_digest(cases: Iterable[Case]) -> str:
    """Return the SHA-256 over the canonical JSON of ``cases``, in order."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(canonical_json(case.model_dump(mode="json")).encode() + b"\n")
    return digest.hexdigest()


def load_cases(path: Path, *, input_model: type[BaseModel], expectations: type[Expectations] = Expectations) -> Dataset:
    """Read a JSON-lines file strictly: every line is a case whose inputs ``input_model`` accepts, ids are unique.

    Raises:
        CaseError: naming file, line, field and remedy of the first thing that is wrong.
    """
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.jsonl"))
        raise CaseError(f"no dataset at {path}; datasets there: {', '.join(known) or 'none'}. Name one with --dataset.")
    cases: list[Case] = []
    line_of: dict[str, int] = {}
    for number, line in numbered_lines(path):
        case, _ = parse_case(line, f"{path}:{number}", input_model, expectations)
        if case.id in line_of:
            raise CaseError(
                f"{path}:{number}: id {case.id!r} stands in line {line_of[case.id]} too; give each case its own id"
            )
        line_of[case.id] = number
        cases.append(case)
    if not cases:
        raise CaseError(f"{path} holds no case; write one JSON object per line")
    return Dataset(name=path.stem, cases=tuple(cases), source=str(path))


def parse_case(
    line: str, where: str, input_model: type[BaseModel], expectations: type[Expectations] = Expectations
) -> tuple[Case, BaseModel]:
    """Return one line's case, its expectations as ``expectations`` reads them, and its inputs as ``input_model`` does.

    Raises:
        CaseError: naming ``where``, the field and the remedy of the first thing that is wrong.
    """
    try:
        raw = parse_json(line)
    except NotStrict as err:
        raise CaseError(f"{where}: {err}; each line is one whole JSON object") from err
    try:
        if isinstance(raw, dict) and isinstance(raw.get("expectations"), dict):
            raw["expectations"] = expectations.model_validate(raw["expectations"])
        case = Case.model_validate(raw)
        inputs = input_model.model_validate(case.inputs)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the object"
        for model, name in ((input_model, "inputs"), (expectations, "expectations")):
            if err.title == model.__name__:
                field = f"{name}.{field}"
        raise CaseError(f"{where}: field {field!r}: {first['msg']}; mend the line and run again") from err
    return case, inputs


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of ``path`` that are not blank, numbered from 1."""
    try:
        text = read_strict(path)
    except (OSError, NotStrict) as err:
        raise CaseError(f"{path} cannot be read: {err}") from err
    return [(number, line) for number, line in enumerate(lines_of(text), start=1) if line.strip()]


def stratified(dataset: Dataset, count: int, *, by: str = "intent_family") -> Dataset:
    """Return ``count`` cases spread over the slice ``by`` in proportion, the same ones each time, in file order."""
    if count >= len(dataset.cases):
        return dataset
    groups: dict[str, list[Case]] = {}
    for case in dataset.cases:
        groups.setdefault(str(case.slices.get(by, "")), []).append(case)
    taken: list[str] = []
    # Round robin weighted by size: take from the group that lags furthest behind its share.
    drawn: Counter[str] = Counter()
    order = sorted(groups)
    while len(taken) < count:
        name = min(
            (g for g in order if drawn[g] < len(groups[g])),
            key=lambda g: ((drawn[g] + 1) / len(groups[g]), order.index(g)),
        )
        taken.append(groups[name][drawn[name]].id)
        drawn[name] += 1
    wanted = set(taken)
    return Dataset(
        name=f"{dataset.name}[{count}]", cases=tuple(c for c in dataset.cases if c.id in wanted), source=dataset.source
    )
