"""The records of an answer of ``POST /v1/<task>`` and of the feedback on it, as kept in DynamoDB, in S3 and in the spool."""

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from service.answers_kept.record import Helpfulness, SummaryRecord, time_partition
from service.core.release.served import RolloutArm
from service.core.run.task import Arm

ANSWERS_PREFIX = "omni-channel/answers/"  # a folder for each task, in it folders by hour
ANSWER_FEEDBACK_PREFIX = "omni-channel/answer-feedback/"
FeedbackReason = Literal["wrong", "incomplete", "irrelevant", "unsafe", "tone", "other"]
REASONS: tuple[str, ...] = get_args(FeedbackReason)


class KeptToolCall(BaseModel):
    """One use of a tool: what came of it, without its arguments and its answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    status: str
    reason: str | None = None


class KeptAnswer(BaseModel):
    """One answer that was sent, without ids of persons and with its texts redacted.

    ``customer`` is the keyed hash of the task's ``unit``, ``conversation`` a pseudonym, ``persons`` are the pseudonyms in the
    record. ``inputs`` is None and ``output`` is ``[withheld]`` if they could not be kept; ``withheld`` says why.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    request_id: str = Field(min_length=1)
    client: str
    tenant: str | None = None
    customer: str = ""
    conversation: str | None = None
    persons: tuple[str, ...] = ()
    generated_at: str
    inputs: dict[str, Any] | None
    output: str
    withheld: tuple[str, ...] = ()
    tools: tuple[KeptToolCall, ...] = ()
    model_used: str
    answered_by: str
    arm: Arm
    degraded: bool
    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    rollout_arm: RolloutArm
    environment: str
    latency_ms: int
    cost_usd: str | None
    input_tokens: int = 0
    output_tokens: int = 0
    prompt_cache_read_tokens: int = 0
    prompt_cache_write_tokens: int = 0
    guard_findings: int = 0
    guard_kinds: tuple[str, ...] = ()
    repaired: bool = False
    schema_version: int

    @property
    def object_key(self) -> str:
        """The record's key in S3; the same record always has the same key."""
        return f"{time_partition(f'{ANSWERS_PREFIX}{self.task}/', self.generated_at)}{self.request_id}.json"

    def to_json(self) -> str:
        """Return the record as one JSON object."""
        return self.model_dump_json()


class AnswerVerdict(BaseModel):
    """One feedback on an answer, with its texts redacted; the fields of the answer that it is reported by are copied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feedback_id: str = Field(min_length=1)
    feedback_timestamp: str
    helpful_feedback: Helpfulness
    reason: FeedbackReason | None = None
    comment: str | None = None
    edited_output: str | None = None
    by: str  # the client that gave it
    task: str
    request_id: str = Field(min_length=1)
    customer: str
    conversation: str | None
    generated_at: str
    model_used: str
    prompt_version: str
    pair: str
    pair_digest: str
    schema_version: int

    @property
    def object_key(self) -> str:
        """The record's own key in S3."""
        return f"{time_partition(ANSWER_FEEDBACK_PREFIX, self.feedback_timestamp)}{self.feedback_id}.json"

    def to_json(self) -> str:
        """Return the record as one JSON object."""
        return self.model_dump_json()


ServedRecord = SummaryRecord | KeptAnswer
_EITHER: TypeAdapter[ServedRecord] = TypeAdapter(ServedRecord)


def read_served(text: str | bytes) -> ServedRecord:
    """Return the record of an answered request that a spool or an outbox holds as JSON.

    Raises:
        ValidationError: it is neither a summary's nor an answer's.
    """
    return _EITHER.validate_json(text)
