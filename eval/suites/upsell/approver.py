"""How a pair of ``upsell`` approves a message: by code first, then by its judge's score."""

from collections.abc import Sequence
from typing import Any

from eval.spine.approver import Approved
from eval.spine.judge_spec import JudgeSpec
from service.core.tasks.upsell import TASK, own_family
from service.core.tasks.upsell.checks import objections
from service.core.tasks.upsell.customer import UpsellInputs
from service.core.tasks.upsell.guidelines import guidelines_of
from service.core.tasks.upsell.message import Draft, DraftGrade
from service.core.unit.pair import Pair
from service.core.unit.question import Question


class MessageApprover:
    """See ``Approver``."""

    part = "judge"
    spec = JudgeSpec(
        rubric="approval",
        bad_kinds=(),
        reason="what it approves leaves; measured against labels of people who have not read its rubric",
    )

    def question(self, text: str, inputs: Any, pair: Pair) -> Question:
        """See ``Approver.question``."""
        assert isinstance(inputs, UpsellInputs)
        return TASK.judge_question(text, inputs, pair)

    def read(self, answer: str, pair: Pair) -> Approved:
        """See ``Approver.read``: approved from the guidelines' ``approve_at`` on."""
        grade = DraftGrade.model_validate_json(answer)
        return Approved(approved=grade.score >= guidelines_of(pair).approve_at, reasons=grade.reasons)

    def refused_by_code(self, text: str, inputs: Any, pair: Pair) -> Sequence[str]:
        """See ``Approver.refused_by_code``; the offer is the one with the longest name in the text."""
        assert isinstance(inputs, UpsellInputs)
        folded = text.casefold()
        named = [offer for offer in inputs.open_offers() if offer.name.casefold() in folded]
        offer_id = max(named, key=lambda offer: len(offer.name)).id if named else ""
        draft = Draft(send=True, reason="", offer_id=offer_id, message=text)
        return tuple(dict.fromkeys(one.kind for one in objections(draft, inputs, guidelines_of(pair))))

    def is_own_family(self, pair: Pair) -> bool:
        """See ``Approver.is_own_family``."""
        return own_family(pair)
