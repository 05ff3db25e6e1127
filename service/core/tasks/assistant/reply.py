"""What the assistant replies: the words, and for each fact in them the tool field that it comes from."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from service.core.run.dialogue.turn import DialogueReply


class Claim(BaseModel):
    """A part of the reply and where it comes from: ``tool``'s answer in this turn, at ``field`` (``card_details.fees``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1, max_length=2_000)
    tool: str = Field(min_length=1, max_length=64)
    field: str = Field(min_length=1, max_length=80)


class AssistantReply(DialogueReply):
    """A reply with its ledger of claims: each document, step, fee, time and branch that it states."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "reply": "The virtual card is available in the app within 1 minute.",
                    "action": "answer",
                    "asks": [],
                    "handover": None,
                    "claims": [
                        {
                            "text": "available in the app within 1 minute",
                            "tool": "get_debit_card_info",
                            "field": "card_details.delivery_time",
                        }
                    ],
                }
            ]
        },
    )

    most_claims: ClassVar[int] = 60

    claims: tuple[Claim, ...] = Field(default=(), max_length=most_claims)
