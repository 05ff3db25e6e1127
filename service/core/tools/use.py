"""What came of the use of a tool, and the trace of a run's steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from service.core.llm.model_call import AnswerOrigin
from service.core.llm.pricing import Usage

OutcomeStatus = Literal["done", "failed", "refused", "too_late"]
RefusalReason = Literal["not_allowed", "wrong_arguments", "unproven_argument", "undecided_effect", "tools_down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What came of a use. ``content`` is the JSON text that the model reads, also of a failure.

    ``done``: the tool answered. ``failed``: it raised an error, or its answer was too long or no JSON. ``too_late``: it did not
    answer within the run's time. ``refused``: it was not called, for ``reason``.
    ``repeated`` means that the effect ledger knew the outcome of an equal call, and the tool was not called again. ``undecided``
    means that nobody knows whether a tool that writes did so.
    """

    status: OutcomeStatus
    content: str
    reason: RefusalReason | None = None
    ms: float = 0.0
    repeated: bool = False
    undecided: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedStep:
    """One step of a run: a model call (``model``) or the use of a tool (``tool``), in the order in which they ended.

    ``name`` is that of the tool, or of the asked part of the pair, "main" for the main prompt. ``content`` is the tool's answer,
    or the output that was read from the model's. ``model`` is the id of the asked model; ``answered_by``, ``origin`` and
    ``usage`` are those of its reply. ``ms`` is the step's time. ``cost_usd``
    is None for a model without prices, and 0 for a tool.
    """

    kind: Literal["model", "tool"]
    name: str
    status: str
    ms: float
    cost_usd: float | None = 0.0
    arguments: Mapping[str, Any] | None = None
    content: str = ""
    reason: RefusalReason | None = None
    undecided: bool = False
    model: str = ""
    answered_by: str = ""
    origin: AnswerOrigin | None = None
    usage: Usage = field(default_factory=Usage)
