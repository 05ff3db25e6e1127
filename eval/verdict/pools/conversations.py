"""Figures of whole conversations: their turns, and what one that reached its goal costs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.spine.cases import Case
from eval.spine.results import CaseResult
from eval.verdict.pooled import CaseMean
from eval.verdict.pools.readers import CountOf, IsRight
from figures.arrays import Floats
from service.core.run.task import TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsPerConversation(CaseMean):
    """The mean number of turns; ``bounds`` are the fewest and the most that a conversation can have."""

    turns: CountOf
    bounds: tuple[float, float] = (1.0, math.inf)

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return the case's mean number of turns."""
        return {"of": sum(map(self.turns, results)) / len(results), "among": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPerResolved:
    """What all conversations cost in USD, failed ones too, per conversation that was resolved.

    Undefined where none was resolved, or where an answer has no price. One that nobody can judge is left out with its cost.
    A draw without a resolved conversation costs infinitely much per resolved one: dropped, it would make the bound too good.
    """

    resolved: IsRight
    bounds: tuple[float, float] = (0.0, math.inf)

    def counts_scored(self, case: Case, items: Sequence[CaseResult]) -> Mapping[str, float] | None:
        """Return the case's mean cost, and the share of its repeats that were resolved."""
        judged = [(item, found) for item in items if (found := self.resolved(item)) is not None]
        if not judged:
            return None
        costs = [item.result.cost for item, _ in judged]
        return {
            "cost": sum(float(cost.metered_usd) for cost in costs if cost is not None) / len(judged),
            "resolved": sum(found for _, found in judged) / len(judged),
            "unpriced": float(costs.count(None)),
        }

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return cost per resolved conversation of each row."""
        columns = dict(zip(names, sums.T, strict=True))
        resolved = columns["resolved"]
        ratio: Floats = np.divide(columns["cost"], resolved, out=np.full(len(sums), math.inf), where=resolved > 0)
        return np.where(columns["unpriced"] > 0, math.nan, ratio)
