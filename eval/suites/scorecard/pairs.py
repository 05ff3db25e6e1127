"""Contrast pairs (Gardner et al. 2020): a call and its copy in which one sentence decides a criterion otherwise, or must not.

Whoever answers by the sound of a call gives both the same verdict, of which one is right by chance often enough. So a pair counts
as right only if both are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.spine.cases import Case
from eval.suites.scorecard.labels import answered_pairs
from figures.arrays import Floats
from service.core.run.task import TaskResult

# The file's cases name their pair, their side of it, and what the edit does.
PAIR, SIDE, EDIT = "pair", "side", "edit"
BASE, EDITED = "base", "edited"
EDITS = ("removed", "added", "in_part", "too_late", "other_speaker", "kept")
_BETWEEN = "|"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsRight:
    """The share of pairs with the right verdict on both sides; other cases do not count."""

    bounds: tuple[float, float] = (0.0, 1.0)

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return that this side was asked, and whether every one of its verdicts is right."""
        pair, side = case.slices.get(PAIR), case.slices.get(SIDE)
        if not pair or side not in (BASE, EDITED):
            return {}
        right = [
            bool(rated := list(answered_pairs(case, result)))
            and all(item.verdict == label.verdict for label, item in rated)
            for result in results
        ]
        return {
            f"{pair}{_BETWEEN}{side}{_BETWEEN}asked": 1.0,
            f"{pair}{_BETWEEN}{side}{_BETWEEN}right": sum(right) / len(right),
        }

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return the share among the pairs with both sides in a row of sums, NaN without any."""
        columns = dict(zip(names, sums.T, strict=True))
        none = np.zeros(len(sums))
        whole, right = none.copy(), none.copy()
        for pair in sorted({name.split(_BETWEEN)[0] for name in names}):
            sides = [
                [columns.get(_BETWEEN.join((pair, side, what)), none) for what in ("asked", "right")]
                for side in (BASE, EDITED)
            ]
            both = np.logical_and.reduce([asked > 0 for asked, _ in sides])
            whole += both
            right += both & np.logical_and.reduce([got >= asked - 1e-9 for asked, got in sides])
        share: Floats = np.divide(right, whole, out=np.full(len(sums), math.nan), where=whole > 0)
        return share
