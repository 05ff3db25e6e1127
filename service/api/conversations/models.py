"""What the operations on conversations take and return."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.api.examples import examples
from service.conversations.model import MOST_SAID, KeptConversation, KeptMessage, MadeBy
from service.conversations.service import TakenTurn
from service.core.run.dialogue.turn import ReplyAction
from service.core.unit.channel import Channel, ConversationChannel
from service.core.unit.conversation import ConversationState

HANDED_OVER = "A person from our team is taking over. They will read what you write here and answer."
TAKEN_OVER = "You are talking with {person} from our team. The AI assistant is silent."
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_Value = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ConversationStart(BaseModel):
    """How a conversation starts. ``session`` holds what the channel has verified, such as the account of a logged-in customer."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("ConversationStart"))

    key: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="The channel's own id: started again with it, the conversation is the same"
    )
    channel: ConversationChannel = Channel.CHAT
    session: dict[_Name, _Value] = Field(
        default_factory=dict, max_length=20, json_schema_extra={"additionalProperties": False}
    )


class CustomerMessage(BaseModel):
    """What the customer says."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("CustomerMessage"))

    message: Annotated[str, StringConstraints(min_length=1, max_length=MOST_SAID, pattern=r"\S")]
    message_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,80}$")] | None = Field(
        default=None,
        description="Sent again under the same id, a message gets the same reply; by default the request's id",
    )


class _Shown(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SaidInConversation(_Shown):
    """What one side said, and when it, or the customer's message that it answers, arrived. ``person``: whoever has taken over."""

    by: Literal["customer", "assistant", "person"]
    text: str
    message_id: str | None
    at: str


class PlaceInQueue(_Shown):
    """Where a customer stands who waits for a person; position 1 is next. ``message`` says it in words for the customer."""

    position: int
    estimated_wait_minutes: int
    message: str


class ConversationAnswer(_Shown):
    """A conversation as a page shows it. ``waiting`` are ids of messages that are not answered yet.

    ``unanswered`` are ids of messages that no model answered; they may be sent again. ``notice`` is for the customer. ``person``
    names whoever has taken over; ``queue`` is the customer's place as long as nobody has, None if it is not known.
    """

    model_config = ConfigDict(json_schema_extra=examples("ConversationAnswer"))

    conversation_id: str
    task: str
    state: ConversationState
    said: list[SaidInConversation]
    waiting: list[str]
    unanswered: list[str]
    notice: str | None
    person: str | None
    queue: PlaceInQueue | None

    @classmethod
    def of(cls, conversation: KeptConversation, queue: PlaceInQueue | None = None, **more: Any) -> Self:
        """Return the body for ``conversation``, whose customer waits at a place in the ``queue``."""
        open_ = conversation.state == "open"
        return cls(
            conversation_id=conversation.id,
            task=conversation.task,
            state=conversation.state,
            said=said_in(conversation),
            waiting=[each.id for each in conversation.waiting],
            unanswered=list(conversation.unanswered) if open_ else [],
            notice=_notice(conversation),
            person=conversation.person,
            queue=queue,
            **more,
        )


class StartedConversation(ConversationAnswer):
    """A conversation with a token for it alone, None if the service runs without access control."""

    model_config = ConfigDict(json_schema_extra=examples("StartedConversation"))

    token: str | None
    expires_in: int
    page: str = Field(
        description="Where the customer can go on in a browser; what is behind the # is not sent to a server"
    )


class TurnAnswer(_Shown):
    """The reply to a message; ``reply`` is None, and ``notice`` says why, once a person has taken over.

    ``reason`` is why a person was called in. ``made_by`` names the pair that replied and the request, for feedback.
    ``repeated``: the message was answered before.
    """

    model_config = ConfigDict(json_schema_extra=examples("TurnAnswer"))

    conversation_id: str
    message_id: str
    state: ConversationState
    reply: str | None
    action: ReplyAction | None
    asks: list[str]
    reason: str | None
    notice: str | None
    made_by: MadeBy | None
    repeated: bool

    @classmethod
    def of(cls, turn: TakenTurn) -> Self:
        """Return the body for ``turn``."""
        conversation, reply = turn.conversation, None if turn.reply is None else turn.reply.reply
        return cls(
            conversation_id=conversation.id,
            message_id=turn.message.id,
            state=conversation.state,
            reply=None if reply is None else reply.reply,
            action=None if reply is None else reply.action,
            asks=[] if reply is None else list(reply.asks),
            reason=conversation.reason,
            notice=_notice(conversation),
            made_by=None if turn.reply is None else turn.reply.made_by,
            repeated=turn.repeated,
        )


def _notice(conversation: KeptConversation) -> str | None:
    if conversation.state != "handed_over":
        return None
    return HANDED_OVER if conversation.person is None else TAKEN_OVER.format(person=conversation.person)


def said_in(conversation: KeptConversation) -> list[SaidInConversation]:
    """Return what was said in a conversation, oldest first, with what is not answered yet."""
    asked = {each.id: each for each in conversation.messages if each.author == "customer"}
    waiting = (each.message for each in conversation.waiting)
    return [_said(each, asked) for each in (*conversation.shown, *waiting)]


def _said(message: KeptMessage, asked: Mapping[str, KeptMessage]) -> SaidInConversation:
    # A reply has the id and the time of the message that it answers, and the assistant's first words have no id.
    answered = None if message.reply_to is None else asked.get(message.reply_to)
    return SaidInConversation(
        by=message.author,
        text=message.text,
        message_id=message.reply_to if message.author == "assistant" else message.id,
        at=(answered or message).at.isoformat(),
    )
