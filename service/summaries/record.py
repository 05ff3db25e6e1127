"""The record of one answered request: everything that is kept of it, in DynamoDB, in S3 and in the spool."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from service.interactions.interaction import Channel, Interaction
from service.served import RolloutArm
from service.task import Arm

PROCESSED_PREFIX = "omni-channel/processed/"
FEEDBACK_PREFIX = "omni-channel/feedback/"
RELEASES_PREFIX = "omni-channel/releases/"


class SeenInteraction(BaseModel):
    """What S3 keeps of an interaction that a summary was made from: no text, the history has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: Channel
    timestamp: str
    intent: str

    @classmethod
    def of(cls, interaction: Interaction) -> "SeenInteraction":
        """Return what is kept of ``interaction``."""
        return cls(channel=interaction.channel, timestamp=utc_text(interaction.timestamp), intent=interaction.intent)


class SummaryRecord(BaseModel):
    """One answered request; ``request_id`` is its identity, a process may have several.

    ``generated_at`` is when this request was answered. For a reused summary ``reused_from`` is the request that it was written
    for. ``query`` and ``interactions`` go to S3 alone. The fields from ``client`` to ``schema_version`` came later: an older
    record reads as these defaults say.
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
    channel_filter: tuple[Channel, ...] | None
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
        """The request that this summary was written for: equal for a summary and its reuses."""
        return self.reused_from or self.request_id

    @property
    def object_key(self) -> str:
        """The record's key in S3; the same record always has the same key."""
        return f"{time_partition(PROCESSED_PREFIX, self.generated_at)}{self.request_id}.json"

    def to_json(self) -> str:
        """Return the record as one JSON object."""
        return self.model_dump_json()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reusable:
    """A summary that a later request with the same ``reuse_key`` may be answered with."""

    reuse_key: str
    summary_id: str
    summary: str
    model: str
    answered_by: str
    arm: Arm
    answered_at: datetime


def utc_text(moment: datetime) -> str:
    """Return ``moment`` as ISO 8601 in UTC with milliseconds; of fixed width, so text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_partition(prefix: str, moment: str) -> str:
    """Return ``prefix`` followed by the hour of ``moment`` (an ISO time in UTC) in the Hive form that Athena and Glue read."""
    day, _, clock = moment.partition("T")
    year, month, date = day.split("-")
    return f"{prefix}year={year}/month={month}/day={date}/hour={clock[:2]}/"
