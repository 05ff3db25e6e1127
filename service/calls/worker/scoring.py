"""Scores one redacted call by one form, with the same task as the harness, and builds its result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.calls.failure import CallFailed, FailureReason, NotReady
from service.calls.keys import CallObject, raw_answer_key
from service.calls.redact.transcript import leftovers
from service.calls.result import (
    CallResult,
    Entity,
    RedactionFacts,
    ScoredBy,
    Source,
    evaluation_of,
    reviews_of,
    sentiment_of,
    summary_of,
)
from service.calls.store.form_store import FormHead
from service.calls.worker.candidate import CallRollout
from service.calls.worker.kept import KeptTranscript
from service.core.llm.model_call import Gateway
from service.core.redaction.own_words import NO_WORDS, OwnWords
from service.core.release.served import ServedPair
from service.core.run.task import TaskContext, TaskResult
from service.core.tasks.scorecard import TASK, ScorecardInputs
from service.core.tasks.scorecard.card import Scorecard
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.transcript import Turn, unscoreable
from service.core.unit.cards import ModelCards
from service.kit.frame.errors import FailureCode
from service.kit.telemetry.log import Event, log

# The model answered, but unusably: a person must review the call. Other failures are retried.
_UNUSABLE = frozenset(
    {FailureCode.OUTPUT_INVALID, FailureCode.FAILED_SAFETY_GUIDELINES, FailureCode.INSUFFICIENT_CONTENT}
)

_LEFT = "personal_data_left"  # reason for a review: the redacted transcript still holds what a pattern finds


class ModelBusy(NotReady):
    """The model did not answer: throttled, down or too slow. The call waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCall:
    """A call's result, and the model's answer if it was unusable."""

    result: CallResult
    raw_answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallScorer:
    """Scores calls. ``served`` returns a tenant's pair: the released one, or a named one, which no rollout replaces.

    ``in_rollout`` says whether a tenant's calls may be scored by a rollout's candidate: a tenant may be bound to its own model.
    """

    served: Callable[[str], ServedPair]
    gateway: Gateway
    cards: ModelCards
    rollout: CallRollout | None = None
    in_rollout: Callable[[str], bool] = lambda tenant: True

    async def card(
        self, call_id: str, form: Form, turns: Sequence[Turn]
    ) -> tuple[Scorecard | None, TaskResult, ServedPair]:
        """Return the scorecard of redacted turns by the tenant's pair, None when the model's answer could not be used.

        No rollout takes part: a form that is tried on stored calls is compared under one pair.

        Raises:
            ModelBusy: the model did not answer.
            CallFailed: the provider refuses the request.
        """
        served = self.served(form.tenant)
        found = await TASK.run(_inputs(call_id, form, turns), self._context(served))
        return _usable(found), found, served

    async def _answered(self, inputs: ScorecardInputs) -> tuple[Scorecard | None, TaskResult, ServedPair]:
        """Return the scorecard as ``card`` does, by the rollout's candidate if this call is one of its share.

        A call that the candidate cannot score is scored by production: no call is lost to a candidate.
        """
        production = served = self.served(inputs.tenant)
        if self.rollout is None or not self.in_rollout(inputs.tenant):
            found = await TASK.run(inputs, self._context(served))
            return _usable(found), found, served
        served = self.rollout.choose(inputs, production)
        found = await TASK.run(inputs, self._context(served))
        self.rollout.count(served, found)
        if found.failure is not None and served.pair.digest != production.pair.digest:
            served = production
            found = await TASK.run(inputs, self._context(served))
            self.rollout.count(served, found)
        self.rollout.beside(inputs, self._context(served), found, production)
        return _usable(found), found, served

    def _context(self, served: ServedPair) -> TaskContext:
        return TaskContext(pair=served.pair, gateway=self.gateway, cards=self.cards)

    async def score(
        self,
        source: CallObject,
        form: Form,
        kept: KeptTranscript,
        *,
        call_date: datetime,
        now: datetime,
        own: OwnWords = NO_WORDS,
    ) -> ScoredCall:
        """Return a call's result; ``own`` words of the tenant are no personal data. See ``card`` for what it raises."""
        card, found, served = await self._answered(_inputs(source.call_id, form, kept.turns))
        review = ("answer_unusable",) if card is None else reviews_of(card)
        # Looked at again: the transcript was stored in between.
        left = {**kept.left, **leftovers(kept.turns, own)}
        review += (_LEFT,) * bool(left)
        nothing = unscoreable(kept.turns)
        if nothing is not None:
            review = (*review, "no_agent" if any(turn.spoken for turn in kept.turns) else "no_speech")
        result = CallResult(
            tenant_id=source.tenant,
            call_id=source.call_id,
            call_date=call_date,
            scored_at=now,
            needs_review=card is None or card.needs_review or bool(left),
            review=review,
            sentiment=None if card is None else sentiment_of(card),
            customer_tone=None if card is None else card.tone.customer,
            agent_tone=None if card is None else card.tone.agent,
            turns=len(kept.turns),
            duration_s=max((turn.start_s for turn in kept.turns), default=0.0),
            entities=tuple(Entity(type=kind, count=count) for kind, count in kept.found.items()),
            ai_summary=None if card is None else summary_of(card),
            qa_evaluation=None if card is None else evaluation_of(card, form.pass_threshold),
            summary_raw=None if card is not None else raw_answer_key(source.tenant, source.call_id),
            source=Source(
                object_key=source.key,
                etag=source.etag,
                transcribe_job=kept.job,
                transcriber=kept.by,
                pii_redacted=not left and bool(kept.languages or not kept.turns),
                redaction=_facts(kept, left),
                agent_id=kept.agent_id,
                queue=kept.queue,
            ),
            scored_by=_scored_by(served, found),
        )
        log(
            Event.CALL_SCORED,
            tenant=result.tenant_id,
            call_id=result.call_id,
            pair=result.scored_by.pair,
            latency_ms=result.scored_by.latency_ms,
            duration_s=result.duration_s,
            **({} if result.scored_by.cost_usd is None else {"cost_usd": str(result.scored_by.cost_usd)}),
        )
        return ScoredCall(result=result, raw_answer="" if card is not None else found.raw_text)


def _inputs(call_id: str, form: Form, turns: Sequence[Turn]) -> ScorecardInputs:
    return ScorecardInputs(call_id=call_id, tenant=form.tenant, form=form, turns=tuple(turns))


def _usable(found: TaskResult) -> Scorecard | None:
    if found.output is not None:
        return Scorecard.model_validate_json(found.output)
    if found.failure in _UNUSABLE:
        return None
    if found.failure is FailureCode.INTERNAL_ERROR:
        raise CallFailed(FailureReason.MODEL, f"the provider refuses the request ({found.failure_message[:200]})")
    raise ModelBusy(f"no answer: {found.failure}")


def _scored_by(served: ServedPair, found: TaskResult) -> ScoredBy:
    return ScoredBy(
        pair=served.pair.name,
        pair_digest=served.pair.digest,
        prompt_version=served.pair.version,
        registry_version=served.registry_version,
        model=found.model,
        arm=found.arm,
        latency_ms=round(found.latency_ms, 1),
        input_tokens=found.usage.input_tokens,
        output_tokens=found.usage.output_tokens,
        cost_usd=None if found.cost is None else found.cost.metered_usd,
    )


def _facts(kept: KeptTranscript, left: dict[str, int]) -> RedactionFacts:
    return RedactionFacts(
        by=kept.redactor,
        turns=len(kept.turns),
        found=kept.found,
        transcriber_found=kept.claimed,
        languages=kept.languages,
        left=left,
        result="left" if left else "redacted" if kept.found else "nothing_found",
    )


def choose_form(heads: Sequence[FormHead], *, named: str | None, folder: str | None) -> Form:
    """Return the form for a call: the form that the call names, the form of its folder's name, or the only active form.

    Raises:
        CallFailed: there is no such form, or the choice is ambiguous.
    """
    active = {head.form_id: head.active for head in heads if head.active is not None}
    if not active:
        raise CallFailed(FailureReason.FORM, "the tenant has no active form: activate one, then replay")
    if named is not None:
        if named not in active:
            raise CallFailed(FailureReason.FORM, f"the call names form {named!r}; active are {', '.join(active)}")
        return active[named]
    if folder in active:
        return active[folder]
    if len(active) > 1:
        raise CallFailed(
            FailureReason.FORM,
            f"the tenant has {len(active)} active forms ({', '.join(active)}) and the call names none: "
            "upload it as <tenant>/calls/<form>/<name>",
        )
    return next(iter(active.values()))
