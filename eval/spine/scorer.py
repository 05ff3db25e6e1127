"""The interface of a scorer, its input, and the handling of failed answers and crashed scorers as unscored values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from eval.spine.accounts import FreeText
from eval.spine.cases import Case
from eval.spine.results import Score
from service.core.run.task import TaskResult
from service.kit.frame.raised import told

M = TypeVar("M", bound=BaseModel)
_CRASHED = " crashed: "  # between a scorer's name and its error


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerContext:
    """One case with its result. ``inputs`` is the task's validated input model; ``output`` is "" after a failure."""

    case: Case
    inputs: BaseModel
    result: TaskResult
    output: str

    def parsed(self, model: type[M]) -> M:
        """Return the output as an object of ``model``, for a task whose output is JSON."""
        return parsed_output(self.output, model)


def parsed_output(output: str, model: type[M]) -> M:
    """Return ``output``, JSON of ``model``, as an object; cached, because many scorers and pools read it."""
    found = _parsed(output, model)
    assert isinstance(found, model)
    return found


@lru_cache(maxsize=4096)
def _parsed(output: str, model: type[BaseModel]) -> BaseModel:
    return model.model_validate_json(output)


class Scorer(Protocol):
    """Turns one case into scores: ``scores`` names all that ``score`` returns, each time.

    A scorer that scores nothing without the case's expectations says so with ``needs_labels = True``.
    """

    @property
    def name(self) -> str:
        """Name of the family, as shown in messages."""

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores, unique within a suite."""

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return one score per name in ``scores``; only answered cases come here."""


@runtime_checkable
class ReadsFreeTexts(Protocol):
    """The scorer of a suite that gives ``eval.spine.accounts.ACCOUNTED``: it tells which texts are accounted for by what."""

    def free_texts(self, context: ScorerContext) -> tuple[FreeText, ...]:
        """Return the answer's free texts with their sources; a sentence's ``place`` names its text."""
        ...


def free_texts(scorers: Sequence[Scorer], context: ScorerContext) -> tuple[FreeText, ...] | None:
    """Return the free texts of an answer, none of a conversation without a reply; None where no scorer of the suite reads any."""
    return next((scorer.free_texts(context) for scorer in scorers if isinstance(scorer, ReadsFreeTexts)), None)


def safe_score(scorer: Scorer, context: ScorerContext) -> dict[str, Score]:
    """Return the scorer's scores, or every name unscored with the reason: a failed answer, or a crash of the scorer.

    A failed answer is unscored, not zero, because the metric ``answered`` already counts the failure.
    """
    if context.result.failure is not None:
        return _rejected(scorer, context, f"no answer: {context.result.failure.value}")
    try:
        scores = scorer.score(context)
    except Exception as err:
        return unscored(scorer.scores, f"{scorer.name}{_CRASHED}{told(err)}")
    if set(scores) != set(scorer.scores):
        names = f"it returned the scores {sorted(scores)}, and its `scores` declares {sorted(scorer.scores)}"
        return unscored(scorer.scores, f"{scorer.name}{_CRASHED}{names}")
    return scores


def crash_of(score: Score) -> tuple[str, str] | None:
    """Return which scorer crashed in place of giving ``score``, and how it did; None where none did."""
    scorer, crashed, how = (score.unscored or "").partition(_CRASHED)
    return (scorer, how) if crashed else None


def _rejected(scorer: Scorer, context: ScorerContext, reason: str) -> dict[str, Score]:
    """Return unscored values, with the findings of a scorer that reads rejected answers.

    Agents never see a rejected answer, so it has no score; its findings help the author of the prompt.
    """
    if not context.result.raw_text or not getattr(scorer, "reads_rejected", False):
        return unscored(scorer.scores, reason)
    try:
        found = scorer.score(replace(context, output=context.result.raw_text))
    except Exception:
        return unscored(scorer.scores, reason)
    return {name: Score(value=None, unscored=reason, findings=score.findings) for name, score in found.items()}


def unscored(names: tuple[str, ...], reason: str) -> dict[str, Score]:
    """Return every name unscored for one reason."""
    return {name: Score(value=None, unscored=reason) for name in names}
