"""One message of a conversation: who said what to whom, on which channel, and in which place."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.core.unit.channel import Channel

Author = Literal["customer", "assistant", "person"]
Direction = Literal["inbound", "outbound"]
NOT_PLACED = 0


class Media(BaseModel):
    """Something beside the text of a message: a picture, a recording, a file. ``at`` says where it is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description="Its media type, such as image/png")
    at: str
    name: str = ""


class Message(BaseModel):
    """What one side said.

    Attributes:
        id: the message's own id, which its author's other messages in the conversation do not have.
        conversation: the id of the conversation.
        channel: on which it arrived or left.
        author: the customer, the assistant, or a person of the company.
        at: when it was said, or when it arrived.
        seq: its place in the conversation, from 1; ``NOT_PLACED`` until it has one. Messages of a conversation have
            different places, and a place does not change.
        text: the words; "" for one that is nothing but media.
        media: what came with the words.
        provider_id: the channel provider's own id of it, such as an e-mail's Message-ID.
        reply_to: the id of the message that it answers; None for one that begins something.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    conversation: str
    channel: Channel
    author: Author
    at: AwareDatetime
    seq: int = Field(default=NOT_PLACED, ge=NOT_PLACED)
    text: str
    media: tuple[Media, ...] = ()
    provider_id: str | None = None
    reply_to: str | None = None

    @property
    def direction(self) -> Direction:
        """Whether it came from the customer or went to them."""
        return "inbound" if self.author == "customer" else "outbound"

    @property
    def key(self) -> str:
        """What tells it from the other messages of its conversation: two authors may use the same id."""
        return f"{self.author}/{self.id}"
