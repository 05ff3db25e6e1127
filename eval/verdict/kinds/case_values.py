"""Kinds whose figure is a mean over cases of a value per answer: scores, answered or not, cost, a judge's grades."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from eval.spine.results import CaseResult
from eval.spine.suite import MetricSpec
from eval.verdict.kinds.kind import (
    ArmAnswers,
    Axis,
    ComparedAnswers,
    Difference,
    Measured,
    MetricKind,
    ScoredReference,
)
from eval.verdict.paired import difference_interval, mcnemar, rate_difference_interval
from figures.arrays import Floats
from figures.metric import Unit
from figures.stats import Interval, Statistic, effective_cases, mean_interval, rate_interval, resample_weights

_FREE = "production's answers cost nothing"


def known(means: Mapping[str, float]) -> Floats:
    """Return the values that are not NaN, in case order."""
    return np.array([value for value in means.values() if not math.isnan(value)], dtype=float)


def share_interval(values: Floats, answers: ArmAnswers, most: int | None = None) -> Interval | None:
    """Return Wilson's interval of the mean share of "yes" over cases; None without values.

    ``most`` is the greatest number of yes-or-no answers behind a case's share; by default the number of repeats.
    """
    if not len(values):
        return None
    # Rounding must not lift a sum of thirds above n.
    successes = min(float(values.sum()), float(len(values)))
    effective = effective_cases(values, len(answers.repeats) if most is None else most)
    return rate_interval(successes, len(values), confidence=answers.confidence, effective_n=effective)


class CaseValues(MetricKind):
    """A mean over cases of the mean over a case's repeats."""

    @abstractmethod
    def value(self, spec: MetricSpec, item: CaseResult) -> float:
        """Return the answer's value, NaN where it has none."""

    def case_means(self, spec: MetricSpec, results: Sequence[CaseResult]) -> dict[str, float]:
        """Return the mean over each case's repeats that have a value, NaN where none has."""
        values: dict[str, list[float]] = {}
        for item in results:
            kept = values.setdefault(item.case_id, [])
            value = self.value(spec, item)
            if not math.isnan(value):
                kept.append(value)
        return {name: sum(kept) / len(kept) if kept else math.nan for name, kept in values.items()}

    def unscored(self, spec: MetricSpec, answers: ArmAnswers, scored: int) -> int:
        """Return how many cases lack a value that should have one, given that ``scored`` cases have it."""
        without = self.without_value(spec, answers.results)
        missing = len({item.case_id for item in answers.results} - without) - scored
        lacking = sum(item.case_id not in without and math.isnan(self.value(spec, item)) for item in answers.results)
        # Of a case's repeats some may have failed, or have no score: as many answers as make up a case count as one.
        return max(missing, answers.failed_cases, answers.in_cases(lacking))

    def measure(self, spec: MetricSpec, answers: ArmAnswers) -> Measured:
        """Return the mean with its interval: Wilson's for yes or no, else a bootstrap's."""
        values = known(self.case_means(spec, answers.results))
        unscored = self.unscored(spec, answers, len(values))
        if self.yes_or_no:
            return Measured(interval=share_interval(values, answers), unscored=unscored)
        if not len(values):
            return Measured(interval=None, unscored=unscored)
        interval = _bounded(spec, values, answers.suite.seed, answers.confidence, lowest=0.0)
        return Measured(interval=interval, unscored=unscored)

    def value_of(self, spec: MetricSpec, answers: ArmAnswers) -> float | None:
        """Return the mean."""
        values = known(self.case_means(spec, answers.results))
        return float(values.mean()) if len(values) else None

    def compare(self, spec: MetricSpec, answers: ComparedAnswers) -> Difference | None:
        """Return the mean of the cases' differences, with McNemar's test where they are yes or no."""
        ours, theirs = (self.case_means(spec, side) for side in (answers.ours, answers.theirs))
        difference = known({name: ours[name] - theirs[name] for name in ours})
        to_compare = len(ours.keys() - self.without_value(spec, answers.ours))
        if not len(difference):
            return Difference(interval=None, to_compare=to_compare)
        if self.yes_or_no:
            interval = rate_difference_interval(difference, confidence=answers.confidence)
            return Difference(interval=interval, test=mcnemar(difference), yes_or_no=difference, to_compare=to_compare)
        interval = _bounded(spec, difference, answers.suite.seed, answers.confidence, lowest=-1.0)
        return Difference(interval=interval, to_compare=to_compare)

    def without_value(self, spec: MetricSpec, results: Sequence[CaseResult]) -> set[str]:
        """Return the cases to which the figure does not apply, whatever is answered."""
        return set()


def _bounded(spec: MetricSpec, values: Floats, seed: int, confidence: float, *, lowest: float) -> Interval:
    """Return the mean's interval; a rate's values, or their differences, lie between ``lowest`` and 1."""
    bounds = (lowest, 1.0) if spec.unit is Unit.RATE else None
    return mean_interval(values, seed=seed, confidence=confidence, bounds=bounds)


class MeanScore(CaseValues):
    """The mean of a score."""

    name = "mean"
    scores_cases = True

    def value(self, spec: MetricSpec, item: CaseResult) -> float:
        """Return the answer's score."""
        score = item.scores.get(spec.score)
        return math.nan if score is None or score.value is None else score.value

    def without_value(self, spec: MetricSpec, results: Sequence[CaseResult]) -> set[str]:
        """Return the cases that leave the scorer nothing to score."""
        found = ((item.case_id, item.scores.get(spec.score)) for item in results)
        return {case_id for case_id, score in found if score is not None and not score.applies}

    def ceiling(self, spec: MetricSpec, cases: Sequence[Sequence[ScoredReference]], seed: int) -> Interval | None:
        """Return the mean over cases of the mean over a case's texts, because texts of one case are not independent."""
        means = []
        for texts in cases:
            kept = [value for text in texts if (value := text.scores.get(spec.score)) is not None]
            if kept:
                means.append(sum(kept) / len(kept))
        return self._ceiling_interval(np.array(means, dtype=float), seed) if means else None

    def _ceiling_interval(self, means: Floats, seed: int) -> Interval:
        return mean_interval(means, seed=seed)


class RateScore(MeanScore):
    """The share of cases whose score is yes."""

    name = "rate"
    yes_or_no = True

    def _ceiling_interval(self, means: Floats, seed: int) -> Interval:
        # A case is one draw, however many texts it has; unlike a bootstrap, this interval keeps its width at 0 and 1.
        wilson = rate_interval(round(float(means.sum())), len(means))
        return replace(wilson, value=float(means.mean()))


class JudgeScore(CaseValues):
    """The mean of a judge's grades; every case without a grade counts as unscored."""

    name = "judge"

    def value(self, spec: MetricSpec, item: CaseResult) -> float:
        """Return the judge's grade of the answer."""
        score = item.scores.get(spec.score)
        return math.nan if score is None or score.value is None else score.value

    def unscored(self, spec: MetricSpec, answers: ArmAnswers, scored: int) -> int:
        """Return the number of cases without a grade; a judge may fail to grade an answer that exists."""
        return len({item.case_id for item in answers.results}) - scored


class JudgeRate(JudgeScore):
    """The share of cases of which a judge says yes."""

    name = "judge_rate"
    yes_or_no = True


class AnsweredRate(CaseValues):
    """The share of cases that were answered."""

    name = "answered"
    yes_or_no = True

    def value(self, spec: MetricSpec, item: CaseResult) -> float:
        """Return 1 for an answer and 0 for a failure."""
        return float(item.result.failure is None)

    def unscored(self, spec: MetricSpec, answers: ArmAnswers, scored: int) -> int:
        """Return 0, because a failure has a value here."""
        return 0


class MeanCost(CaseValues):
    """The mean cost of an answer in USD; ``score`` names the cost: metered, cold or warm."""

    name = "cost"
    axis: ClassVar[Axis] = "cost"
    relative = True

    def value(self, spec: MetricSpec, item: CaseResult) -> float:
        """Return the answer's cost in USD."""
        cost = item.result.cost
        return math.nan if cost is None or item.result.failure else float(getattr(cost, f"{spec.score}_usd"))

    def unscored(self, spec: MetricSpec, answers: ArmAnswers, scored: int) -> int:
        """Return the cases without a price."""
        return len({item.case_id for item in answers.results}) - scored

    def compare(self, spec: MetricSpec, answers: ComparedAnswers) -> Difference | None:
        """Return the change of the summed cost as a share of production's cost."""
        costs = [self.case_means(spec, side) for side in (answers.ours, answers.theirs)]
        both = [name for name, cost in costs[0].items() if not math.isnan(cost + costs[1][name])]
        if not both:
            return Difference(interval=None)
        candidate, baseline = (np.array([side[name] for name in both]) for side in costs)
        seed = answers.suite.seed
        if float((resample_weights(len(both), seed) @ baseline).min()) <= 0:  # nothing to be a share of
            return Difference(interval=None, note=_FREE, comparable=False)
        return Difference(
            interval=difference_interval(
                _total(candidate),
                _total(baseline),
                len(both),
                seed=seed,
                confidence=answers.confidence,
                relative=True,
            )
        )


def _total(values: Floats) -> Statistic:
    return lambda weights: weights @ values
