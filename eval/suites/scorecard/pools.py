"""Figures over all criteria of all calls: accuracy, evidence and failed required criteria.

The bootstrap draws cases, not criteria, because the answers about one call are correlated. A case's repeats weigh as one answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eval.spine.cases import Case
from eval.suites.scorecard.labels import answered_pairs, card_of, in_labelled_turn, shows, turns_of
from eval.verdict.pooled import Ratio
from service.core.run.task import TaskResult
from service.core.tasks.scorecard.arithmetic import Rating


def _shared(of: float, among: float, results: Sequence[TaskResult]) -> dict[str, float]:
    return {"of": of / len(results), "among": among / len(results)} if among else {}


class Accuracy(Ratio):
    """Criteria answered as labelled, among all labelled ones."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return correct answers and all labels."""
        pairs = [pair for result in results for pair in answered_pairs(case, result)]
        return _shared(sum(item.verdict == label.verdict for label, item in pairs), len(pairs), results)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrongly(Ratio):
    """Share of the criteria with another label that were answered ``answer``.

    Each wrong verdict counts once, in the figure of the verdict that was given. A figure over all verdicts hides a pair whose
    few errors all go one way: criteria that do not count, failures that nobody hears of, failures that were none.
    """

    answer: Rating

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return these answers, and all criteria with another label."""
        others = [
            item for result in results for label, item in answered_pairs(case, result) if label.verdict != self.answer
        ]
        return _shared(sum(item.verdict == self.answer for item in others), len(others), results)


class QuotesVerified(Ratio):
    """Share of the answers that owe a quote whose quote somebody said who can show it.

    A yes without a quote counts as not verified. So does a yes that quotes the customer: what the agent did is not shown by what
    the customer says. This can fail for a pair whose quotes code takes from the transcript, where every quote was said.
    """

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return quotes that show something, and all that were given or are missing."""
        owed = [
            item.evidence == "verified" and not (item.verdict == "yes" and item.speaker == "customer")
            for result in results
            for item in card_of(result.output or "").criteria
            if item.evidence != "none"
        ]
        return _shared(sum(owed), len(owed), results)


class EvidenceRight(Ratio):
    """Share of the evidence that shows what it is cited for: words of the labelled turn, for the labelled verdict.

    An answer that owes no quote and gives none does not count, nor does one that is right about something that was not said.
    """

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return evidence that is right, and all that was given or is missing."""
        pairs = [
            (label, item)
            for result in results
            for label, item in answered_pairs(case, result)
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
            for label, item in answered_pairs(case, result)
            if label.turn is not None and item.verdict == label.verdict
        ]
        right = sum(item.evidence == "verified" and item.turn == label.turn for label, item in pairs)
        return _shared(right, len(pairs), results)


class EvidenceWords(Ratio):
    """Share of the right verdicts' quotes from a labelled turn that hold the labelled words, at least half of the shorter.

    A turn says many things: its emptiest words are verified, come from the right turn and show nothing.
    """

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return quotes with the labelled words, and all that could hold them."""
        turns = turns_of(case)
        quoted = [
            shows(item, label, turns)
            for result in results
            for label, item in answered_pairs(case, result)
            if in_labelled_turn(item, label)
        ]
        return _shared(sum(quoted), len(quoted), results)


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
    for label, item in answered_pairs(case, result):
        if item.required:
            yield label.verdict == "no", item.verdict == "no"
