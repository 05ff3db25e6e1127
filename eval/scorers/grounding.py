"""Scores with deterministic look-ups whether an output states only what its source supports."""

from collections.abc import Callable

from pydantic import BaseModel

from eval.results import Score
from eval.scorers.base import ScorerContext
from service.grounding.check import GroundingSource, Unsupported, checked_mentions, find_unsupported


class GroundingScorer:
    """Scores ``grounded`` (1.0 when nothing is unsupported, else 0.0) and ``grounded_amounts`` (amounts alone).

    ``source_of`` makes the source from the task's validated inputs. Never print these as a hallucination rate: swapped
    actors, reversed outcomes and invented events pass (see ``service.grounding.check``).
    """

    name = "grounding"
    reads_rejected = True
    scores = ("grounded", "grounded_amounts")
    detects = ("grounded",)

    def __init__(self, source_of: Callable[[BaseModel], GroundingSource]) -> None:
        self._source_of = source_of

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return both scores with one finding per unsupported mention."""
        missing = find_unsupported(context.output, self._source_of(context.inputs))
        checked = checked_mentions(context.output)
        amounts = tuple(item for item in missing if item.kind == "amount")
        return {
            "grounded": _score(missing, f"{checked - len(missing)} of {checked} mentions found in the source"),
            "grounded_amounts": _score(amounts, f"{len(amounts)} amounts without support"),
        }


def _score(missing: tuple[Unsupported, ...], rationale: str) -> Score:
    findings = tuple(f"{item.kind} {item.value} is in no interaction: {item.statement!r}" for item in missing)
    return Score(value=0.0 if missing else 1.0, rationale=rationale, findings=findings)
