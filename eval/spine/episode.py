"""What a suite brings whose cases are played out, such as conversations; ``eval.dialogue`` has the implementation."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from eval.spine.case_rules import Passage
from eval.spine.cases import Case
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.run.task import TaskResult
from service.core.tools.allowed import AllowedTools
from service.core.tools.documents import DocumentIndexes
from service.core.unit.pair import Pair

# One run of the task under evaluation, with the given inputs and tools.
AnswerRun = Callable[[Any, AllowedTools], Awaitable[TaskResult]]

Ask = Callable[[ModelCall], Awaitable[ModelReply]]


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

    def passages(self, inputs: BaseModel) -> tuple[Passage, ...]:
        """Return the texts in which two cases may not copy each other; records that many cases share are none."""

    @property
    def customer(self) -> Pair | None:
        """The prompt and model that play the task's counterpart, if a model does; its calls are no part of the pair's figures."""

    def played_by(self, model: str) -> "CaseEpisode":
        """Return the episode with ``model`` as the task's counterpart."""

    def with_documents(self, documents: DocumentIndexes) -> "CaseEpisode":
        """Return the episode with ``documents`` for those of a pair's tools that search them, beside the case's own tools."""

    async def play(self, case: Case, repeat: int, pair: Pair, answer: AnswerRun, ask: Ask | None = None) -> TaskResult:
        """Return one result whose output is the record of all runs. ``ask`` calls the counterpart's model.

        Raises:
            CaseError: the case cannot be played.
        """
