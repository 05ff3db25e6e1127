"""The cases of a search: those for tuning and accepted cases from production, in two halves. The gate's are never read here."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eval.run.loaders import load_dataset
from eval.spine.cases import Case, cases_digest
from eval.spine.errors import OptimizeError
from eval.spine.suite import Suite
from figures.command_line import omni
from service.core.run.task import Task
from service.kit.settings import Settings

TUNING = "dev"
_WRITTEN = "written"  # the origin of a case that nobody harvested
_FEWEST = 4  # in each half: below, not even a large gain could be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """``own`` is what a search measures with, ``other`` what it never sees; ``harvested`` counts cases from production in both.

    ``seed`` is that of the split, ``digest`` the SHA-256 over both halves in order.
    """

    own: tuple[Case, ...]
    other: tuple[Case, ...]
    seed: int
    harvested: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 over the cases of both halves, in order."""
        return cases_digest((*self.own, *self.other))


def load_halves(suite: Suite, task: Task[Any], settings: Settings, *, seed: int) -> Halves:
    """Return the task's cases for tuning and its accepted harvested cases, split at random into two halves.

    Raises:
        OptimizeError: there are too few, or the suite's gate set is the set for tuning.
        CaseError: a file is wrong.
    """
    if suite.gate_dataset == TUNING:
        raise OptimizeError(f"the gate of task {suite.task!r} reads {TUNING!r}: a search must not see the gate's cases")
    model = suite.case_model(task.input_model)
    cases = load_dataset(TUNING, task=suite.task, input_model=model, settings=settings).cases
    accepted: tuple[Case, ...] = ()
    if (settings.datasets_dir / suite.task / f"{suite.regression_dataset}.jsonl").exists():
        found = load_dataset(suite.regression_dataset, task=suite.task, input_model=model, settings=settings)
        accepted = tuple(case for case in found.cases if case.origin != _WRITTEN)
    own, other = _split(cases, seed), _split(accepted, seed)
    halves = Halves(own=own[0] + other[0], other=own[1] + other[1], seed=seed, harvested=len(accepted))
    if min(len(halves.own), len(halves.other)) < _FEWEST:
        raise OptimizeError(
            f"task {suite.task!r} has {len(cases) + len(accepted)} cases to search with, and a search needs {2 * _FEWEST}: "
            f"write more into datasets/{suite.task}/{TUNING}.jsonl, or accept harvested ones: "
            f"{omni('harvest', 'propose', task=suite.task)}"
        )
    return halves


def _split(cases: Sequence[Case], seed: int) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Return two halves, each in file order; the first has the odd case."""
    drawn = list(range(len(cases)))
    random.Random(seed).shuffle(drawn)
    chosen = set(drawn[: (len(cases) + 1) // 2])
    return (
        tuple(case for place, case in enumerate(cases) if place in chosen),
        tuple(case for place, case in enumerate(cases) if place not in chosen),
    )
