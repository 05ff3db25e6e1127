"""Scores whether the serving guard would object to an output; the evaluated answers themselves bypass the guard."""

from collections.abc import Callable

from pydantic import BaseModel

from eval.spine.results import Score
from eval.spine.scorer import ScorerContext
from service.core.run.guard import Guard, kinds_of


class GuardScorer:
    """Scores ``guard_clear``: 1.0 if the task's guard accepts the output, else 0.0.

    ``guard_of`` makes the guard that the service asks (``Task.guard``). One minus the rate is the share of answers that the
    service would have repaired, or replaced by the next link of the chain; the service also refuses passages of the pair's
    own messages, which a scorer does not know (``service.core.statements.answers.echoes``).
    """

    name = "guard"
    scores = ("guard_clear",)

    def __init__(self, guard_of: Callable[[BaseModel], Guard]) -> None:
        self._guard_of = guard_of

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the score; a finding names only the kind of objection, because ``AnswerScorer`` gives the details."""
        kinds = kinds_of(self._guard_of(context.inputs)(context.output))
        return {"guard_clear": Score(value=0.0 if kinds else 1.0, findings=tuple(f"guard: {kind}" for kind in kinds))}
