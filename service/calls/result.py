"""A call's result: the unified JSON, made from a scorecard, and the warehouse's rows, made only from the unified JSON."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer

from service.calls.insights.insight import CallInsights
from service.core.tasks.scorecard.card import CriterionResult, Scorecard
from service.warehouse.events import SCHEMA_VERSION, CallCriterionEvent, CallEvent, WarehouseEvent

# A JSON number, as R-QA-RESULT requires; it is read back exactly, because no figure here has more than 15 digits.
Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
Sentiment = Literal["POSITIVE", "NEUTRAL", "NEGATIVE"]
# R-QA-RESULT wants a number for the tone. It is computed from the two tones, so that it can be explained: the agent's tone sets
# it, the customer's tone adjusts it.
_AGENT_TONE: Mapping[str, int] = {"warm": 85, "professional": 75, "curt": 40, "dismissive": 15}
_CUSTOMER_TONE: Mapping[str, int] = {"relieved": 10, "calm": 0, "anxious": -5, "frustrated": -10, "angry": -15}
_SENTIMENT: Mapping[str, Sentiment] = {
    "relieved": "POSITIVE", "calm": "NEUTRAL", "anxious": "NEGATIVE", "frustrated": "NEGATIVE", "angry": "NEGATIVE",
}  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entity(_Part):
    """The number of personal details of one kind that were removed. The details themselves are not kept."""

    type: str
    count: int


class Summary(_Part):
    """The model's summary of the call. ``tone_score`` (0 to 100) is computed from the two tones; None when one is unknown."""

    issue: str
    resolution: str
    outcome: str
    action_items: tuple[str, ...]
    tone_score: int | None
    sentiment_summary: str


class EvaluatedCriterion(_Part):
    """One criterion. ``passed`` is None when it does not apply or has no answer; ``evidence``: whether the quote was found."""

    id: str
    section: str
    question: str
    weight: Number
    required: bool
    verdict: Literal["yes", "no", "na"] | None
    passed: bool | None
    score: Number
    reason: str
    quote: str
    turn: int | None
    speaker: str | None
    start_s: float | None
    evidence: str


class Failed(_Part):
    """A criterion with the answer no."""

    id: str
    reason: str


class CallEvaluation(_Part):
    """The scorecard. The four figures are None when there is no score."""

    form_id: str
    qa_template_version: int
    criteria: tuple[EvaluatedCriterion, ...]
    total_score: Number | None
    max_score: Number | None
    percentage: Number | None
    passed: bool | None
    pass_threshold: Number
    failed: tuple[Failed, ...]
    failed_required: tuple[str, ...]
    not_applicable: tuple[str, ...]


class RedactionFacts(_Part):
    """The redactor with its version, the turns it checked, by language, and the counts it found; what the transcriber reports.

    ``left`` counts what a second look found in the redacted turns, and ``result`` sums up. Results that were stored before
    calls were observed have no languages, and None.
    """

    by: str
    turns: int
    found: dict[str, int]
    transcriber_found: dict[str, int] | None
    languages: dict[str, int] = {}
    left: dict[str, int] = {}
    result: Literal["redacted", "nothing_found", "left"] | None = None


class Source(_Part):
    """Where the call came from. ``pii_redacted``: the redactor covers its languages, and a second look found nothing."""

    object_key: str
    etag: str
    transcribe_job: str | None
    transcriber: str
    pii_redacted: bool
    redaction: RedactionFacts
    agent_id: str | None
    queue: str | None


class ScoredBy(_Part):
    """The pair that scored the call, with latency, tokens and cost."""

    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    model: str
    arm: str
    latency_ms: float
    input_tokens: int
    output_tokens: int
    cost_usd: Number | None


class CallResult(_Part):
    """The unified JSON of one call. ``summary_raw`` is the key of an unusable answer; then there is no evaluation."""

    schema_version: int = SCHEMA_VERSION
    tenant_id: str
    call_id: str
    call_date: AwareDatetime
    scored_at: AwareDatetime
    needs_review: bool
    review: tuple[str, ...]
    sentiment: Sentiment | None
    customer_tone: str | None
    agent_tone: str | None
    turns: int
    duration_s: float
    key_phrases: tuple[str, ...] = ()
    entities: tuple[Entity, ...]
    ai_summary: Summary | None
    qa_evaluation: CallEvaluation | None
    summary_raw: str | None = None
    source: Source
    scored_by: ScoredBy
    insights: CallInsights | None = None  # None: scored before they were read

    def to_json(self) -> str:
        """Return the JSON text as it is stored."""
        return self.model_dump_json(indent=1)


def tone_score(customer: str | None, agent: str | None) -> int | None:
    """Return 0 to 100 from the two tones, None when one is unknown."""
    base, moved = _AGENT_TONE.get(agent or ""), _CUSTOMER_TONE.get(customer or "")
    return None if base is None or moved is None else max(0, min(100, base + moved))


def evaluation_of(card: Scorecard, pass_threshold: Decimal) -> CallEvaluation:
    """Return a scorecard in the form of the unified JSON, with the scorecard's own figures."""
    score = card.score
    reasons = {result.id: result.reason for result in card.criteria}
    return CallEvaluation(
        form_id=card.form_id,
        qa_template_version=card.form_version,
        criteria=tuple(_question(result) for result in card.criteria),
        total_score=None if score is None else score.total,
        max_score=None if score is None else score.maximum,
        percentage=None if score is None else score.percentage,
        passed=None if score is None else score.passed,
        pass_threshold=pass_threshold,
        failed=tuple(Failed(id=name, reason=reasons[name]) for name in (() if score is None else score.failed)),
        failed_required=() if score is None else score.failed_required,
        not_applicable=() if score is None else score.not_applicable,
    )


def summary_of(card: Scorecard) -> Summary:
    """Return the scorecard's summary of the call."""
    tones = [f"{who} {tone}" for who, tone in (("customer", card.tone.customer), ("agent", card.tone.agent)) if tone]
    return Summary(
        issue=card.summary,
        resolution=card.resolution,
        outcome=card.outcome,
        action_items=card.action_items,
        tone_score=tone_score(card.tone.customer, card.tone.agent),
        sentiment_summary=", ".join(tones),
    )


def sentiment_of(card: Scorecard) -> Sentiment | None:
    """Return the customer's sentiment, derived from the tone."""
    return _SENTIMENT.get(card.tone.customer or "")


def reviews_of(card: Scorecard) -> tuple[str, ...]:
    """Return each reason for a person's review, with its criterion."""
    return tuple(item.code if item.criterion is None else f"{item.code}:{item.criterion}" for item in card.review)


def rows_of(result: CallResult, source_key: str) -> tuple[CallEvent, list[CallCriterionEvent]]:
    """Return the warehouse's rows of a call. They quote nothing of it, so they may be kept longer than the result."""
    return _call_row(result, source_key), _criterion_rows(result)


def _call_row(result: CallResult, source_key: str) -> CallEvent:
    parts = (result, result.qa_evaluation, result.ai_summary, result.source, result.scored_by)
    evaluation, insights, redaction = result.qa_evaluation, result.insights, result.source.redaction
    fields = _of_same_name(CallEvent, *parts) | {
        "state": "needs_review" if result.needs_review else "done",
        "review": "+".join(sorted({reason.partition(":")[0] for reason in result.review})),
        "form_version": None if evaluation is None else evaluation.qa_template_version,
        "redactor": redaction.by,
        "pii_found": sum(redaction.found.values()),
        "model_used": result.scored_by.model,
        "latency_ms": round(result.scored_by.latency_ms),
        "source_key": source_key,
    }
    if insights is not None:  # no key phrase, because that is the call's own words
        failed = None if insights.failure is None else insights.failure_code or "unstated"
        fields |= {"insights_by": insights.by, "insights_sentiment": insights.sentiment}
        fields |= {"insights_balance": insights.balance, "insights_failure": failed}
    return CallEvent(**fields)


def _criterion_rows(result: CallResult) -> list[CallCriterionEvent]:
    evaluation = result.qa_evaluation
    if evaluation is None:
        return []
    return [
        CallCriterionEvent(
            **_of_same_name(CallCriterionEvent, item, evaluation, result, result.scored_by)
            | {"criterion_id": item.id, "form_version": evaluation.qa_template_version, "evidence_turn": item.turn}
        )
        for item in evaluation.criteria
    ]


def _of_same_name(event: type[WarehouseEvent], *parts: BaseModel | None) -> dict[str, Any]:
    """Return an event's columns, each from the first part that has a field of its name; None where none has."""
    there = [part for part in parts if part is not None]
    return {
        name: next((getattr(one, name) for one in there if hasattr(one, name)), None) for name in event.model_fields
    }


def _question(result: CriterionResult) -> EvaluatedCriterion:
    return EvaluatedCriterion(
        **result.model_dump(),
        passed=None if result.verdict in (None, "na") else result.verdict == "yes",
        score=result.weight if result.verdict == "yes" else Decimal(0),
    )
