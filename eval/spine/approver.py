"""The port to the part of a task's pairs that approves what leaves, so that it is measured as judges are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from eval.spine.judge_spec import JudgeSpec
from service.core.unit.pair import Pair
from service.core.unit.question import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Whether the part approved a text, and why not."""

    approved: bool
    reasons: tuple[str, ...] = ()


class Approver(Protocol):
    """How a task's pairs approve a text, without the rest of the run.

    ``part`` names the part of the pair that decides. ``spec`` says what agreement with labels it must reach to be called
    calibrated; its score never gates.
    """

    part: str
    spec: JudgeSpec

    def question(self, text: str, inputs: Any, pair: Pair) -> Question:
        """Return what the part is asked about ``text``."""
        ...

    def read(self, answer: str, pair: Pair) -> Approved:
        """Return the decision in the part's answer, which the question's ``read`` has checked."""
        ...

    def refused_by_code(self, text: str, inputs: Any, pair: Pair) -> Sequence[str]:
        """Return the kinds of objections for which code refuses ``text`` before the part is asked; empty if it has none."""
        ...

    def is_own_family(self, pair: Pair) -> bool:
        """Return whether the part's model is of the family of a model that writes what it approves."""
        ...
