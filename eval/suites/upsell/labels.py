"""The labels of a case of ``upsell``: whether this customer is sold something now, and what suits."""

from collections.abc import Mapping, Sequence
from typing import Literal

from eval.spine.cases import Case, Expectations
from eval.spine.scorer import parsed_output
from eval.verdict.pooled import Ratio
from figures.arrays import Floats
from service.core.run.task import TaskResult
from service.core.tasks.upsell.customer import SuppressionReason
from service.core.tasks.upsell.message import UpsellMessage

LabelledDecision = Literal["send", "suppressed"]


class UpsellExpectations(Expectations):
    """``reasons`` are those that hold where nothing is to be sold; ``offers`` those that suit best, empty where any does."""

    decision: LabelledDecision
    reasons: tuple[SuppressionReason, ...] = ()
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


class OwnFamily(Ratio):
    """The share of approvals by a judge of the generator's own family of models, which likes its own; a footnote names others."""

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return such approvals, and all."""
        approvals = [
            one.approval for one in map(message_of, results) if one.decision == "send" and one.approval is not None
        ]
        if not approvals:
            return {}
        return {
            "of": sum(one.own_family for one in approvals) / len(results),
            "among": len(approvals) / len(results),
            "by_code": sum(one.by == "code" for one in approvals) / len(results),
        }

    def note(self, names: Sequence[str], counts: Floats, uncounted: int) -> str:
        """Say how many messages no judge approved, and how many one of the generator's own family did."""
        sums = dict(zip(names, counts.sum(axis=0), strict=True))
        said = {"of": "by a judge of the generator's own family", "by_code": "by code alone, without a judge"}
        return "; ".join(f"{sums[name]:.0f} approved {how}" for name, how in said.items() if sums.get(name))


class Drafts(Ratio):
    """How many drafts a customer took for whom a model was asked."""

    bounds = (1.0, 3.0)

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return drafts and customers."""
        drafts = [one.approval.drafts for one in map(message_of, results) if one.approval is not None]
        return {"of": sum(drafts) / len(results), "among": len(drafts) / len(results)} if drafts else {}
