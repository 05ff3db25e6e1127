"""What a suite brings whose cases are played out, such as conversations; ``eval.dialogue`` has the implementation."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from eval.cases import Case
from service.pair import Pair
from service.task import TaskResult
from service.tools.allowed import AllowedTools

# One run of the task under evaluation, with the given inputs and tools.
AnswerRun = Callable[[Any, AllowedTools], Awaitable[TaskResult]]


class CaseEpisode(Protocol):
    """Plays a case out in several runs of the task, and returns them as one result."""

    @property
    def scenario_model(self) -> type[BaseModel]:
        """The model of a case's inputs, in place of the task's own."""

    @property
    def digest(self) -> str:
        """SHA-256 over the code that plays the task's counterpart, such as the scripted customer."""

    def transcript(self, output: str) -> str:
        """Return a record for people."""

    def about(self, case: Case) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return what a case gives and what it demands, each by heading, for a reader of a report."""

    async def play(self, case: Case, repeat: int, pair: Pair, answer: AnswerRun) -> TaskResult:
        """Return one result whose output is the record of all runs.

        Raises:
            CaseError: the case cannot be played.
        """
