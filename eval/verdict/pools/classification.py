"""Figures of classes: accuracy, recall of one class, macro-averaged F1, and the confusion matrix for the report.

An answer that abstains is wrong, and false for no class. A case's repeats weigh as one answer.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.spine.cases import Case
from eval.spine.pool import PoolTable
from eval.verdict.pools.readers import LabelOf, PredictionOf
from figures.arrays import Floats
from service.core.run.task import TaskResult

_ABSTAINED = ""
_BETWEEN = "\t"  # no case's own class has one in its name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Classes:
    label: LabelOf
    predicted: PredictionOf
    bounds: tuple[float, float] = (0.0, 1.0)

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return the share of the repeats with each predicted class, under the case's own."""
        label = self.label(case)
        if label is None:
            return {}
        found = Counter(self.predicted(result).label or _ABSTAINED for result in results)
        return {f"{label}{_BETWEEN}{predicted}": count / len(results) for predicted, count in found.items()}

    def table(self, names: Sequence[str], sums: Floats) -> PoolTable:
        """Return the confusion matrix; repeats of a case are shares of it."""
        labels, matrix = confusion(names, sums.reshape(1, -1))
        own = len({name.split(_BETWEEN, 1)[0] for name in names})
        titles = tuple(label or "abstained" for label in labels)
        return PoolTable(
            caption="Cases by their class (rows) and the class answered (columns).",
            columns=("class", *titles),
            rows=tuple((titles[row], *(f"{count:g}" for count in matrix[0, row].round(2))) for row in range(own)),
        )


def confusion(names: Sequence[str], sums: Floats) -> tuple[tuple[str, ...], Floats]:
    """Return the classes and matrices of counts, shape ``(rows of sums, classes, classes)``, rows labelled.

    Classes that are some case's own come first, then those that were only answered; "" stands for abstaining.
    """
    pairs = [name.split(_BETWEEN, 1) for name in names]  # what was answered may hold anything
    own = sorted({label for label, _ in pairs})
    labels = (*own, *sorted({predicted for _, predicted in pairs} - set(own), key=lambda name: (name == "", name)))
    place = {label: number for number, label in enumerate(labels)}
    matrix = np.zeros((len(sums), len(labels), len(labels)))
    for column, (label, predicted) in enumerate(pairs):
        matrix[:, place[label], place[predicted]] = sums[:, column]
    return labels, matrix


def _divided(of: Floats, among: Floats) -> Floats:
    """Return ``of / among``, NaN where ``among`` is 0."""
    share: Floats = np.divide(of, among, out=np.full(among.shape, math.nan), where=among > 0)
    return share


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAccuracy(_Classes):
    """The share of cases whose class was answered."""

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return the accuracy of each row."""
        _, matrix = confusion(names, sums)
        return _divided(np.trace(matrix, axis1=1, axis2=2), matrix.sum(axis=(1, 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRecall(_Classes):
    """The share of the cases of class ``of`` that were found."""

    of: str

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return the class's recall in each row; NaN where no case is of the class."""
        labels, matrix = confusion(names, sums)
        if self.of not in labels:
            return np.full(len(sums), math.nan)
        place = labels.index(self.of)
        return _divided(matrix[:, place, place], matrix[:, place, :].sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroF1(_Classes):
    """The mean over classes of F1, so that a rare class weighs as much as a frequent one.

    Averaged are the classes of which there are cases, as with scikit-learn's ``f1_score(average="macro")`` given these labels.
    """

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return macro-F1 of each row, over the classes that have cases in it."""
        _, matrix = confusion(names, sums)
        labelled, answered = matrix.sum(axis=2), matrix.sum(axis=1)
        right = np.diagonal(matrix, axis1=1, axis2=2)
        scores = np.where(labelled > 0, 2 * right / np.maximum(labelled + answered, 1e-12), 0.0)
        return _divided(scores.sum(axis=1), (labelled > 0).sum(axis=1).astype(float))
