"""What a model drafts, what a judge says of a draft, and what the task answers."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.core.tasks.upsell.customer import SuppressionReason
from service.kit.frame.errors import OutputInvalid

MessageDecision = Literal["send", "suppressed", "not_approved"]
# What a draft may give as its reason to send nothing; what code knows of a customer is decided before a model is asked.
NotedReason = Literal["", "complaint", "vulnerable", "no_offer", "asked_for_none", "note_unread"]
BY_JUDGE = "judge"  # the kind of a refusal by the pair's judge; other kinds are those of the code's objections


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Draft(_Answer):
    """A model's answer: a message about one offer, or the reason to send none."""

    send: bool
    reason: NotedReason
    offer_id: str
    message: str

    def checked(self) -> "Draft":
        """Return the draft.

        Raises:
            OutputInvalid: it neither has a message about an offer nor a reason to send none.
        """
        if self.send and not (self.offer_id and self.message.strip()):
            raise OutputInvalid("the draft is to be sent and has no offer or no message")
        if not self.send and not self.reason:
            raise OutputInvalid("the draft is not to be sent and gives no reason")
        return self


class DraftGrade(_Answer):
    """A judge's verdict on a draft: 1 (must not leave) to 10 (nothing to mend), and what would have to change."""

    score: int = Field(ge=1, le=10)
    reasons: tuple[str, ...] = Field(max_length=8)


class Approval(_Answer):
    """Who let a message leave, or did not.

    ``by`` is the judge's model, "code" where the pair has no judge. ``own_family`` is true where judge and generator are models
    of one family, so that a model likes its own. ``reasons`` are those of the last draft and ``kinds`` say what they are about
    ("amount", "pressure", "judge" ...); ``drafts`` were written in all.
    """

    by: str
    own_family: bool
    score: int | None = Field(ge=1, le=10)
    reasons: tuple[str, ...]
    kinds: tuple[str, ...] = ()  # empty in answers of earlier versions, too
    drafts: int = Field(ge=1)


class UpsellMessage(_Answer):
    """The decision about one customer; ``message`` is empty unless it is ``send``.

    ``reason`` says why nothing is sold to the customer now. ``examples`` are the ids of the messages that the model was shown.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "decision": "send",
                    "reason": None,
                    "offer_id": "boiler-care",
                    "message": "Hello Dana, Boiler Care is £14 a month and includes one boiler service a year. Homewell. "
                    "Reply STOP to opt out.",
                    "approval": {
                        "by": "code",
                        "own_family": False,
                        "score": None,
                        "reasons": [],
                        "kinds": [],
                        "drafts": 1,
                    },
                    "examples": [],
                    "guidelines": "1.0",
                }
            ]
        },
    )

    decision: MessageDecision
    reason: SuppressionReason | None
    offer_id: str | None
    message: str
    approval: Approval | None
    examples: tuple[str, ...]
    guidelines: str


def family_of(model: str) -> str:
    """Return the family of a model's id: "amazon.nova" of "amazon.nova-lite-v1:0", "gpt" of "openai/gpt-4.1-mini"."""
    name = model.rpartition("/")[2].removeprefix("us.").removeprefix("eu.")
    return name.partition("-")[0].partition(":")[0]


def plain(value: BaseModel) -> dict[str, Any]:
    """Return an object as JSON types, without what is empty: a prompt shows what is known."""
    return value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
