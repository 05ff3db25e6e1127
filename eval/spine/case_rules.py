"""A task's requirements on its case files beyond the schema; a suite declares them as ``CASE_RULES``."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from eval.spine.cases import Case, Expectations

SliceValue = str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text inside a case's inputs; facts point to passages, and cases must not copy each other's."""

    id: str
    text: str
    at: datetime | None = None
    visible: bool = True  # whether it lies in the request's window, so that the model sees it


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """At least ``at_least`` cases of the file have ``value`` in ``slice``."""

    slice: str
    value: SliceValue
    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRules:
    """Requirements on one case file: number of cases, slices with their values, and proportions."""

    count: int
    slices: Mapping[str, tuple[SliceValue, ...]]
    minima: tuple[Minimum, ...] = ()
    largest_share: Mapping[str, float] = field(default_factory=dict)  # slice -> largest fraction one value may have
    second_references: int = 0
    # Checks the file's cases as a whole, beyond slices; returns a sentence for each problem.
    together: Callable[[Sequence[Case]], Iterable[str]] = lambda _: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRules:
    """Requirements on the judge's calibration rows: rows per label, and bad rows per kind of defect."""

    rows_per_label: int
    rows_per_kind: int
    kinds: tuple[str, ...]
    cases_of: str  # the case file whose cases the rows summarise
    omissions: tuple[str, ...] = ()  # kinds whose defect is an omission


def string_passages(inputs: BaseModel) -> tuple[Passage, ...]:
    """Return every text in ``inputs`` with its path (``items.0.text``) as id; the default for tasks without their own rule."""
    return tuple(Passage(id=path, text=text) for path, text in _leaves(inputs.model_dump(mode="json"), ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{number}" if path else str(number))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRules:
    """A task's requirements on its cases. The defaults hold for every task: no bounds, no slices, all texts visible.

    ``expectations`` is the model of the cases' labels. ``observed`` returns the slices that follow from the inputs alone, so that
    a case cannot declare another value. ``contested`` names the slice values of cases whose source may state a forbidden claim (a
    later contact corrects it, or the claim is the trap). ``after_now`` names those of cases that contain a contact later than the
    request on purpose. ``as_served`` returns cases as production meets them, with what it reads in the task's folder; case files
    are checked as they were written.
    """

    expectations: type[Expectations] = Expectations
    passages: Callable[[BaseModel], tuple[Passage, ...]] = string_passages
    now: Callable[[BaseModel], datetime | None] = lambda _: None
    observed: Callable[[BaseModel], Mapping[str, SliceValue]] = lambda _: {}
    reference_words: tuple[int, int] | None = None
    # Smallest share of the facts in a second reference. An independent summary may weigh facts differently, but one that misses
    # more shows that the facts are not the substance of the case. Lowest of the 60 in `summarize`: 4 of 6.
    second_reference_coverage: float = 2 / 3
    # Checks the task's own labels of a case; returns a sentence for each problem.
    labels: Callable[[Case, BaseModel], Iterable[str]] = lambda case, inputs: ()
    open_slice: tuple[str, tuple[SliceValue, ...]] | None = None  # cases that must name open items
    contested: tuple[tuple[str, SliceValue], ...] = ()
    after_now: tuple[tuple[str, SliceValue], ...] = ()
    files: Mapping[str, FileRules] = field(default_factory=dict)
    calibration: CalibrationRules | None = None
    scenario_model: type[BaseModel] | None = None  # of a case's inputs where the suite plays cases out
    as_served: Callable[[Sequence[Case], Path], tuple[Case, ...]] = lambda cases, folder: tuple(cases)
    claims_of: tuple[str, ...] = ()  # files whose facts and forbidden claims must all be labelled in claims.jsonl


def is_declared(slices: Mapping[str, SliceValue], declared: tuple[tuple[str, SliceValue], ...]) -> bool:
    """Return whether a case's ``slices`` have any of the ``declared`` values."""
    return any(slices.get(name) == value for name, value in declared)
