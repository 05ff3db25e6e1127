"""What a QA lead reads and says of scored calls: pages of calls, one call's result, and a person's verdict beside the model's.

Below the HTTP API and the command line, which both say it through this module. Every method is about one tenant, and another
tenant's call is not there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Protocol

from service.aws.bounded import StoreThreads
from service.calls.failure import CallFailed
from service.calls.keys import is_call_id
from service.calls.redact.transcript import PatternRedactor, TranscriptRedactor
from service.calls.result import CallResult
from service.calls.store.objects import TenantResults
from service.calls.store.overrides import CallOverrides, Override, OverrideTaken
from service.calls.store.pages import CallPages, Page
from service.calls.store.states import CallJob, CallJobs, CallScore, State
from service.settings import Settings
from service.tasks.scorecard.arithmetic import Rating
from service.tasks.scorecard.transcript import Turn
from service.telemetry.log import Event, log

LONGEST_REASON = 2000
_TICK = timedelta(milliseconds=1)  # what moments of overrides are exact to


class ReviewRefused(Exception):
    """What was asked cannot be done; ``code`` is for machines, the message says what to do."""

    status: ClassVar[int] = 404
    code: ClassVar[str]


class CallMissing(ReviewRefused):
    """The tenant has no such call."""

    code = "CALL_NOT_FOUND"


class CriterionMissing(ReviewRefused):
    """The call was not scored on such a criterion."""

    code = "CRITERION_NOT_FOUND"


class NotScored(ReviewRefused):
    """The call has no scorecard to say anything about, or none any more."""

    status = 409
    code = "CALL_NOT_SCORED"


class OverrideChanged(ReviewRefused):
    """Somebody else overruled the criterion since it was read."""

    status = 409
    code = "OVERRIDE_CHANGED"


class ReasonUnredacted(ReviewRefused):
    """Personal details in the reason could not be looked for, so it is not kept."""

    status = 422
    code = "REASON_NOT_REDACTED"


class _Jobs(Protocol):
    def get(self, tenant: str, call_id: str) -> CallJob | None: ...


class _Pages(Protocol):
    def page(
        self, tenant: str, *, limit: int, day: date | None, state: State | None, form_id: str | None, after: str | None
    ) -> Page: ...


class _Overrides(Protocol):
    def put(self, override: Override) -> None: ...

    def of(self, tenant: str, call_id: str) -> list[Override]: ...

    def unloaded(self) -> list[Override]: ...

    def loaded(self, override: Override) -> None: ...


class _Results(Protocol):
    def read(self, key: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """One call: its state, its result as the model left it, and each criterion's newest word of a person."""

    job: CallJob
    result: CallResult | None
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReviews:
    """Blocking; every method raises ``StoreError`` when a store does not answer."""

    jobs: _Jobs
    pages: _Pages
    overrides: _Overrides
    results: Callable[[str], _Results]
    redactor: TranscriptRedactor
    now: Callable[[], datetime]
    threads: StoreThreads  # for whoever may not block

    def read(self, tenant: str, call_id: str) -> Reviewed:
        """Return a call with its result, None where it has none (yet, or any more), and what people said.

        Raises:
            CallMissing: there is none.
        """
        job = self._job(tenant, call_id)
        result = self._result(job)
        if job.scored is None and result is not None:  # scored before the list said so
            job = replace(job, scored=scored_of(result))
        said = {item.criterion: item for item in self.overrides.of(tenant, call_id)}  # the newest comes last
        return Reviewed(job=job, result=result, overrides=tuple(said.values()))

    def override(
        self, tenant: str, call_id: str, criterion: str, verdict: Rating, *, reason: str, who: str, edit: int | None
    ) -> Override:
        """Put a person's verdict beside the model's, which stays. Said twice by the same person it is kept once.

        ``edit`` is the number of the word that was read, 0 for none; None speaks over whatever there is. The reason is redacted.

        Raises:
            CallMissing: there is no such call.
            NotScored: nothing of it to say anything about.
            CriterionMissing: it was not scored on that.
            OverrideChanged: somebody else's word came between.
            ReasonUnredacted: the reason cannot be kept.
        """
        job = self._job(tenant, call_id)
        result = self._result(job)
        evaluation = None if result is None else result.qa_evaluation
        if result is None or evaluation is None:
            raise NotScored(_why_not(job, result))
        found = next((item for item in evaluation.criteria if item.id == criterion), None)
        if found is None:
            known = ", ".join(item.id for item in evaluation.criteria)
            raise CriterionMissing(f"call {call_id!r} was not scored on a criterion {criterion!r}; it was on {known}")
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
            # Of two clocks the later word is the newer one.
            at=at if last is None else max(at, last.at + _TICK),
            pair_digest=result.scored_by.pair_digest,
        )
        try:
            self.overrides.put(made)
        except OverrideTaken as err:
            raise OverrideChanged(f"criterion {criterion!r} was overruled a moment ago: read the call again") from err
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
            raise ReasonUnredacted("the reason cannot be redacted, so it is not kept: say it in plainer words") from err


def scored_of(result: CallResult) -> CallScore | None:
    """Return what a list says of a result; None where the model's answer could not be used."""
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
    """Return the reviews of the settings' table and buckets; nothing is contacted yet."""
    table = settings.calls.table
    return CallReviews(
        jobs=CallJobs(dynamodb, table),
        pages=CallPages(dynamodb, table),
        overrides=CallOverrides(dynamodb, table),
        results=partial(TenantResults, s3, settings.calls.results_bucket, kms_key=settings.calls.kms_key),
        redactor=PatternRedactor(),
        now=now,
        threads=StoreThreads(f"table {table!r}", timeout_s=settings.stores.timeout_s),
    )


def _why_not(job: CallJob, result: CallResult | None) -> str:
    if job.state == "failed":
        return f"call {job.call_id!r} failed ({job.reason}) and has no scorecard"
    if result is not None:
        return f"call {job.call_id!r} has no scorecard: the model's answer could not be used"
    if job.result_key is not None:
        return f"call {job.call_id!r} was scored and its result is no longer kept"
    return f"call {job.call_id!r} is {job.state} and not scored yet"
