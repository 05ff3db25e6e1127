"""The scorecard: the stored and displayed result of a scored call, computed from form, transcript and a model's answers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from service.core.statements.grounding.language import language_of
from service.core.tasks.scorecard.arithmetic import Rating, add_up
from service.core.tasks.scorecard.condition import ConditionFacts
from service.core.tasks.scorecard.evidence import QuoteEvidence, Status
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.merging import Settled, merge_overviews, settle
from service.core.tasks.scorecard.reading import (
    MOST_TEXT,
    AgentTone,
    CriterionRating,
    CustomerTone,
    Overview,
    Reading,
    Resolution,
)
from service.core.tasks.scorecard.transcript import Speaker, Turn, unscoreable
from service.core.tasks.scorecard.windows import TranscriptPart

ReviewCode = Literal[
    "unanswered",  # no verdict on a criterion: there is no score
    "not_scoreable",  # nothing to score: no words, no agent, or no applicable criterion
    "evidence_unverified",  # the quote is not in the transcript
    "evidence_missing",  # a yes without a quote
    "evidence_not_agent",  # a yes with a quote of another speaker than the agent
    "na_without_condition",  # "not applicable" for a criterion without a condition
    "speakers_unknown",  # the speakers of the recording are not identified
    "one_speaker",
    "language",  # the call is not in the form's language
    "condensed",  # the guidance was cut to fit the model's token budget
]


_EXAMPLE: dict[str, Any] = {
    "call_id": "call-0001-5f3a",
    "tenant": "demo-tenant",
    "form_id": "support",
    "form_version": 1,
    "status": "scored",
    "needs_review": False,
    "review": [],
    "criteria": [
        {
            "id": "greet_01",
            "section": "opening",
            "question": "Did the agent greet the customer politely at the start?",
            "weight": "1",
            "required": True,
            "verdict": "yes",
            "reason": "The agent says good morning.",
            "quote": "Good morning, you are through to Sam",
            "turn": 0,
            "speaker": "agent",
            "start_s": 0.0,
            "evidence": "verified",
        }
    ],
    "score": {
        "total": "1",
        "maximum": "1",
        "percentage": "100.0",
        "pass_threshold": "0.7",
        "passed": True,
        "failed": [],
        "failed_required": [],
        "not_applicable": [],
    },
    "summary": "The customer asked about a bill.",
    "resolution": "resolved",
    "outcome": "The bill was explained.",
    "action_items": [],
    "tone": {"customer": "relieved", "agent": "warm"},
    "valid": True,
    "windows": 1,
}


class Review(BaseModel):
    """A reason for a person to review the call; ``criterion`` is None if it concerns the whole call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: ReviewCode
    criterion: str | None = None


class CriterionResult(BaseModel):
    """The result of one criterion of a call. ``turn``, ``speaker`` and ``start_s`` locate the quote; None if it was not found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    section: str
    question: str
    weight: Decimal
    required: bool
    verdict: Rating | None
    reason: str = ""
    quote: str = ""
    turn: int | None = None
    speaker: Speaker | None = None
    start_s: float | None = None
    evidence: Status = "none"


class ScoreFields(BaseModel):
    """The call's score, computed by ``service.core.tasks.scorecard.arithmetic``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: Decimal
    maximum: Decimal
    percentage: Decimal | None
    pass_threshold: Decimal
    passed: bool | None
    failed: tuple[str, ...]
    failed_required: tuple[str, ...]
    not_applicable: tuple[str, ...]


class Tone(BaseModel):
    """The tone of customer and agent; None if no answer states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: CustomerTone | None = None
    agent: AgentTone | None = None


class Scorecard(BaseModel):
    """One call scored by one version of one form. ``score`` is None unless ``status`` is ``scored``.

    ``valid``: all answers followed the schema without repair. ``windows``: the number of windows that the call was split into.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    call_id: str
    tenant: str
    form_id: str
    form_version: int
    status: Literal["scored", "incomplete", "not_scoreable"]
    needs_review: bool
    review: tuple[Review, ...]
    criteria: tuple[CriterionResult, ...]
    score: ScoreFields | None
    summary: str = ""
    resolution: Resolution = "unclear"
    outcome: str = ""
    action_items: tuple[str, ...] = ()
    tone: Tone = Tone()
    valid: bool = True
    windows: int = 0


def make_card(
    call_id: str, form: Form, turns: Sequence[Turn], parts: Sequence[TranscriptPart], readings: Sequence[Reading]
) -> Scorecard:
    """Return the scorecard of a call from the readings of its ``parts``, which are in the same order."""
    settled = [
        settle(criterion, readings, [criterion.id in {item.id for item in part.criteria} for part in parts], turns)
        for criterion in form.criteria()
    ]
    settled = _with_conditions(form, settled, turns)
    overview = merge_overviews([reading.overview for reading in readings if reading.overview is not None])
    results = _results(form, settled, turns)
    verdicts = {result.id: result.verdict for result in results if result.verdict is not None}
    complete = len(verdicts) == len(results)
    total = add_up(form, verdicts) if complete else None
    review = [*_reviews(settled, turns), *_call_reviews(form, turns)]
    if any(part.condensed for part in parts):
        review.append(Review(code="condensed"))
    if total is not None and total.percentage is None:
        review.append(Review(code="not_scoreable"))
    score = (
        None
        if total is None or total.percentage is None
        else ScoreFields(
            total=total.total,
            maximum=total.maximum,
            percentage=total.percentage,
            pass_threshold=form.pass_threshold,
            passed=total.passed,
            failed=total.failed,
            failed_required=total.failed_required,
            not_applicable=total.not_applicable,
        )
    )
    return Scorecard(
        call_id=call_id,
        tenant=form.tenant,
        form_id=form.form_id,
        form_version=form.version,
        status="incomplete" if not complete else "scored" if score is not None else "not_scoreable",
        needs_review=bool(review),
        review=tuple(review),
        criteria=tuple(results),
        score=score,
        valid=all(reading.valid for reading in readings),
        windows=max((part.windows for part in parts), default=0),
        **_overview_fields(overview),
    )


def empty_card(call_id: str, form: Form, turns: Sequence[Turn]) -> Scorecard | None:
    """Return the scorecard of a call with nothing to score, or None if the call can be scored."""
    if unscoreable(turns) is None:
        return None
    results = [
        CriterionResult(
            id=criterion.id,
            section=section.id,
            question=criterion.question,
            weight=criterion.weight,
            required=criterion.required,
            verdict=None,
        )
        for section in form.sections
        for criterion in section.criteria
    ]
    return Scorecard(
        call_id=call_id,
        tenant=form.tenant,
        form_id=form.form_id,
        form_version=form.version,
        status="not_scoreable",
        needs_review=True,
        review=(Review(code="not_scoreable"),),
        criteria=tuple(results),
        score=None,
    )


def _overview_fields(overview: Overview) -> dict[str, object]:
    fields = overview.model_dump(exclude={"customer_tone", "agent_tone"})
    return {**fields, "tone": Tone(customer=overview.customer_tone, agent=overview.agent_tone)}


def _with_conditions(form: Form, settled: Sequence[Settled], turns: Sequence[Turn]) -> list[Settled]:
    """Return the answers after the form's conditions: a criterion whose condition does not hold is not applicable.

    A condition that depends on a criterion without an answer leaves its own criterion without one.
    """
    found = {item.criterion.id: item for item in settled}
    verdicts: dict[str, Rating | None] = {}
    for name in form.conditions_in_order():
        item = found[name]
        condition = item.criterion.condition
        holds = True if condition is None else condition.holds(ConditionFacts(turns=turns, verdicts=verdicts))
        if condition is not None and not holds:
            reason = f"does not apply: it is not so that {condition.said()}"[:MOST_TEXT]
            answer = None if holds is None else CriterionRating(verdict="na", reason=reason)
            evidence = QuoteEvidence(status="none")
            item = replace(item, answered=answer, evidence=evidence, by_condition=True)
        found[name] = item
        verdicts[name] = None if item.answered is None else item.answered.verdict
    return list(found.values())


def _results(form: Form, settled: Sequence[Settled], turns: Sequence[Turn]) -> list[CriterionResult]:
    by_id = {item.criterion.id: item for item in settled}
    results = []
    for section in form.sections:
        for criterion in section.criteria:
            item = by_id[criterion.id]
            place = item.evidence.turn
            results.append(
                CriterionResult(
                    id=criterion.id,
                    section=section.id,
                    question=criterion.question,
                    weight=criterion.weight,
                    required=criterion.required,
                    verdict=None if item.answered is None else item.answered.verdict,
                    reason="" if item.answered is None else item.answered.reason,
                    quote="" if item.answered is None else item.answered.quote,
                    turn=place,
                    speaker=None if place is None else turns[place].speaker,
                    start_s=None if place is None else turns[place].start_s,
                    evidence=item.evidence.status,
                )
            )
    return results


def _reviews(settled: Sequence[Settled], turns: Sequence[Turn]) -> Iterator[Review]:
    known = any(turn.speaker == "agent" for turn in turns)
    for item in settled:
        name, answer, evidence = item.criterion.id, item.answered, item.evidence
        if answer is None:
            yield Review(code="unanswered", criterion=name)
            continue
        if evidence.status == "unverified":
            yield Review(code="evidence_unverified", criterion=name)
        if evidence.status == "missing":
            yield Review(code="evidence_missing", criterion=name)
        if known and answer.verdict == "yes" and evidence.turn is not None and turns[evidence.turn].speaker != "agent":
            yield Review(code="evidence_not_agent", criterion=name)
        if answer.verdict == "na" and item.criterion.prose is None and not item.by_condition:
            yield Review(code="na_without_condition", criterion=name)


def _call_reviews(form: Form, turns: Sequence[Turn]) -> Iterator[Review]:
    speakers = {turn.speaker for turn in turns if turn.spoken}
    if "unknown" in speakers:
        yield Review(code="speakers_unknown")
    elif len(speakers) == 1:
        yield Review(code="one_speaker")
    spoken = language_of(" ".join(turn.text for turn in turns if turn.spoken))
    if spoken != language_of(" ".join(criterion.question for criterion in form.criteria())):
        yield Review(code="language")
