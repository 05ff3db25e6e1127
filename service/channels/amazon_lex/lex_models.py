"""What Amazon Lex V2 sends to a Lambda function and expects back.

Source: Amazon Lex V2 Developer Guide, "AWS Lambda input event format" and "AWS Lambda response format" (read 2026-11-22). The
format may gain fields without notice, so unknown ones are left out.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MOST_CHARS = 1024  # of one message
MOST_MESSAGES = 10


class _Lex(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)


class LexIntent(_Lex):
    """An intent and how far it got."""

    name: str
    state: (
        Literal["Failed", "Fulfilled", "InProgress", "ReadyForFulfillment", "Waiting", "FulfillmentInProgress"] | None
    ) = None
    confirmation_state: Literal["Confirmed", "Denied", "None"] | None = None


class LexSessionState(_Lex):
    """The state of the conversation between the customer and the bot."""

    intent: LexIntent | None = None
    session_attributes: Mapping[str, str] | None = None
    originating_request_id: str | None = None


class LexBot(_Lex):
    """The bot that called."""

    id: str
    alias_id: str = ""
    locale_id: str = ""


class LexEvent(_Lex):
    """One turn of a customer, as Lex hands it to a function."""

    session_id: str = Field(min_length=1)
    bot: LexBot
    input_transcript: str = ""
    input_mode: str = ""
    invocation_source: str = ""
    session_state: LexSessionState = LexSessionState()


class LexMessage(_Lex):
    """What the bot says, as plain text."""

    content: str = Field(min_length=1, max_length=MOST_CHARS)
    content_type: Literal["PlainText"] = "PlainText"


class LexDialogAction(_Lex):
    """What the bot does next: listen again, or end and let the contact flow go on."""

    type: Literal["ElicitIntent", "Close"]


class LexNextState(_Lex):
    """The state that the bot takes over."""

    dialog_action: LexDialogAction
    intent: LexIntent | None = None
    session_attributes: Mapping[str, str]


class LexResponse(_Lex):
    """The answer to one turn."""

    session_state: LexNextState
    messages: tuple[LexMessage, ...] = Field(max_length=MOST_MESSAGES)

    def as_json(self) -> dict[str, object]:
        """Return the answer as Lambda returns it."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
