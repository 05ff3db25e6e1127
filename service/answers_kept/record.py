"""The records of a summary and of the feedback on it, as kept in DynamoDB, in S3 and in the spool."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.core.release.served import RolloutArm
from service.core.run.task import Arm
from service.core.unit.channel import RecordedChannel
from service.core.unit.interaction import Interaction

PROCESSED_PREFIX = "omni-channel/processed/"
FEEDBACK_PREFIX = "omni-channel/feedback/"
RELEASES_PREFIX = "omni-channel/releases/"
Helpfulness = Literal["helpful", "not_helpful"]


class SeenInteraction(BaseModel):
    """The facts that S3 keeps of an interaction behind a summary; its text stays in the interaction history."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: RecordedChannel
    timestamp: str
    intent: str

    @classmethod
    def of(cls, interaction: Interaction) -> "SeenInteraction":
        """Return the facts to keep of ``interaction``."""
        return cls(channel=interaction.channel, timestamp=utc_text(interaction.timestamp), intent=interaction.intent)


class SummaryRecord(BaseModel):
    """One answered request, identified by ``request_id``; a process may have several.

    ``generated_at`` is the time of the answer. ``reused_from`` is the request that a reused summary was written for. ``query``
    and ``interactions`` are kept in S3 only. Old records lack the fields from ``client`` to ``schema_version``, whose defaults
    apply to them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    unique_process_id: str = Field(min_length=1)
    request_id: str = Field(min_length=1)
    account_number: str = Field(min_length=1)
    contact_id: str = Field(min_length=1)
    initial_contact_id: str = Field(min_length=1)
    ivr_intent: str
    summary: str
    date_range: str | None
    model_used: str
    answered_by: str
    arm: Arm
    cache_hit: bool
    reused_from: str | None = None
    reuse_key: str | None = None
    prompt_cache_read_tokens: int
    latency_ms: int
    generated_at: str
    max_history_days: int
    max_interactions: int
    channel_filter: tuple[RecordedChannel, ...] | None
    prompt_version: str
    pair: str
    pair_digest: str
    registry_version: int
    degraded: bool
    cost_usd: str | None
    interactions_considered: int
    client: str = "unknown"
    rollout_arm: RolloutArm = "production"
    environment: str = "unknown"
    input_tokens: int = 0
    output_tokens: int = 0
    prompt_cache_write_tokens: int = 0
    guard_findings: int = 0
    guard_kinds: tuple[str, ...] = ()
    repaired: bool = False
    schema_version: int = 0
    query: str = ""
    interactions: tuple[SeenInteraction, ...] = ()

    @property
    def summary_id(self) -> str:
        """The request that this summary was written for; the same for a summary and its reuses."""
        return self.reused_from or self.request_id

    @property
    def object_key(self) -> str:
        """The record's key in S3; the same record always has the same key."""
        return f"{time_partition(PROCESSED_PREFIX, self.generated_at)}{self.request_id}.json"

    def to_json(self) -> str:
        """Return the record as one JSON object."""
        return self.model_dump_json()


class FeedbackRecord(BaseModel):
    """One feedback on a summary; ``generated_at`` is the time of the rated summary."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feedback_id: str = Field(min_length=1)
    feedback_timestamp: str
    schema_version: int = 0
    helpful_feedback: Helpfulness
    comment: str | None = None
    edited_summary: str | None = None
    unique_process_id: str
    request_id: str = Field(min_length=1)
    account_number: str = Field(min_length=1)
    contact_id: str = Field(min_length=1)
    initial_contact_id: str
    generated_at: str
    model_used: str
    answered_by: str
    prompt_version: str
    pair: str
    pair_digest: str
    latency_ms: int
    cache_hit: bool
    degraded: bool

    @property
    def object_key(self) -> str:
        """The record's own key in S3."""
        return f"{time_partition(FEEDBACK_PREFIX, self.feedback_timestamp)}{self.feedback_id}.json"

    def to_json(self) -> str:
        """Return the record as one JSON object."""
        return json.dumps(self.model_dump(), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reusable:
    """A summary that can answer a later request with the same ``reuse_key``."""

    reuse_key: str
    summary_id: str
    summary: str
    model: str
    answered_by: str
    arm: Arm
    answered_at: datetime


def utc_text(moment: datetime) -> str:
    """Return ``moment`` as ISO 8601 in UTC with milliseconds; its width is fixed, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_partition(prefix: str, moment: str) -> str:
    """Return ``prefix`` with the hour of ``moment`` (ISO, UTC) as Hive partitions, which Athena and Glue read."""
    day, _, clock = moment.partition("T")
    year, month, date = day.split("-")
    return f"{prefix}year={year}/month={month}/day={date}/hour={clock[:2]}/"
