"""What a step of the rehearsal is: what it expects, what it got, and the row that says so."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx2
from botocore.exceptions import BotoCoreError, ClientError

from omni.deploying.rehearsal.account import CannotDeploy
from omni.deploying.rehearsal.world import LocalProduction
from service.kit.frame.errors import ServiceError

StepRun = Callable[[LocalProduction], str]


class Unexpected(Exception):
    """A step got something else than it expects; the message says what."""


# What a step may raise: what it expects is not so, or whom it asks fails or says something else.
_FAULTS = (
    *(Unexpected, CannotDeploy, ServiceError, ClientError, BotoCoreError, httpx2.HTTPError, subprocess.TimeoutExpired),
    *(OSError, LookupError, ValueError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalStep:
    """One step: ``run`` returns what it got, or raises; ``vital``: without it, later steps say nothing."""

    name: str
    expected: str
    run: StepRun
    vital: bool = False


class RehearsalSteps(list[RehearsalStep]):
    """Steps in their order."""

    def step(self, name: str, expected: str, *, vital: bool = False) -> Callable[[StepRun], StepRun]:
        """Return a decorator that adds a function as the next step."""

        def added(run: StepRun) -> StepRun:
            self.append(RehearsalStep(name=name, expected=expected, run=run, vital=vital))
            return run

        return added


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalRow:
    """What became of a step: ``outcome`` is ok, FAILED or not reached."""

    step: str
    expected: str
    got: str
    seconds: float
    outcome: str


def rehearse(world: LocalProduction, steps: Sequence[RehearsalStep]) -> Iterator[RehearsalRow]:
    """Run the steps and yield a row for each; after a vital one that failed, none is run."""
    reached = True
    for step in steps:
        got, outcome, began = "", "not reached", time.monotonic()
        if reached:
            try:
                got, outcome = step.run(world), "ok"
            except _FAULTS as err:
                got, outcome, reached = f"{err!s:.300}" or type(err).__name__, "FAILED", not step.vital
        seconds = time.monotonic() - began
        yield RehearsalRow(step=step.name, expected=step.expected, got=got, seconds=seconds, outcome=outcome)


def expect(is_so: bool, otherwise: str) -> None:
    """Raise ``Unexpected`` unless it is so."""
    if not is_so:
        raise Unexpected(otherwise)
