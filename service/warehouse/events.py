"""The rows of the warehouse: one class per table; its fields are the table's columns, in their order.

``infra/warehouse/`` defines the same tables in Redshift's SQL; a contract test compares them. Times are aware UTC. No column
holds an account number, and no text column a customer's name, number or address: the loader redacts them.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
# Why nobody could read a call's sentiment and key phrases: no words are spoken; the reader does not know the language, refused
# the call, left turns out, or did not answer; the result was stored before it named a code.
InsightsFailure = Literal["no_words", "language", "refused", "incomplete", "unreachable", "unstated"]
# The readers of sentiment from whose figures a change may be concluded. The list of words is none: it names the sentiment of 49%
# of labelled calls, where always saying "negative" names 71% (docs/benchmarks.md, 2026-11-23).
COMPARED_READERS = frozenset({"amazon-comprehend"})


class WarehouseEvent(BaseModel):
    """A row. Rows with equal values in the columns ``key`` are the same event, and only one of them is kept.

    That is the row with the greater values in the columns ``prefer``, whatever the order of loading; None is the smallest. If
    they are equal, or ``prefer`` is empty, the row loaded last is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
    prefer: ClassVar[tuple[str, ...]] = ()


class SummaryEvent(WarehouseEvent):
    """One answered request of any task. The first nine columns are those of R-WAREHOUSE; the newest feedback is copied into two.

    An answer of ``POST /v1/<task>`` has its request id as contact, ``""`` as account if its task names no customer, its
    conversation as process, and no history: 0, NULL or ``""`` in those columns. ``summary_text`` is its output.
    """

    table = "omni_summaries"
    # The key of R-WAREHOUSE. Two requests of one contact in the same millisecond are a collision, not duplicates: they differ in
    # request_id, and the data-quality checks report them.
    key = ("contact_id", "generation_timestamp")
    # So a collision has the same outcome in any loading order, and loading an object again does not remove its feedback.
    prefer = ("request_id", "feedback_timestamp")

    contact_id: str
    account_number: str  # a keyed hash: joins rows of one account without identifying it
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
    summary_id: str  # the request for which the text was generated: the same for a summary and its reuses
    task: str
    client: str  # the client of the caller's token; "unknown" in records older than this field
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
    history_days: int  # from the oldest to the newest of these interactions
    channels: str  # of those interactions, distinct, sorted, joined by "+"
    last_channel: str | None
    max_history_days: int
    max_interactions: int
    channel_filter: str | None  # joined by "+"
    input_tokens: int
    output_tokens: int
    prompt_cache_read_tokens: int
    prompt_cache_write_tokens: int
    cost_usd: Decimal | None  # metered; None for a model without prices
    guard_findings: int  # findings of the guard in this run, also in answers that were not shown
    guard_kinds: str  # their kinds, sorted, joined by "+"
    repaired: bool
    summary_words: int
    schema_version: int
    source_key: str  # the object in S3


class InteractionEvent(WarehouseEvent):
    """One interaction that a summary was made from, without its text; one row per summary that it was used in."""

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
    """One feedback entry. All are kept; the newest by time counts."""

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
    task: str
    reason: str | None  # why, by a word of a fixed list; None for summaries


class AnswerDetailEvent(WarehouseEvent):
    """What only an answer of ``POST /v1/<task>`` has: its inputs, its conversation and the tools that it used."""

    table = "omni_answer_details"
    key = ("request_id",)

    request_id: str
    task: str
    generation_timestamp: datetime
    conversation: str | None  # a pseudonym
    inputs: str | None  # JSON, without ids of persons and redacted; None if they could not be kept
    tools: str  # JSON: name, status and reason of each use, in order
    schema_version: int
    source_key: str


class AuditEvent(WarehouseEvent):
    """One event of a conversation; the columns from ``channel`` on repeat what queries need of ``data``, else None."""

    table = "omni_audit_events"
    key = ("event_id",)

    event_id: str
    event_timestamp: datetime
    level: Literal["DEBUG", "INFO", "WARN", "ERROR"]
    session_id: str  # a pseudonym, like the two below
    contact_id: str | None
    user_id: str | None
    event_type: str
    correlation_id: str  # the request
    task: str
    environment: str
    channel: str | None
    tool_name: str | None
    latency_ms: float | None
    handover_triggered: bool | None
    reason: str | None
    validation_passed: bool | None
    hallucination_detected: bool | None
    duration_seconds: float | None
    total_turns: int | None
    resolution_status: Literal["resolved", "transferred", "abandoned"] | None
    error_code: str | None
    data: str | None  # JSON, clean of persons; None if it could not be cleaned
    schema_version: int
    source_key: str


class FindingEvent(WarehouseEvent):
    """One thing that a guard found in a reply."""

    table = "omni_findings"
    key = ("log_id",)

    log_id: str
    finding_timestamp: datetime
    user_query: str
    tool_name: str | None  # joined by "+"
    tool_results: str | None  # JSON
    model_response: str
    hallucination_type: str
    severity: Literal["low", "medium", "high"]
    validation_details: str
    action_taken: Literal["logged", "regenerated", "fallback"]
    session_id: str
    correlation_id: str
    task: str
    schema_version: int
    source_key: str


class ReleaseEvent(WarehouseEvent):
    """One signed change of a task's production alias."""

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
    """One metric of the gate attestation behind a release: the value that the gate measured for the pair."""

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
    """The outcome of loading one version of an object; the loader uses it to recognise a second delivery."""

    table = "omni_loads"
    key = ("object_key", "etag")

    object_key: str
    etag: str
    kind: str  # summary, feedback, answer, answer_feedback, audit, release; bulk for a file of many objects
    outcome: Literal["loaded", "duplicate", "dead"]
    reason: str | None  # why it could not be loaded; only for dead objects
    row_count: int
    loaded_at: datetime


class CallEvent(WarehouseEvent):
    """One scored call. No column holds text of the call, so the row may be kept longer than transcript and result."""

    table = "omni_calls"
    key = ("tenant_id", "call_id")
    prefer = ("scored_at",)

    tenant_id: str
    call_id: str
    call_date: datetime
    state: Literal["done", "needs_review"]
    review: str  # why a person should review it: distinct codes, sorted, joined by "+"
    form_id: str | None  # None, like all scores, if no answer was usable
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
    agent_id: str | None  # in the telephone system
    queue: str | None
    turns: int
    duration_s: float  # to the start of the last turn
    transcriber: str
    redactor: str
    pii_found: int  # personal details removed from the transcript
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
    # Who read the sentiment; None, like the next three, in rows that are older than these columns.
    insights_by: str | None
    # The customer's; None with a failure.
    insights_sentiment: Literal["POSITIVE", "NEGATIVE", "NEUTRAL", "MIXED"] | None
    insights_balance: float | None  # positive minus negative, -1 to 1
    insights_failure: InsightsFailure | None


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
    passed: bool | None  # None if it did not apply or has no verdict
    score: Decimal
    evidence: str  # verified, unverified, missing, none
    evidence_turn: int | None
    pair_digest: str
    scored_at: datetime


class CallOverrideEvent(WarehouseEvent):
    """A person's rating of one criterion; the model's rating is kept, too."""

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


class CustomerEvent(WarehouseEvent):
    """Something that happened with a tenant's customer. It is never changed: a correction is another event."""

    table = "omni_customer_events"
    key = ("tenant", "event_id")

    tenant: str
    event_id: str  # the source system's
    customer: str  # a keyed hash
    event_type: Literal["customer", "service", "payment"]
    occurred_at: datetime
    known_at: datetime  # when somebody who decided on a message could first know it; never before occurred_at
    service: str | None
    satisfaction: int | None  # a mark from 1 to 5
    amount: Decimal | None  # paid, in the tenant's currency; negative if it was paid back
    home_kind: Literal["house", "flat"] | None
    home_garden: bool | None
    home_built: int | None  # a year
    content: str  # the digest of what was told, to tell a repeated event from a contradiction
    loaded_at: datetime
    schema_version: int
    source: str  # stream, shard and number, or file and line


EVENTS: tuple[type[WarehouseEvent], ...] = (
    SummaryEvent,
    InteractionEvent,
    FeedbackEvent,
    AnswerDetailEvent,
    AuditEvent,
    FindingEvent,
    ReleaseEvent,
    PromiseEvent,
)
CALL_EVENTS: tuple[type[WarehouseEvent], ...] = (CallEvent, CallCriterionEvent, CallOverrideEvent)
TABLES: tuple[type[WarehouseEvent], ...] = (*EVENTS, LoadEvent, *CALL_EVENTS, CustomerEvent)
