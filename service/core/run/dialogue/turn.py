"""One turn of a conversation: what the task is given, and what it replies. A task may extend both models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ReplyAction = Literal["answer", "clarify", "handover", "close"]
MOST_HISTORY = 40
MOST_CHARS = 4_000


class Spoken(BaseModel):
    """What one side said earlier in the conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["customer", "assistant"]
    text: str = Field(max_length=MOST_CHARS)


class DialogueInputs(BaseModel):
    """A customer's message, with what was said before it, oldest first.

    ``session`` holds values that the channel has verified, such as the number of the account that the caller logged in to. They
    may be arguments of writing tools, so only a trusted caller may fill them. ``conversation_id`` names the conversation in the
    effect ledger: an equal writing call is made once in it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    conversation_id: str = Field(pattern=r"^[A-Za-z0-9_.-]{3,80}$")
    message: str = Field(min_length=1, max_length=MOST_CHARS)
    history: tuple[Spoken, ...] = Field(default=(), max_length=MOST_HISTORY)
    session: Mapping[str, str] = Field(default_factory=dict)

    @property
    def said(self) -> tuple[str, ...]:
        """The customer's own words in the whole conversation."""
        return (*(turn.text for turn in self.history if turn.by == "customer"), self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverFacts:
    """What a task's own code reads out of a conversation for the person who takes it over: no model words it.

    ``query`` is the customer's message that says best what they want.
    """

    query: str
    topics: tuple[str, ...] = ()
    collected: Mapping[str, str] = field(default_factory=dict)


class HandoverNote(BaseModel):
    """Why a person takes over, and what that person needs to know to go on without asking again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(min_length=1, max_length=80)
    context: str = Field(min_length=1, max_length=2_000)


class DialogueReply(BaseModel):
    """The reply to a turn.

    ``asks`` names what the reply asks the customer for; ``action`` is what the reply does with the conversation: ``answer`` it,
    ``clarify`` what the customer wants, hand it over to a person, or ``close`` it.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"reply": "Parcel AB123456 is due on Friday.", "action": "answer"}]},
    )

    reply: str = Field(min_length=1, max_length=MOST_CHARS)
    action: ReplyAction
    asks: tuple[str, ...] = ()
    handover: HandoverNote | None = None

    def fault(self) -> str:
        """Return in one sentence why the parts of the reply do not fit together; "" if they do."""
        if (self.action == "handover") != (self.handover is not None):
            return "a handover needs its note, and nothing else may have one"
        return "only a reply that clarifies may ask for something" if self.asks and self.action != "clarify" else ""
