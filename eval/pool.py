"""What a suite brings for a figure that is made of counts over all cases; ``eval.verdict.pooled`` computes it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from eval.cases import Case
from service.task import TaskResult

if TYPE_CHECKING:  # numpy and scipy take 0.4 s to import, and suites are declared before the calls start
    from figures.arrays import Floats


class Pool(Protocol):
    """How one figure is counted; ``bounds`` are the least and the greatest value that it can have."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest value."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return what the answered ``results`` (one per repeat) of ``case`` add to the sums; empty: nothing to count."""

    def figures(self, names: Sequence[str], sums: "Floats") -> "Floats":
        """Return the figure of each row of ``sums``, whose columns are ``names``; NaN where it is undefined."""
