"""The audit's events and findings as they are written: one record for each step of a conversation that the service takes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from service.core.statements.answers.finding import Severity
from service.core.unit.channel import ConversationChannel

AUDIT_PREFIX = "omni-channel/audit/"
AuditLevel = Literal["DEBUG", "INFO", "WARN", "ERROR"]
InputMode = Literal["voice", "text"]
ResolutionStatus = Literal["resolved", "transferred", "abandoned"]
FindingAction = Literal["logged", "regenerated", "fallback"]


def time_text(moment: datetime) -> str:
    """Return ``moment`` as ISO 8601 in UTC with milliseconds; its width is fixed, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


AuditTime = Annotated[AwareDatetime, PlainSerializer(time_text, when_used="json")]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AuditData(_Written):
    """What an event says beside its envelope; the kinds are those of ``DATA_OF``."""


class ConversationStarted(AuditData):
    """``customer_phone`` is a pseudonym: the same for the same number."""

    channel: ConversationChannel
    customer_phone: str | None
    queue_id: str | None


class UserInput(AuditData):
    """``confidence`` is that of the speech recognition, 0 to 1; None if the channel has told none."""

    transcript: str
    input_mode: InputMode
    confidence: float | None


class ModelInvoked(AuditData):
    """``model_id`` is the asked model, also one that is code or no model of Bedrock's."""

    model_id: str
    user_message: str
    conversation_history_length: int
    tools_available: tuple[str, ...]
    latency_ms: float


class ToolCall(_Written):
    """A tool that a model wanted used, with its arguments."""

    tool_name: str
    tool_input: Any


class ModelResponded(AuditData):
    """``stop_reason`` is ``tool_use`` or ``end_turn``, or why the response cannot be used."""

    stop_reason: str
    tool_calls: tuple[ToolCall, ...]
    response_text: str
    latency_ms: float


class ToolInvoked(AuditData):
    """``tool_output`` is what the model read, also of a call that failed or was refused."""

    tool_name: str
    tool_input: Any
    tool_output: Any
    latency_ms: float


class ValidationChecked(AuditData):
    """``confidence_score``: 1 if nothing was found, 0.5 if an answer was corrected, 0 if none passed the checks."""

    validation_passed: bool
    hallucination_detected: bool
    confidence_score: float
    checks_performed: tuple[str, ...]


class HandoverDecided(AuditData):
    """``conversation_turns`` counts the customer's messages so far; ``tools_used`` are distinct, in order of first use."""

    handover_triggered: bool
    reason: str | None
    conversation_turns: int
    tools_used: tuple[str, ...]


class ConversationEnd(AuditData):
    """How the assistant's part of a conversation ended."""

    duration_seconds: float
    total_turns: int
    tools_used: tuple[str, ...]
    handover_occurred: bool
    resolution_status: ResolutionStatus


AuditEventType = Literal[
    "conversation_start",
    "user_input",
    "bedrock_invocation",
    "bedrock_response",
    "tool_invocation",
    "validation_check",
    "handover_decision",
    "conversation_end",
]
DATA_OF: Mapping[AuditEventType, type[AuditData]] = {
    "conversation_start": ConversationStarted,
    "user_input": UserInput,
    "bedrock_invocation": ModelInvoked,
    "bedrock_response": ModelResponded,
    "tool_invocation": ToolInvoked,
    "validation_check": ValidationChecked,
    "handover_decision": HandoverDecided,
    "conversation_end": ConversationEnd,
}
TYPE_OF: Mapping[type[AuditData], AuditEventType] = {data: name for name, data in DATA_OF.items()}


class AuditError(_Written):
    """What went wrong, without any message: ``stack`` names places in the code."""

    code: str
    stack: tuple[str, ...]


class AuditEntry(_Written):
    """One event in its envelope. ``session_id``, ``contact_id`` and ``user_id`` are pseudonyms; ``data`` is clean or withheld.

    ``correlation_id`` is the request's: the same in the service's log, in the kept answer and in the feedback on it.
    """

    event_id: str
    timestamp: AuditTime
    level: AuditLevel
    session_id: str
    contact_id: str | None
    user_id: str | None
    event_type: AuditEventType
    correlation_id: str
    task: str
    environment: str
    data: dict[str, Any] | None
    withheld: str | None = None
    error: AuditError | None = None


class KeptFinding(_Written):
    """Something that the guard found in an answer, and what was done about it."""

    log_id: str
    timestamp: AuditTime
    user_query: str
    tool_name: str | None
    tool_results: str | None
    model_response: str
    hallucination_type: str
    severity: Severity
    validation_details: str
    action_taken: FindingAction
    session_id: str
    correlation_id: str
    task: str


class AuditRecord(_Written):
    """The events of one step of a conversation, in their order, and what was found in it: one object of the bucket."""

    audit_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,120}$")]
    recorded_at: AuditTime
    events: tuple[AuditEntry, ...]
    findings: tuple[KeptFinding, ...] = ()
    schema_version: int

    @property
    def object_key(self) -> str:
        """The record's key in S3; the same record always has the same key."""
        hour = f"{self.recorded_at.astimezone(UTC):year=%Y/month=%m/day=%d/hour=%H}"
        return f"{AUDIT_PREFIX}{hour}/{self.audit_id}.json"
