"""The labels of a case of ``upsell``: whether this customer is sold something now, and what suits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from eval.spine.cases import Case, Expectations
from eval.spine.scorer import parsed_output
from eval.verdict.pooled import Ratio
from figures.arrays import Floats
from service.core.run.task import TaskResult
from service.core.tasks.upsell.customer import Reason
from service.core.tasks.upsell.message import UpsellMessage

Labelled = Literal["send", "suppressed"]


class UpsellExpectations(Expectations):
    """``reasons`` are those that hold where nothing is to be sold; ``offers`` those that suit best, empty where any does."""

    decision: Labelled
    reasons: tuple[Reason, ...] = ()
    offers: tuple[str, ...] = ()


def labels_of(case: Case) -> UpsellExpectations:
    """Return the case's labels.

    Raises:
        TypeError: the case was not read as one of this task.
    """
    if not isinstance(case.expectations, UpsellExpectations):
        raise TypeError(f"case {case.id!r} has no labels of upsell")
    return case.expectations


def message_of(result: TaskResult) -> UpsellMessage:
    """Return the answer of a run that did not fail."""
    return parsed_output(result.output or "", UpsellMessage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Ratio):
    """The share of the cases labelled ``label`` that got the ``decision``; with ``noted`` those whose note alone says so.

    A footnote names approvals by a judge of the generator's own family of models, which likes its own.
    """

    label: Labelled
    decision: Labelled
    noted: bool = False

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return the cases decided so, and all of them."""
        if labels_of(case).decision != self.label or (self.noted and case.slices.get("noted") is not True):
            return {}
        answers = [message_of(result) for result in results]
        approvals = [one.approval for one in answers if one.approval is not None and one.decision == "send"]
        return {
            "of": sum(one.decision == self.decision for one in answers) / len(answers),
            "among": 1,
            "own": sum(one.own_family for one in approvals) / len(answers),
            "by_code": sum(one.by == "code" for one in approvals) / len(answers),
        }

    def note(self, names: Sequence[str], counts: Floats, uncounted: int) -> str:
        """Say whose approval the figure is."""
        sums = dict(zip(names, counts.sum(axis=0), strict=True))
        if self.decision == "send" and sums.get("own"):
            return f"{sums['own']:.0f} approved by a judge of the generator's own family"
        if self.decision == "send" and sums.get("by_code"):
            return f"{sums['by_code']:.0f} approved by code alone"
        return ""


class OfferFits(Ratio):
    """The share of messages to customers who may be sold something that offer what suits them best."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return fitting offers and all."""
        labels = labels_of(case)
        sent = [one for one in map(message_of, results) if one.decision == "send"]
        if not sent or labels.decision != "send" or not labels.offers:
            return {}
        return {"of": sum(one.offer_id in labels.offers for one in sent) / len(results), "among": len(sent) / len(results)}


class Drafts(Ratio):
    """How many drafts a customer took for whom a model was asked."""

    bounds = (1.0, 3.0)

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return drafts and customers."""
        drafts = [one.approval.drafts for one in map(message_of, results) if one.approval is not None]
        return {"of": sum(drafts) / len(results), "among": len(drafts) / len(results)} if drafts else {}
