"""The record of a conversation: the output that scorers and reports read."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.core.run.dialogue.turn import DialogueReply
from service.core.tools.use import OutcomeStatus, RefusalReason
from service.kit.frame.errors import FailureCode

# How a conversation ended. `answered`: the customer has what they came for; `failed`: a turn gave no reply.
Ending = Literal["answered", "closed", "handover", "patience", "not understood", "failed"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UseRecord(_Frozen):
    """A use of a tool. ``allowed``: the pair names it. ``undecided``: nobody knows whether it did what it was called for."""

    tool: str
    arguments: Mapping[str, Any]
    status: OutcomeStatus
    content: str
    allowed: bool = True
    writes: bool = False
    undecided: bool = False
    reason: RefusalReason | None = None


class TurnRecord(_Frozen):
    """A message of the customer with what the task made of it; ``reply`` is None after a failure.

    ``confirms``: the message says yes to what the customer was asked to confirm. ``reopens``: it takes a fact back or makes
    another request, so that an earlier yes is none to what comes after it. ``more`` are the fields that a task adds to its
    replies, such as an intent, for scorers of its own.
    """

    message: str
    confirms: bool = False
    reopens: bool = False
    reply: DialogueReply | None = None
    more: Mapping[str, Any] = Field(default_factory=dict)
    uses: tuple[UseRecord, ...] = ()
    failure: FailureCode | None = None
    rejected: str = ""  # the text of an answer that was no reply


class ConversationRecord(_Frozen):
    """A whole conversation. ``changes`` are the differences of the world's end from its start, by dotted path.

    ``unscored`` says why the conversation proves nothing, such as a scripted customer who did not understand.
    """

    turns: tuple[TurnRecord, ...]
    ended: Ending
    changes: Mapping[str, Any]
    unscored: str = ""

    @property
    def uses(self) -> tuple[UseRecord, ...]:
        """All uses of tools, in order."""
        return tuple(use for turn in self.turns for use in turn.uses)

    @property
    def replies(self) -> tuple[str, ...]:
        """What the customer was told, in order."""
        return tuple(turn.reply.reply for turn in self.turns if turn.reply is not None)
