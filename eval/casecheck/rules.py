"""What a task demands of its case files beyond the schema; a suite declares it once, as ``CASE_RULES``."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from eval.cases import Case, Expectations

SliceValue = str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text inside a case's inputs: what facts point to and what must not be copied between cases."""

    id: str
    text: str
    at: datetime | None = None
    visible: bool = True  # whether the request's window shows it to the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """At least ``at_least`` cases of the file have ``value`` in ``slice``."""

    slice: str
    value: SliceValue
    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRules:
    """What one case file must hold: how many cases, which slices with which values, and in what proportion."""

    count: int
    slices: Mapping[str, tuple[SliceValue, ...]]
    minima: tuple[Minimum, ...] = ()
    largest_share: Mapping[str, float] = field(default_factory=dict)  # slice -> largest fraction one value may have
    second_references: int = 0
    # What its cases must be together beyond slices: a sentence for each thing that is wrong.
    together: Callable[[Sequence[Case]], Iterable[str]] = lambda _: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRules:
    """What the judge's labelled rows must hold: rows per label, and bad rows per kind of defect."""

    rows_per_label: int
    rows_per_kind: int
    kinds: tuple[str, ...]
    cases_of: str  # the case file whose cases the rows summarise
    omissions: tuple[str, ...] = ()  # kinds whose defect is something left out


def string_passages(inputs: BaseModel) -> tuple[Passage, ...]:
    """Return every text in ``inputs`` under its path (``items.0.text``): what a task without its own rule gets."""
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
    """A task's demands on its cases. The default is what holds for every task: no bounds, no slices, all texts visible.

    ``expectations`` says how its cases are labelled. ``observed`` returns the slices that follow from the inputs alone, so that a
    case cannot be filed under another value. ``contested`` names slice values of cases whose source states what is forbidden to
    repeat (a later contact corrects it, or the claim is the trap); ``after_now`` those of cases that hold a contact later than
    the request on purpose.
    """

    expectations: type[Expectations] = Expectations
    passages: Callable[[BaseModel], tuple[Passage, ...]] = string_passages
    now: Callable[[BaseModel], datetime | None] = lambda _: None
    observed: Callable[[BaseModel], Mapping[str, SliceValue]] = lambda _: {}
    reference_words: tuple[int, int] | None = None
    # An independent second summary may weigh things differently; one that misses more shows that the facts are not the
    # case's substance. Worst of the 60 of `summarize`: 4 of 6.
    second_reference_coverage: float = 2 / 3
    # What a task's own labels must be: a sentence for each thing that is wrong in a case.
    labels: Callable[[Case, BaseModel], Iterable[str]] = lambda case, inputs: ()
    open_slice: tuple[str, tuple[SliceValue, ...]] | None = None  # cases that must name open items
    contested: tuple[tuple[str, SliceValue], ...] = ()
    after_now: tuple[tuple[str, SliceValue], ...] = ()
    files: Mapping[str, FileRules] = field(default_factory=dict)
    calibration: CalibrationRules | None = None


def is_declared(slices: Mapping[str, SliceValue], declared: tuple[tuple[str, SliceValue], ...]) -> bool:
    """Say whether a case's ``slices`` hold any of the ``declared`` values."""
    return any(slices.get(name) == value for name, value in declared)
