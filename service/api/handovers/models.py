"""What the operations for agents take and return."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.api.conversations.models import SaidInConversation, said_in
from service.api.examples import examples
from service.conversations.model import MOST_SAID, KeptConversation
from service.core.unit.conversation import ConversationState
from service.desk.handover import CustomerHandover, HandoverEnd, HandoverState, HandoverSummary
from service.kit.frame.strict import NO_SPACE


class _Shown(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListedHandover(_Shown):
    """A handover without anything that the customer said; urgency 1 comes first, 5 last."""

    handover_id: str
    task: str
    reason: str
    urgency: int
    channel: str
    waiting_since: AwareDatetime
    taken_at: AwareDatetime | None
    conversation_turns: int
    topics_discussed: list[str]

    @classmethod
    def of(cls, handover: CustomerHandover) -> Self:
        """Return the entry for ``handover``."""
        summary = handover.summary
        return cls(
            handover_id=handover.handover_id,
            task=handover.task,
            reason=handover.reason,
            urgency=handover.urgency,
            channel=handover.context.get("channel", "other"),
            waiting_since=handover.requested_at,
            taken_at=handover.taken_at,
            conversation_turns=0 if summary is None else summary.conversation_turns,
            topics_discussed=[] if summary is None else list(summary.topics_discussed),
        )


class HandoverList(_Shown):
    """Who waits, the most urgent first and then the longest waiting, and whom this agent has taken."""

    model_config = ConfigDict(json_schema_extra=examples("HandoverList"))

    waiting: list[ListedHandover]
    taken: list[ListedHandover]


class HandoverAnswer(_Shown):
    """A handover that this agent has taken. ``summary`` is None once it has ended.

    ``said`` holds the conversation so far, oldest first; ``conversation`` is its state, None where this service does not keep it,
    as where a client keeps its conversations itself.
    """

    model_config = ConfigDict(json_schema_extra=examples("HandoverAnswer"))

    handover_id: str
    task: str
    reason: str
    state: HandoverState
    waiting_since: AwareDatetime
    taken_at: AwareDatetime | None
    ended: HandoverEnd | None
    summary: HandoverSummary | None
    context: dict[str, str]
    conversation: ConversationState | None
    said: list[SaidInConversation]

    @classmethod
    def of(cls, handover: CustomerHandover, conversation: KeptConversation | None) -> Self:
        """Return the body for a handover and its conversation."""
        return cls(
            handover_id=handover.handover_id,
            task=handover.task,
            reason=handover.reason,
            state=handover.state,
            waiting_since=handover.requested_at,
            taken_at=handover.taken_at,
            ended=handover.ended,
            summary=handover.summary,
            context=handover.context,
            conversation=None if conversation is None else conversation.state,
            said=[] if conversation is None else said_in(conversation),
        )


class TakeRequest(BaseModel):
    """The name under which the customer gets to know the agent."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("TakeRequest"))

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=NO_SPACE)]


class AgentMessage(BaseModel):
    """What the agent says to the customer."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("AgentMessage"))

    message: Annotated[str, StringConstraints(min_length=1, max_length=MOST_SAID, pattern=NO_SPACE)]
    message_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,80}$")] | None = Field(
        default=None, description="Sent again under the same id, a message is said once; by default the request's id"
    )


class CloseRequest(BaseModel):
    """How the handover ended. ``callback`` arranges one: it needs the number, and may say when."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("CloseRequest"))

    ended: HandoverEnd
    phone: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=NO_SPACE)] | None
    ) = None
    when: Literal["soon", "morning", "afternoon"] = "soon"

    @model_validator(mode="after")
    def _a_callback_needs_a_number(self) -> Self:
        if (self.ended == "callback") != (self.phone is not None):
            raise ValueError("a callback needs the phone number, and no other end has one")
        return self
