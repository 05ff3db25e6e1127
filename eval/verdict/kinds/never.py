"""The kind of what must not happen: the share of cases in which it did, with an exact bound on how often it may."""

import math
from collections.abc import Sequence

from eval.spine.results import CaseResult
from eval.spine.suite import MetricSpec
from eval.verdict.kinds.case_values import MeanScore, known
from eval.verdict.kinds.kind import ArmAnswers, Measured, ScoredReference
from figures.stats import Interval, events_interval


class NeverHappens(MeanScore):
    """The share of cases in which an event happened at least once; ``score`` counts the events of an answer, 0 for none.

    The case (the conversation) is the unit: an event in one of its repeats is an event. A case without an event counts only if
    all its repeats could be scored, because the event may have happened in one that could not.
    """

    name = "never"
    yes_or_no = True

    def value(self, spec: MetricSpec, item: CaseResult) -> float:
        """Return 1 if the event happened in the answer, 0 if not, NaN if nobody can tell."""
        count = super().value(spec, item)
        return count if math.isnan(count) else float(count > 0)

    def case_means(self, spec: MetricSpec, results: Sequence[CaseResult]) -> dict[str, float]:
        """Return 1 for each case with an event, 0 for those without, NaN for those of which nobody can tell."""
        values: dict[str, list[float]] = {}
        for item in results:
            values.setdefault(item.case_id, []).append(self.value(spec, item))
        return {name: 1.0 if 1.0 in found else sum(found) for name, found in values.items()}

    def unscored(self, spec: MetricSpec, answers: ArmAnswers, scored: int) -> int:
        """Return of how many cases nobody can tell whether the event happened."""
        return len({item.case_id for item in answers.results} - self.without_value(spec, answers.results)) - scored

    def measure(self, spec: MetricSpec, answers: ArmAnswers) -> Measured:
        """Return the share with its exact one-sided bounds."""
        happened = known(self.case_means(spec, answers.results))
        unscored = self.unscored(spec, answers, len(happened))
        if not len(happened):
            return Measured(interval=None, unscored=unscored)
        interval = events_interval(int(happened.sum()), len(happened), confidence=answers.confidence)
        return Measured(interval=interval, unscored=unscored)

    def value_of(self, spec: MetricSpec, answers: ArmAnswers) -> float | None:
        """Return None: the share grows with the repeats, so that those of single repeats say nothing about it."""
        return None

    def ceiling(self, spec: MetricSpec, cases: Sequence[Sequence[ScoredReference]], seed: int) -> Interval | None:
        """Return None: references commit no events."""
        return None
