"""What a suite brings for a figure that is made of counts over all cases; ``eval.verdict.pooled`` computes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from eval.spine.cases import Case
from eval.spine.results import CaseResult
from service.core.run.task import TaskResult

if TYPE_CHECKING:  # numpy and scipy take 0.4 s to import, and suites are declared before the calls start
    from figures.arrays import Floats


class PooledFigure(Protocol):
    """How a figure follows from sums of counts; ``bounds`` are the least and the greatest value that it can have."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest value; infinite where there is none."""

    def figures(self, names: Sequence[str], sums: "Floats") -> "Floats":
        """Return the figure of each row of ``sums``, whose columns are ``names``; NaN where it is undefined.

        Infinite where it has no bound, such as a cost per success without success: such a draw counts against the interval.
        """


class AnsweredPool(PooledFigure, Protocol):
    """How a figure is counted from the answers that were given; failed ones count as unscored."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return what the answered ``results`` (one per repeat) of ``case`` add to the sums; empty: nothing to count."""


@runtime_checkable
class ScoredPool(PooledFigure, Protocol):
    """How a figure is counted from everything that became of a case: failed answers, too, each with its scores."""

    def counts_scored(self, case: Case, items: Sequence[CaseResult]) -> Mapping[str, float] | None:
        """Return what ``items`` (one per repeat) of ``case`` add to the sums.

        Empty: the figure does not apply to the case. None: it does and could not be counted, so the case is unscored.
        """


Pool = AnsweredPool | ScoredPool


@runtime_checkable
class NotedPool(Protocol):
    """A pool whose figure needs a footnote."""

    def note(self, names: Sequence[str], counts: "Floats", uncounted: int) -> str:
        """Return what a reader of the figure must know; "" for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTable:
    """A table for the report: ``columns`` are titles, the first that of the rows' own; each row has as many cells."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@runtime_checkable
class TabledPool(Protocol):
    """A pool whose counts are worth a table in the report, such as a confusion matrix."""

    def table(self, names: Sequence[str], sums: "Floats") -> PoolTable:
        """Return the table of ``sums``, one number for each of ``names``."""
