"""What Amazon Lex V2 sends to a Lambda function and expects back.

Source: Amazon Lex V2 Developer Guide, "AWS Lambda input event format" and "AWS Lambda response format" (read 2026-11-22). The
format may gain fields without notice, so unknown ones are left out.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MOST_CHARS = 1024  # of one message
MOST_MESSAGES = 10


class _Lex(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class LexIntent(_Lex):
    """The intent that Lex has chosen."""

    name: str


class LexSessionState(_Lex):
    """The state of the conversation between the customer and the bot."""

    intent: LexIntent | None = None
    session_attributes: Mapping[str, str] | None = None
    originating_request_id: str | None = None


class LexBot(_Lex):
    """The bot that called."""

    id: str
    alias_id: str = ""


class LexEvent(_Lex):
    """One turn of a customer, as Lex hands it to a function."""

    session_id: str = Field(min_length=1)
    bot: LexBot
    input_transcript: str = ""
    session_state: LexSessionState = LexSessionState()


def lex_answer(
    action: Literal["ElicitIntent", "Close"],
    attributes: Mapping[str, str],
    texts: Iterable[str],
    intent: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Return the answer to one turn: the bot says ``texts``, then listens again or lets the contact flow go on."""
    state: dict[str, object] = {"dialogAction": {"type": action}, "sessionAttributes": dict(attributes)}
    if intent is not None:
        state["intent"] = dict(intent)
    return {"sessionState": state, "messages": [{"content": text, "contentType": "PlainText"} for text in texts]}
