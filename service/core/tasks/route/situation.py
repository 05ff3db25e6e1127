"""What is known when a message is to be routed: the message as it was understood, the customer, the agents and who waits."""

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.core.unit.channel import Channel
from service.core.unit.customer import TenantId

MessageCategory = Literal["inquiry", "complaint", "request", "feedback", "escalation"]
CustomerTier = Literal["low", "medium", "high", "vip"]
AgentStatus = Literal["available", "busy", "offline"]
MessageTopic = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
MessageLanguage = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class UnderstoodMessage(_Strict):
    """A customer's message with what was read out of it.

    ``confidence`` is that of ``category``, from 0 to 1; ``sentiment`` runs from -1 (very negative) to 1. ``topic`` is what it is
    about, None if nobody can tell. ``pattern`` names the automation that answers such messages, None if there is none.
    """

    channel: Channel
    language: MessageLanguage
    text: str = Field(max_length=20_000)
    category: MessageCategory
    confidence: float = Field(ge=0, le=1)
    sentiment: float = Field(ge=-1, le=1)
    topic: MessageTopic | None = None
    pattern: MessageTopic | None = None


class PastContact(_Strict):
    """An earlier contact of the customer, and what it was about."""

    at: AwareDatetime
    topic: MessageTopic | None = None


class RoutedCustomer(_Strict):
    """Who writes: their value to the company, what they came with before, and the agent who last spoke with them."""

    tier: CustomerTier = "medium"
    contacts: tuple[PastContact, ...] = Field(default=(), max_length=200)
    last_agent: _Id | None = None


class AgentState(_Strict):
    """A person who answers customers; ``workload`` counts open conversations, ``performance`` runs from 0 to 1.

    ``max_workload`` is the agent's own bound, where it is less than the policy's.
    """

    id: _Id
    languages: tuple[MessageLanguage, ...] = Field(min_length=1, max_length=20)
    skills: tuple[MessageTopic, ...] = Field(default=(), max_length=50)
    status: AgentStatus = "available"
    workload: int = Field(default=0, ge=0)
    max_workload: int | None = Field(default=None, ge=0)
    performance: float | None = Field(default=None, ge=0, le=1)


class AlreadyWaiting(_Strict):
    """Somebody who waits for a person already, with the raw urgency and the needs of their own decision."""

    urgency: int
    language: MessageLanguage
    skill: MessageTopic | None = None


_EXAMPLE: dict[str, Any] = {
    "tenant": "demo-tenant",
    "conversation_id": "conv-1042",
    "at": "2026-11-25T10:15:00+00:00",
    "message": {
        "channel": "chat",
        "language": "en",
        "text": "My boiler has been off since Monday and this is the second time I write.",
        "category": "complaint",
        "confidence": 0.91,
        "sentiment": -0.62,
        "topic": "repairs",
    },
    "customer": {
        "tier": "high",
        "contacts": [{"at": "2026-11-23T09:00:00+00:00", "topic": "repairs"}],
        "last_agent": "agent-ines",
    },
    "agents": [
        {"id": "agent-ines", "languages": ["en"], "skills": ["repairs"], "workload": 2},
        {"id": "agent-tom", "languages": ["en"], "skills": ["billing"], "workload": 0},
    ],
}


class RouteInputs(_Strict):
    """One message that somebody or something has to answer, at the time ``at``.

    ``failed_attempts`` are automated answers in this conversation that did not help. ``handling_minutes`` is how long a
    conversation with a person took of late; None: the policy's figure counts.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, json_schema_extra={"examples": [_EXAMPLE]}
    )

    tenant: TenantId
    conversation_id: _Id
    at: AwareDatetime
    message: UnderstoodMessage
    customer: RoutedCustomer = RoutedCustomer()
    failed_attempts: int = Field(default=0, ge=0)
    agents: tuple[AgentState, ...] = Field(default=(), max_length=500)
    waiting: tuple[AlreadyWaiting, ...] = Field(default=(), max_length=2_000)
    handling_minutes: float | None = Field(default=None, gt=0, le=600)

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        ids = [agent.id for agent in self.agents]
        if len(set(ids)) < len(ids):
            twice = next(one for one in ids if ids.count(one) > 1)
            raise ValueError(f"agent {twice!r} stands twice among the agents")
        return self
