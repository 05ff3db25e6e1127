"""Where a message goes, and every reason for it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RouteDestination = Literal["automation", "agent", "queue"]
FactorName = Literal["base", "sentiment", "category", "tier", "repeat", "words", "after_hours"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UrgencyFactor(_Answer):
    """Points of a message's urgency and what they are for."""

    name: FactorName
    points: int
    because: str


class RouteDecision(_Answer):
    """What happens to one message.

    ``urgency_raw`` is the sum of the ``factors`` and ranks whoever waits; ``urgency`` is the same within 1 to 10, to be shown.
    ``agent`` is the person who gets the conversation, only if the destination is ``agent``. ``place`` is the customer's place
    among those who wait for the same people, from 1, and ``wait_minutes`` an estimate; both only for ``queue``, and no estimate
    where nobody who could answer is on duty: then ``opens_at`` says when people work again, in ISO 8601. ``doubtful``: the
    understanding was below the policy's threshold.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "destination": "agent",
                    "agent": "agent-ines",
                    "urgency_raw": 12,
                    "urgency": 10,
                    "factors": [
                        {"name": "base", "points": 5, "because": "every message"},
                        {"name": "sentiment", "points": 2, "because": "sentiment -0.62"},
                    ],
                    "reasons": ["urgency 12 of 8: a person answers", "agent-ines last spoke with the customer"],
                    "skill": "repairs",
                    "language": "en",
                    "place": None,
                    "wait_minutes": None,
                    "opens_at": None,
                    "doubtful": False,
                    "policy": "1.0",
                }
            ]
        },
    )

    destination: RouteDestination
    agent: str | None
    urgency_raw: int
    urgency: int = Field(ge=1, le=10)
    factors: tuple[UrgencyFactor, ...]
    reasons: tuple[str, ...] = Field(min_length=1)
    skill: str | None
    language: str
    place: int | None = Field(ge=1)
    wait_minutes: int | None = Field(ge=1)
    opens_at: str | None
    doubtful: bool
    policy: str
