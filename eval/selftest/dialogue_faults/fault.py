"""A kind of fault that conversations of one task can have, and the metrics that must detect it."""

from collections.abc import Callable
from dataclasses import dataclass

from eval.dialogue.mutations import Gold
from eval.spine.cases import Case
from eval.spine.results import CaseResult


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueFault:
    """One kind of fault.

    ``plant`` returns a case's gold run with it, or None where it makes no sense; without ``plant`` it makes sense everywhere.
    ``edit`` changes what became of the conversation before it is scored, such as its time. The fault counts as caught when the
    verdict is not pass and one of ``targets`` (metrics) did not pass.
    """

    kind: str
    targets: tuple[str, ...]
    plant: Callable[[Case], Gold | None] | None = None
    edit: Callable[[CaseResult], CaseResult] | None = None
