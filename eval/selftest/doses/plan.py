"""What a dose-response plants, and in which good systems: one plan per task, found by the task's name."""

import importlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from eval.labels.contrasts.sets import ContrastSets
from eval.selftest.mutant import Doctor, PartAnswers
from eval.spine.cases import Case
from service.kit.frame.errors import ConfigurationError

SeenBy = Literal["code", "judge"]
DrawAnswer = Callable[[Case, random.Random], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodSystem:
    """A system without faults: ``draw`` gives its answer to a case, another one for another source of randomness."""

    name: str
    about: str
    draw: DrawAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedKind:
    """One kind of harm. ``seen_by`` says who must see it: code alone, or a judge of meaning.

    ``harm`` is the suite's name of it, or of its class, for a judge's licence; ``group`` the
    class that its author gave it. ``spoil`` returns the answer as it was where the kind cannot occur.
    ``systems`` limits the kind to these systems; empty: all. Bars hold for ``promised`` kinds alone.
    What a ``true`` kind says is so, and ought not to be said here.
    """

    name: str
    does: str
    seen_by: SeenBy
    spoil: Doctor
    harm: str = ""
    group: str = ""
    kept: bool = False
    promised: bool = True
    true: bool = False
    systems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DosePlan:
    """A task's good systems and kinds of harm; ``pair`` names the pair file that stands for the system under test.

    ``strangers`` are kinds by an author who knew no detector; ``parts`` as in ``MutantPlan``.
    """

    pair: str
    systems: tuple[GoodSystem, ...]
    kinds: tuple[PlantedKind, ...]
    strangers: tuple[PlantedKind, ...] = ()
    parts: PartAnswers = field(default_factory=dict)


PlanOf = Callable[[ContrastSets, Mapping[str, Case]], DosePlan]


def load_dose_plan(task: str, sets: ContrastSets, cases: Mapping[str, Case]) -> DosePlan:
    """Return the plan that ``eval/selftest/doses/<task>.py`` makes of the task's contrast sets.

    Raises:
        ConfigurationError: the task has no such module.
    """
    name = f"eval.selftest.doses.{task}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name != name:
            raise
        raise ConfigurationError(f"task {task!r} has no dose plan; write eval/selftest/doses/{task}.py") from err
    build: PlanOf = module.dose_plan
    return build(sets, cases)
