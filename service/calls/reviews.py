"""Reviews of scored calls by a QA lead: pages of calls, one call's result, and overrides of the model's verdicts.

The HTTP API and the command line both use this module. Every method is about one tenant and treats another tenant's calls as
missing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from service.calls.failure import CallFailed
from service.calls.keys import is_call_id, transcript_key
from service.calls.redact.transcript import PatternRedactor, TranscriptRedactor
from service.calls.result import CallResult
from service.calls.store.objects import TenantResults
from service.calls.store.overrides import CallOverrides, Override, OverrideTaken
from service.calls.store.pages import CallPages
from service.calls.store.states import CallJob, CallJobs, CallScore
from service.core.tasks.scorecard.arithmetic import Rating
from service.core.tasks.scorecard.transcript import Turn
from service.kit.aws.bounded import StoreThreads
from service.kit.aws.stores import CALLS
from service.kit.records.build import open_rows
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log

LONGEST_REASON = 2000
_TICK = timedelta(milliseconds=1)  # the precision of an override's time


class ReviewRefused(Exception):
    """A request that cannot be carried out; ``code`` is for programs, the message says what to do."""

    status: ClassVar[int] = 404
    code: ClassVar[str]


class CallMissing(ReviewRefused):
    """The tenant has no such call."""

    code = "CALL_NOT_FOUND"


class CriterionMissing(ReviewRefused):
    """The call was not scored on this criterion."""

    code = "CRITERION_NOT_FOUND"


class NotScored(ReviewRefused):
    """The call has no scorecard, or its scorecard was deleted."""

    status = 409
    code = "CALL_NOT_SCORED"


class OverrideChanged(ReviewRefused):
    """Another override of the criterion was saved since it was read."""

    status = 409
    code = "OVERRIDE_CHANGED"


class ReasonUnredacted(ReviewRefused):
    """The reason could not be redacted, so it is not kept."""

    status = 422
    code = "REASON_NOT_REDACTED"


class _KeptTurns(BaseModel):
    # What else is stored of a transcript concerns the worker.
    model_config = ConfigDict(extra="ignore", frozen=True)

    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """One call: its state, the model's result, and each criterion's newest override."""

    job: CallJob
    result: CallResult | None
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReviews:
    """Reads calls and keeps overrides. Blocking; every method raises ``StoreError`` when a store does not answer."""

    jobs: CallJobs
    pages: CallPages
    overrides: CallOverrides
    results: Callable[[str], TenantResults]
    redactor: TranscriptRedactor
    now: Callable[[], datetime]
    threads: StoreThreads  # runs these methods for callers on the event loop

    def read(self, tenant: str, call_id: str) -> Reviewed:
        """Return a call with its overrides and its result; the result is None before scoring and after its deletion."""
        job = self._job(tenant, call_id)
        result = self._result(job)
        if job.scored is None and result is not None:  # scored by a version that did not store it in the list
            job = replace(job, scored=scored_of(result))
        said = {item.criterion: item for item in self.overrides.of(tenant, call_id)}  # the newest comes last
        return Reviewed(job=job, result=result, overrides=tuple(said.values()))

    def transcript(self, tenant: str, call_id: str) -> tuple[Turn, ...] | None:
        """Return a call's redacted turns; None before it was heard and after the transcript's deletion."""
        job = self._job(tenant, call_id)
        text = self.results(job.tenant).read(transcript_key(job.tenant, job.call_id))
        return None if text is None else _KeptTurns.model_validate_json(text).turns

    def override(
        self, tenant: str, call_id: str, criterion: str, verdict: Rating, *, reason: str, who: str, edit: int | None
    ) -> Override:
        """Keep a person's verdict beside the model's, which stays unchanged. The same person's repeat is kept once.

        ``edit`` is the number of the override that the person read, 0 for none; None skips the check. The reason is redacted.
        Raises a ``ReviewRefused`` of the kind that says why it cannot be kept.
        """
        job = self._job(tenant, call_id)
        result = self._result(job)
        evaluation = None if result is None else result.qa_evaluation
        if result is None or evaluation is None:
            raise NotScored(_why_not(job, result))
        found = next((item for item in evaluation.criteria if item.id == criterion), None)
        if found is None:
            known = ", ".join(item.id for item in evaluation.criteria)
            raise CriterionMissing(
                f"call {call_id!r} was not scored on criterion {criterion!r}; its criteria are {known}"
            )
        clean = self._redacted(reason)
        said = [item for item in self.overrides.of(tenant, call_id) if item.criterion == criterion]
        last = said[-1] if said else None
        if last is not None and (last.verdict, last.reason, last.who) == (verdict, clean, who):
            return last
        standing = 0 if last is None else last.edit
        if edit is not None and edit != standing:
            raise OverrideChanged(f"criterion {criterion!r} is at edit {standing}, not {edit}: read the call again")
        now = self.now()
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        made = Override(
            tenant=tenant,
            call_id=call_id,
            criterion=criterion,
            edit=standing + 1,
            form_id=evaluation.form_id,
            form_version=evaluation.qa_template_version,
            model_verdict=found.verdict,
            verdict=verdict,
            reason=clean,
            who=who,
            # The newer override gets the later time, even if this machine's clock is behind.
            at=at if last is None else max(at, last.at + _TICK),
            pair_digest=result.scored_by.pair_digest,
        )
        try:
            self.overrides.put(made)
        except OverrideTaken as err:
            raise OverrideChanged(f"criterion {criterion!r} was overridden a moment ago: read the call again") from err
        log(Event.CALL_OVERRIDDEN, tenant=tenant, call_id=call_id, criterion=criterion, agrees=made.agrees)
        return made

    def _job(self, tenant: str, call_id: str) -> CallJob:
        job = self.jobs.get(tenant, call_id) if is_call_id(call_id) else None
        if job is None:
            raise CallMissing(f"tenant {tenant!r} has no call {call_id[:40]!r}")
        return job

    def _result(self, job: CallJob) -> CallResult | None:
        text = None if job.result_key is None else self.results(job.tenant).read(job.result_key)
        return None if text is None else CallResult.model_validate_json(text)

    def _redacted(self, reason: str) -> str:
        try:
            return self.redactor.redact([Turn(speaker="system", start_s=0, text=reason)]).turns[0].text
        except CallFailed as err:
            raise ReasonUnredacted(
                "the reason cannot be redacted, so it is not kept: write it in simpler words"
            ) from err


def scored_of(result: CallResult) -> CallScore | None:
    """Return the part of a result that lists show; None when the model's answer could not be used."""
    found = result.qa_evaluation
    if found is None:
        return None
    return CallScore(
        form_id=found.form_id,
        form_version=found.qa_template_version,
        percentage=found.percentage,
        passed=found.passed,
    )


def build_reviews(settings: Settings, *, dynamodb: Any, s3: Any, now: Callable[[], datetime]) -> CallReviews:
    """Return the reviews of the settings' table and buckets; contacts nothing."""
    rows = open_rows(settings, CALLS, dynamodb)
    return CallReviews(
        jobs=CallJobs(rows),
        pages=CallPages(rows),
        overrides=CallOverrides(rows),
        results=partial(TenantResults, s3, settings.calls.results_bucket, kms_key=settings.calls.kms_key),
        redactor=PatternRedactor(),
        now=now,
        threads=StoreThreads(f"table {rows.name!r}", timeout_s=settings.stores.timeout_s),
    )


def _why_not(job: CallJob, result: CallResult | None) -> str:
    if job.state == "failed":
        return f"call {job.call_id!r} failed ({job.reason}) and has no scorecard"
    if result is not None:
        return f"call {job.call_id!r} has no scorecard: the model's answer could not be used"
    if job.result_key is not None:
        return f"call {job.call_id!r} was scored and its result is no longer kept"
    return f"call {job.call_id!r} is {job.state} and not scored yet"
