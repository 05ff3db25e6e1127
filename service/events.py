"""The rows the warehouse is made of: one class per table, whose fields are the table's columns, in their order.

``infra/warehouse/`` writes the same tables in Redshift's SQL; a contract test compares them. Times are aware and in UTC. No
column holds an account number, and text columns hold no customer's name, number or address in full: whoever loads replaces them.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class WarehouseEvent(BaseModel):
    """A row. ``key`` names the columns whose values make two rows the same event.

    Of two such rows the one with the greater values of ``prefer`` stays, whichever came first; None is the smallest. Where
    they are equal, or ``prefer`` is empty, the later one does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
    prefer: ClassVar[tuple[str, ...]] = ()


class SummaryEvent(WarehouseEvent):
    """One answered request. The first nine columns are those of R-WAREHOUSE; the newest verdict is copied into its two."""

    table = "omni_summaries"
    # The key of R-WAREHOUSE. Two requests of one contact in one millisecond are no duplicates: they differ in request_id and
    # count as a collision that the data-quality checks show.
    key = ("contact_id", "generation_timestamp")
    # A collision has one outcome in whatever order it is loaded, and an object that is loaded again takes no verdict away.
    prefer = ("request_id", "feedback_timestamp")

    contact_id: str
    account_number: str  # a keyed hash: joins rows of one account, leads back to nobody
    summary_text: str
    model_used: str
    generation_timestamp: datetime
    latency_ms: int
    cache_hit: bool  # a stored summary was reused
    helpful_feedback: Literal["helpful", "not_helpful"] | None
    feedback_timestamp: datetime | None

    request_id: str
    unique_process_id: str
    initial_contact_id: str
    summary_id: str  # the request that this text was written for: equal for a summary and its reuses
    task: str
    client: str  # which caller's token; "unknown" in records older than the field
    ivr_intent: str
    answered_by: str
    arm: str  # primary, backup, fallback, none
    degraded: bool
    prompt_version: str
    pair: str
    pair_digest: str
    registry_version: int
    rollout_arm: Literal["production", "candidate"]
    environment: str
    date_range: str | None
    interactions_considered: int
    history_days: int  # from the oldest to the newest interaction that was read
    channels: str  # of those interactions, distinct, sorted, joined by "+"
    last_channel: str | None
    max_history_days: int
    max_interactions: int
    channel_filter: str | None  # joined by "+"
    input_tokens: int
    output_tokens: int
    prompt_cache_read_tokens: int
    prompt_cache_write_tokens: int
    cost_usd: Decimal | None  # metered; None when no price is known
    guard_findings: int  # statements that the grounding guard refused in this run, shown or not
    guard_kinds: str  # their kinds, sorted, joined by "+"
    repaired: bool
    summary_words: int
    schema_version: int
    source_key: str  # the object in S3


class InteractionEvent(WarehouseEvent):
    """One interaction that a summary was made from, without its text; the same one stands once per summary that read it."""

    table = "omni_summary_interactions"
    key = ("request_id", "position")

    request_id: str
    contact_id: str
    account_number: str
    generation_timestamp: datetime
    position: int  # 0 is the oldest
    channel: str
    interaction_timestamp: datetime
    intent: str


class FeedbackEvent(WarehouseEvent):
    """One verdict. Every one is kept; the newest by time counts."""

    table = "omni_feedback"
    key = ("feedback_id",)

    feedback_id: str
    request_id: str
    contact_id: str
    initial_contact_id: str
    unique_process_id: str
    account_number: str
    helpful_feedback: Literal["helpful", "not_helpful"]
    feedback_timestamp: datetime
    comment: str | None
    edited_summary: str | None
    summary_timestamp: datetime  # when the summary was answered
    pair: str
    pair_digest: str
    prompt_version: str
    model_used: str
    schema_version: int
    source_key: str


class ReleaseEvent(WarehouseEvent):
    """One signed move of a task's production alias."""

    table = "omni_releases"
    key = ("task", "environment", "sequence")

    task: str
    environment: str
    sequence: int
    kind: str  # promote, rollback, restore
    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    released_at: datetime
    released_by: str
    why: str
    attestation_digest: str


class PromiseEvent(WarehouseEvent):
    """One figure of the gate attestation that a release stands on: what the gate promised of a pair."""

    table = "omni_promises"
    key = ("task", "environment", "sequence", "metric")

    task: str
    environment: str
    sequence: int
    pair_digest: str
    metric: str
    value: float | None
    low: float | None  # of the 95% interval
    high: float | None
    n: int
    unit: str


class LoadEvent(WarehouseEvent):
    """What became of one version of an object: kept by the loader, so that a second delivery is known."""

    table = "omni_loads"
    key = ("object_key", "etag")

    object_key: str
    etag: str
    kind: str  # summary, feedback
    outcome: Literal["loaded", "duplicate", "dead"]
    reason: str | None  # why it is dead
    row_count: int
    loaded_at: datetime


class CallEvent(WarehouseEvent):
    """One scored call. No column holds a word of it, so the row may outlive transcript and result."""

    table = "omni_calls"
    key = ("tenant_id", "call_id")
    prefer = ("scored_at",)

    tenant_id: str
    call_id: str
    call_date: datetime
    state: Literal["done", "needs_review"]
    review: str  # why a person should look: codes, distinct, sorted, joined by "+"
    form_id: str | None  # None, as all figures, when no answer could be used
    form_version: int | None
    passed: bool | None
    total_score: Decimal | None
    max_score: Decimal | None
    percentage: Decimal | None
    resolution: str | None
    sentiment: str | None
    customer_tone: str | None
    agent_tone: str | None
    tone_score: int | None  # 0 to 100, computed from the two tones
    agent_id: str | None  # as the telephone system names agents
    queue: str | None
    turns: int
    duration_s: float  # until the last turn begins
    transcriber: str
    redactor: str
    pii_found: int  # details that were taken out of the transcript
    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    model_used: str
    latency_ms: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    scored_at: datetime
    schema_version: int
    source_key: str  # the result in S3


class CallCriterionEvent(WarehouseEvent):
    """One criterion of one scored call."""

    table = "omni_call_criteria"
    key = ("tenant_id", "call_id", "criterion_id")
    prefer = ("scored_at",)

    tenant_id: str
    call_id: str
    criterion_id: str
    call_date: datetime
    form_id: str
    form_version: int
    section: str
    question: str
    weight: Decimal
    required: bool
    verdict: Literal["yes", "no", "na"] | None
    passed: bool | None  # None where it did not apply or has no verdict
    score: Decimal
    evidence: str  # verified, unverified, missing, none
    evidence_turn: int | None
    pair_digest: str
    scored_at: datetime


class CallOverrideEvent(WarehouseEvent):
    """A person's word on one criterion, beside the model's, which stays."""

    table = "omni_call_overrides"
    key = ("tenant_id", "call_id", "criterion_id", "overridden_at")

    tenant_id: str
    call_id: str
    criterion_id: str
    overridden_at: datetime
    form_id: str
    form_version: int
    model_verdict: Literal["yes", "no", "na"] | None
    human_verdict: Literal["yes", "no", "na"]
    overridden_by: str
    pair_digest: str


EVENTS: tuple[type[WarehouseEvent], ...] = (SummaryEvent, InteractionEvent, FeedbackEvent, ReleaseEvent, PromiseEvent)
CALL_EVENTS: tuple[type[WarehouseEvent], ...] = (CallEvent, CallCriterionEvent, CallOverrideEvent)
TABLES: tuple[type[WarehouseEvent], ...] = (*EVENTS, LoadEvent, *CALL_EVENTS)
