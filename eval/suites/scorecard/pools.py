"""Figures over all criteria of all calls: accuracy, Cohen's kappa, evidence, failed required criteria, self-agreement.

The bootstrap draws cases, not criteria, because the answers about one call are correlated. A case's repeats weigh as one answer.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from eval.cases import Case
from eval.suites.scorecard.labels import Label, card_of, form_of, labels_of
from eval.verdict.pooled import Ratio, kappa_of
from figures.arrays import Floats
from service.task import TaskResult
from service.tasks.scorecard.card import CriterionResult

# One of four answers: a criterion without a verdict counts as a wrong answer, so it needs its own column.
_ANSWERS = ("yes", "no", "na", "none")
# With fewer labelled calls a criterion's kappa is too uncertain to average.
LEAST_CALLS = 5


def _answered(case: Case, result: TaskResult) -> Iterator[tuple[Label, CriterionResult]]:
    labels = labels_of(case).answers
    for item in card_of(result.output or "").criteria:
        if item.id in labels:
            yield labels[item.id], item


def _shared(of: float, among: float, results: Sequence[TaskResult]) -> dict[str, float]:
    return {"of": of / len(results), "among": among / len(results)} if among else {}


class Accuracy(Ratio):
    """Criteria answered as labelled, among all labelled ones."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return correct answers and all labels."""
        pairs = [pair for result in results for pair in _answered(case, result)]
        return _shared(sum(item.verdict == label.verdict for label, item in pairs), len(pairs), results)


class QuotesVerified(Ratio):
    """Share of the answers that owe a quote whose quote occurs in the transcript: a yes without one counts as not verified."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return verified quotes, and all that were given or are missing."""
        owed = [
            item.evidence
            for result in results
            for item in card_of(result.output or "").criteria
            if item.evidence != "none"
        ]
        return _shared(owed.count("verified"), len(owed), results)


class EvidenceRight(Ratio):
    """Share of the evidence that shows what it is cited for: words of the labelled turn, for the labelled verdict.

    Unlike ``quotes_verified`` it can fail for a pair whose quotes code takes from the transcript. An answer that owes no quote
    and gives none does not count, nor does one that is right about something that was not said.
    """

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return evidence that is right, and all that was given or is missing."""
        pairs = [
            (label, item)
            for result in results
            for label, item in _answered(case, result)
            if item.evidence != "none" and not (label.turn is None and item.verdict == label.verdict)
        ]
        right = sum(
            item.verdict == label.verdict and item.evidence == "verified" and item.turn == label.turn
            for label, item in pairs
        )
        return _shared(right, len(pairs), results)


class YesProven(Ratio):
    """Share of the answers "yes" whose quote occurs in the transcript."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return proven ones and all."""
        said = [
            item.evidence
            for result in results
            for item in card_of(result.output or "").criteria
            if item.verdict == "yes"
        ]
        return _shared(said.count("verified"), len(said), results)


class RightTurn(Ratio):
    """Share of verified quotes from the labelled turn, among correctly answered criteria with a labelled turn."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return quotes from the labelled turn, and criteria that could have one."""
        pairs = [
            (label, item)
            for result in results
            for label, item in _answered(case, result)
            if label.turn is not None and item.verdict == label.verdict
        ]
        right = sum(item.evidence == "verified" and item.turn == label.turn for label, item in pairs)
        return _shared(right, len(pairs), results)


class RequiredFailRecall(Ratio):
    """Share of the labelled failures of required criteria that were found; each one missed would have failed the call."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return failures both labelled and found, and all labelled ones."""
        pairs = [pair for result in results for pair in _required(case, result)]
        return _shared(pairs.count((True, True)), sum(labelled for labelled, _ in pairs), results)


class RequiredFailPrecision(Ratio):
    """Share of the reported failures of required criteria that are labelled; each other one would fail a call unjustly."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return failures both labelled and reported, and all reported ones."""
        pairs = [pair for result in results for pair in _required(case, result)]
        return _shared(pairs.count((True, True)), sum(said for _, said in pairs), results)


def _required(case: Case, result: TaskResult) -> Iterator[tuple[bool, bool]]:
    """Return, for each required criterion, whether it is labelled failed and whether it was reported failed."""
    for label, item in _answered(case, result):
        if item.required:
            yield label.verdict == "no", item.verdict == "no"


class SelfAgreement(Ratio):
    """Share of pairs of repeated answers to a criterion that agree; undefined without repeats."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return agreeing pairs and all, per pair of repeats."""
        verdicts = [{item.id: item.verdict for item in card_of(result.output or "").criteria} for result in results]
        pairs = list(combinations(verdicts, 2))
        agreed = sum(one[name] == other[name] for one, other in pairs for name in one)
        compared = sum(len(one) for one, _ in pairs)
        return {"of": agreed / len(pairs), "among": compared / len(pairs)} if compared else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Cohen's kappa of answers with labels: over all criteria as one table, or as a mean of kappas per criterion.

    ``per_criterion``: the unweighted mean over the criteria of all forms that have at least ``least`` labelled calls.
    """

    per_criterion: bool = False
    least: float = LEAST_CALLS
    bounds: tuple[float, float] = (-1.0, 1.0)

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return the counts of label and answer combinations, by criterion or for all criteria together."""
        form_id = form_of(case).form_id if self.per_criterion else ""
        found = Counter(
            f"{form_id}/{item.id if self.per_criterion else ''}|{label.verdict}|{item.verdict or 'none'}"
            for result in results
            for label, item in _answered(case, result)
        )
        return {name: count / len(results) for name, count in found.items()}

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return kappa, or the mean over criteria whose kappa is defined."""
        kappas, calls = self._tables(names, sums)
        kappas = np.where(calls >= self.least, kappas, math.nan) if self.per_criterion else kappas
        counted = ~np.isnan(kappas)
        total = np.where(counted, kappas, 0.0).sum(axis=1)
        count = counted.sum(axis=1)
        mean: Floats = np.divide(total, count, out=np.full(len(sums), math.nan), where=count > 0)
        return mean

    def by_criterion(self, names: Sequence[str], sums: Floats) -> dict[str, tuple[float, float]]:
        """Return ``form/criterion`` -> (kappa, calls) of one row of sums."""
        kappas, calls = self._tables(names, sums.reshape(1, -1))
        return {name: (float(kappas[0, place]), float(calls[0, place])) for place, name in enumerate(_criteria(names))}

    def _tables(self, names: Sequence[str], sums: Floats) -> tuple[Floats, Floats]:
        criteria = {name: place for place, name in enumerate(_criteria(names))}
        tables = np.zeros((len(sums), len(criteria), len(_ANSWERS), len(_ANSWERS)))
        for column, name in enumerate(names):
            criterion, label, answer = name.split("|")
            tables[:, criteria[criterion], _ANSWERS.index(label), _ANSWERS.index(answer)] = sums[:, column]
        return kappa_of(tables), tables.sum(axis=(-2, -1))


def _criteria(names: Sequence[str]) -> list[str]:
    return sorted({name.split("|")[0] for name in names})
