"""A conversation between a company and one of its customers; its messages are records of their own."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.core.unit.channel import Channel
from service.core.unit.customer import Customer

ConversationState = Literal["open", "handed_over", "closed"]


class Conversation(BaseModel):
    """Whose conversation it is and how it stands.

    ``tenant`` is None where the company has no tenants. ``channels`` are those that it has used, in order of their first use.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    tenant: str | None = None
    customer: Customer = Customer()
    state: ConversationState = "open"
    channels: tuple[Channel, ...] = Field(min_length=1)

    @property
    def channel(self) -> Channel:
        """The channel that was used last for the first time: where the customer is."""
        return self.channels[-1]
