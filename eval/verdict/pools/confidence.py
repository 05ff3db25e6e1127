"""Figures of how well confidences are put: what is gained by abstaining, and calibration.

All three follow from the answers sorted by confidence. Answers of equal confidence are interchangeable: where a cut falls among
them, each counts in part, which is the mean over all orders.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.spine.cases import Case
from eval.verdict.pools.readers import LabelOf, PredictionOf
from figures.arrays import Floats
from service.core.run.task import TaskResult

_RIGHT, _ALL = "right ", "all "
_ABSTAINED = -1.0  # below every confidence: what abstains is covered last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked:
    label: LabelOf
    predicted: PredictionOf
    bounds: tuple[float, float] = (0.0, 1.0)

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return how many answers, in shares of the case, have each confidence, and how many of them are right."""
        label = self.label(case)
        if label is None:
            return {}
        found: Counter[str] = Counter()
        for result in results:
            said = self.predicted(result)
            confidence = repr(_ABSTAINED if said.label is None else float(said.confidence))
            found[_ALL + confidence] += 1
            found[_RIGHT + confidence] += int(said.label == label)
        return {name: count / len(results) for name, count in found.items() if count}


def _by_confidence(names: Sequence[str], sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the confidences, highest first, and for each row of sums how many answers have each, and how many are right."""
    place = {name: column for column, name in enumerate(names)}
    levels = sorted({float(name.removeprefix(_ALL)) for name in names if name.startswith(_ALL)}, reverse=True)
    none = np.zeros(len(sums))
    every, right = (
        np.array([sums[:, place[name]] if (name := prefix + repr(level)) in place else none for level in levels]).T
        for prefix in (_ALL, _RIGHT)
    )
    return np.array(levels), every, right


def _upto(masses: Floats, values: Floats, targets: Floats) -> Floats:
    """Return the sum of ``values`` over the first ``targets`` of the mass, per row; a group that is cut counts in part.

    Args:
        masses: shape ``(rows, groups)``.
        values: the same.
        targets: shape ``(rows, cuts)``, at most the row's whole mass.
    """
    mass, value = (np.pad(np.cumsum(part, axis=1), ((0, 0), (1, 0))) for part in (masses, values))
    return np.array([np.interp(*row) for row in zip(targets, mass, value, strict=True)])


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyAtCoverage(_Ranked):
    """The accuracy of the most confident ``coverage`` (0 to 1] of the cases: the others would go to a person.

    A point of the risk-coverage curve (El-Yaniv & Wiener 2010).
    """

    coverage: float

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return the accuracy of each row."""
        _, every, right = _by_confidence(names, sums)
        covered = self.coverage * every.sum(axis=1, keepdims=True)
        found = _upto(every, right, covered)[:, 0]
        accuracy: Floats = np.divide(found, covered[:, 0], out=np.full(len(sums), math.nan), where=covered[:, 0] > 0)
        return accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageAtAccuracy(_Ranked):
    """The largest share of the cases that one threshold of confidence lets through with at least ``accuracy``; 0 if none does."""

    accuracy: float

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return the coverage of each row."""
        levels, every, right = _by_confidence(names, sums)
        covered, found = np.cumsum(every, axis=1), np.cumsum(right, axis=1)
        reaches = (covered > 0) & (found >= self.accuracy * covered - 1e-9) & (levels > _ABSTAINED)
        total = covered[:, -1]
        most = np.where(reaches, covered, 0.0).max(axis=1)
        coverage: Floats = np.divide(most, total, out=np.full(len(sums), math.nan), where=total > 0)
        return coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationError(_Ranked):
    """Expected calibration error: by how much confidence and accuracy differ, on average over ``bins`` of equal mass.

    Bins of equal mass, because bins of equal width leave most of them nearly empty (Nixon et al. 2019). The estimate is biased
    upwards: also a calibrated system's bins differ by chance. The footnote says by how much; the interval, whose draws share
    the bias, errs to the same side. Answers that abstain are left out.
    """

    bins: int = 10

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return the error of each row."""
        masses, confidences, right = self._bins(names, sums)
        total = masses.sum(axis=1)
        gaps = np.abs(confidences - right).sum(axis=1)
        error: Floats = np.divide(gaps, total, out=np.full(len(sums), math.nan), where=total > 0)
        return error

    def _bins(self, names: Sequence[str], sums: Floats) -> tuple[Floats, Floats, Floats]:
        """Return, per row and bin, the answers' number, and the sums of their confidences and of the right ones."""
        levels, every, right = _by_confidence(names, sums)
        given = levels > _ABSTAINED
        levels, every, right = levels[given], every[:, given], right[:, given]
        cuts = every.sum(axis=1, keepdims=True) * np.linspace(0.0, 1.0, self.bins + 1)
        summed = (_upto(every, values, cuts) for values in (every, every * levels, right))
        masses, confidences, found = (np.diff(upto, axis=1) for upto in summed)
        return masses, confidences, found

    def note(self, names: Sequence[str], counts: Floats, uncounted: int) -> str:
        """Return what a calibrated system would show with as many cases: each bin's mean absolute deviation by chance."""
        masses, confidences, _ = (part[0] for part in self._bins(names, counts.sum(axis=0, keepdims=True)))
        filled = masses > 0
        if not filled.any():
            return ""
        mean = confidences[filled] / masses[filled]
        # The mean absolute deviation of a normal variable is sqrt(2 / pi) of its standard deviation.
        chance = masses[filled] @ np.sqrt(2 * mean * (1 - mean) / (math.pi * masses[filled])) / masses[filled].sum()
        return f"a calibrated system would show about {chance:.3f} with {len(counts)} cases"
