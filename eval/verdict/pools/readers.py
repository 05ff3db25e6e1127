"""What pools read of a case and of what became of it; a suite brings these functions."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.spine.cases import Case
from eval.spine.results import CaseResult
from service.core.run.task import TaskResult
from service.core.tools.documents import documents_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The class that a result gives; None where it abstains. ``confidence`` is the probability, 0 to 1, that it is right."""

    label: str | None
    confidence: float = 1.0


LabelOf = Callable[[Case], str | None]  # the right class; None: the case is not labelled
PredictionOf = Callable[[TaskResult], Prediction]
# Whether a result is what it should be; None: nobody can tell, such as after a scripted customer who did not understand.
IsRight = Callable[[CaseResult], bool | None]
WantedOf = Callable[
    [Case], frozenset[str]
]  # ids of the documents that answer the case; empty: there is nothing to find
DocumentsOf = Callable[[TaskResult], Sequence[str]]  # ids of documents, best first
CountOf = Callable[[TaskResult], int]


@dataclass(frozen=True, slots=True)
class ScoreReaches:
    """Whether a result's score reaches ``least``: an ``IsRight``. A failed answer is not right; an unscored one is undecided."""

    score: str
    least: float = 1.0

    def __call__(self, item: CaseResult) -> bool | None:
        """Return whether the score of ``item`` is at least ``least``."""
        found = item.scores.get(self.score)
        if found is not None and found.value is not None:
            return found.value >= self.least
        return False if item.result.failure is not None else None


@dataclass(frozen=True, slots=True)
class FoundWith:
    """The documents that a run found with a tool that searches documents: a ``DocumentsOf``, search after search."""

    tool: str

    def __call__(self, result: TaskResult) -> tuple[str, ...]:
        """Return their ids."""
        used = (step for step in result.trace if step.kind == "tool" and step.name == self.tool)
        return tuple(document for step in used if step.status == "done" for document in documents_in(step.content))


@dataclass(frozen=True, slots=True)
class CitedIn:
    """The documents that an output of JSON cites in a field with a list of ids: a ``DocumentsOf``."""

    field: str

    def __call__(self, result: TaskResult) -> tuple[str, ...]:
        """Return their ids."""
        cited: list[str] = json.loads(result.output or "{}").get(self.field, [])
        return tuple(cited)
