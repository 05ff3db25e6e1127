"""Whether a single answer gives the right class, so that the report lists the wrong ones, which pools of classes cannot."""

from collections.abc import Callable
from typing import Protocol

from eval.spine.cases import Case
from eval.spine.results import Score
from eval.spine.scorer import ScorerContext
from service.core.run.task import TaskResult


class _Predicted(Protocol):
    @property
    def label(self) -> str | None: ...


class ClassScorer:
    """Scores ``class_right``, 1.0 or 0.0, by the two functions that pools of classes take; a case without a class is unscored."""

    name = "classes"
    scores = ("class_right",)

    def __init__(self, *, label: Callable[[Case], str | None], predicted: Callable[[TaskResult], _Predicted]) -> None:
        self._label, self._predicted = label, predicted

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the score, with the class answered and the right one as its finding."""
        wanted, said = self._label(context.case), self._predicted(context.result).label
        if wanted is None:
            return {"class_right": Score(value=None, unscored="the case has no class", applies=False)}
        right = said == wanted
        finding = f"{said or 'no class'} where {wanted} is right"
        return {"class_right": Score(value=float(right), findings=() if right else (finding,))}
