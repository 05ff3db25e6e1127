"""Scores a tenant's stored calls again by a version of their form, and keeps what comes out; safe to kill and to repeat.

Each new result is written once to its own key as soon as the model has answered, and only then takes the place of the standing
one, which is kept as an earlier result. So a second run asks no model about a call that was answered, and calls and money that
were spent are counted from what is stored. Two runs of one form version at once may ask about a call twice.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Literal

import anyio.to_thread

from service.calls.failure import CallErased
from service.calls.keys import rescored_key, rescored_prefix, transcript_key
from service.calls.rescorings import RescoringRange, cost_of, left_of
from service.calls.result import CallResult, rows_of
from service.calls.reviews import scored_of
from service.calls.store.states import CallJob
from service.calls.worker.kept import KeptTranscript, set_aside
from service.calls.worker.spans import by_whom, scoring_again, step
from service.calls.worker.worker import CallWorker
from service.core.tasks.scorecard.form import Form
from service.kit.frame.errors import ConfigurationError
from service.warehouse.events import CallCriterionEvent, CallEvent
from service.warehouse.rows import to_table


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreBound:
    """What a form version's re-scoring may use in all its runs together."""

    calls: int
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreEstimate:
    """What is left to do, and what was used already. ``usd_per_call`` is the mean of the newest calls' standing scorecards."""

    left: tuple[CallJob, ...]
    used: int
    used_usd: Decimal
    usd_per_call: Decimal | None

    def lines(self, form: Form) -> list[str]:
        """Return the estimate as lines of text."""
        cost = (
            "at an unknown cost: the standing scorecards have none"
            if self.usd_per_call is None
            else f"about ${self.usd_per_call * len(self.left):.4f} (${self.usd_per_call:.6f} a call, as before)"
        )
        return [
            f"form {form.form_id!r} version {form.version}: {len(self.left)} calls to score again, {cost}",
            f"{self.used} calls and ${self.used_usd:.4f} were used in earlier runs",
        ]


@dataclass(slots=True, kw_only=True)
class RescoreTally:
    """What a run did. ``used`` and ``used_usd`` are of all runs; ``stopped``: the bound was reached."""

    used: int
    used_usd: Decimal
    replaced: int = 0
    unanswered: int = 0
    gone: int = 0
    stopped: bool = False

    def lines(self) -> list[str]:
        """Return the tally as lines of text."""
        said = (
            f"{self.replaced} calls have a new scorecard, {self.unanswered} got no usable answer and keep theirs, "
            f"{self.gone} are no longer kept; {self.used} calls and ${self.used_usd:.4f} used in all"
        )
        return [said, *(["stopped at the bound: raise it and run the command again"] if self.stopped else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledCall:
    """How one call ended: with a new scorecard, without a usable answer (it keeps its own), or it is no longer kept."""

    how: Literal["done", "failed", "gone"]
    usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescoring:
    """The re-scoring of one form's calls by one version of it."""

    worker: CallWorker
    form: Form

    @property
    def range(self) -> RescoringRange:
        """The form's calls of all days."""
        return RescoringRange(form_id=self.form.form_id, version=self.form.version)

    def left(self, within: RescoringRange) -> list[CallJob]:
        """Return the calls of these days that another version scored, newest first. Blocking."""
        return left_of(self.worker.jobs.of(self.form.tenant), self.form, within)

    def is_answered(self, job: CallJob) -> bool:
        """Return whether the model has answered about a call already. Blocking."""
        return self._read(self._key(job)) is not None

    def estimate(self) -> RescoreEstimate:
        """Return what is left. Blocking; asks no model."""
        answered = list(self._answered())
        costs = [one.scored_by.cost_usd for one in answered if one.scored_by.cost_usd is not None]
        left = self.left(self.range)
        return RescoreEstimate(
            left=tuple(left),
            used=len(answered),
            used_usd=sum(costs, Decimal(0)),
            usd_per_call=cost_of(self.worker.results(self.form.tenant), left).usd_per_call,
        )

    async def run(self, bound: RescoreBound) -> RescoreTally:
        """Score what is left, the newest calls first, until all is done or the bound is reached.

        Raises:
            ConfigurationError: a bound is not above 0.
            StoreError: a store does not answer; what was answered is kept, so run it again.
            ModelBusy: the model does not answer; likewise.
        """
        if bound.calls < 1 or bound.usd <= 0:
            raise ConfigurationError("a bound must be above 0: say how many calls and dollars the re-scoring may use")
        plan = await anyio.to_thread.run_sync(self.estimate)
        tally = RescoreTally(used=plan.used, used_usd=plan.used_usd)
        dearest = plan.usd_per_call or Decimal(0)
        for job in plan.left:
            known = await anyio.to_thread.run_sync(self.is_answered, job)
            if not known and (tally.used >= bound.calls or tally.used_usd + dearest > bound.usd):
                tally.stopped = True
                break
            settled = await self.settle(job)
            if settled.how == "gone":
                tally.gone += 1
                continue
            if not known:
                tally.used += 1
                tally.used_usd += settled.usd
                dearest = max(dearest, settled.usd)
            tally.unanswered += settled.how == "failed"
            tally.replaced += settled.how == "done"
        return tally

    async def settle(self, job: CallJob) -> SettledCall:
        """Score one call, if no run has yet, and put its new result in the place of the standing one. Safe to repeat.

        Raises:
            StoreError: a store does not answer; what was answered is kept.
        """
        assert job.result_key is not None
        with scoring_again(job) as recorded:
            if await anyio.to_thread.run_sync(self._read, job.result_key) is None:
                return SettledCall(how="gone")
            new = await anyio.to_thread.run_sync(self._read, self._key(job)) or await self._scored(job)
            if new is None:
                return SettledCall(how="gone")
            by_whom(recorded, new)
            usd = new.scored_by.cost_usd or Decimal(0)
            if new.qa_evaluation is None:
                return SettledCall(how="failed", usd=usd)
            with step("store"):
                await anyio.to_thread.run_sync(partial(self._replace, job, new))
            return SettledCall(how="done", usd=usd)

    async def _scored(self, job: CallJob) -> CallResult | None:
        """Return the call's new result, stored; None when its transcript is no longer kept, or its customer was erased."""
        results = self.worker.results(job.tenant)
        text = await anyio.to_thread.run_sync(results.read, transcript_key(job.tenant, job.call_id))
        if text is None or self.worker.jobs.is_erased(job.source):
            return None
        kept = KeptTranscript.model_validate_json(text)
        own = (await self.worker.tenants.admit(job.tenant)).redaction_words()
        with step("score"):
            scored = await self.worker.scorer.score(
                job.source, self.form, kept, call_date=job.call_date, now=self.worker.now(), own=own
            )
        try:
            await anyio.to_thread.run_sync(partial(results.put, self._key(job), scored.result.to_json(), once=True))
        except CallErased:
            return None
        return await anyio.to_thread.run_sync(self._read, self._key(job))

    def _replace(self, job: CallJob, new: CallResult) -> None:
        """Put the new result in the place of the standing one, which stays readable as an earlier one. Safe to repeat."""
        results, key = self.worker.results(job.tenant), job.result_key
        assert key is not None
        standing = self._read(key)
        if standing is None:
            return
        new = new.model_copy(update={"insights": standing.insights, "key_phrases": standing.key_phrases})
        set_aside(results, job)
        results.put(key, new.to_json())
        row, criteria = rows_of(new, key)
        with closing(self.worker.open_warehouse()) as warehouse:
            warehouse.migrate()
            with warehouse.transaction():
                # Criteria that the version no longer has must not stay among the failures.
                warehouse.remove(CallCriterionEvent, "call_id", [job.call_id])
                warehouse.merge(CallEvent, to_table(CallEvent, [row]))
                warehouse.merge(CallCriterionEvent, to_table(CallCriterionEvent, criteria))
        # Last: a call whose item names the version is done.
        scored = scored_of(new)
        assert scored is not None
        self.worker.jobs.rescored(job, scored, "needs_review" if new.needs_review else "done", now=self.worker.now())

    def _answered(self) -> Iterator[CallResult]:
        results = self.worker.results(self.form.tenant)
        for one in results.listed(rescored_prefix(self.form.tenant, self.form.form_id, self.form.version)):
            found = self._read(one.key)
            if found is not None:
                yield found

    def _read(self, key: str) -> CallResult | None:
        text = self.worker.results(self.form.tenant).read(key)
        return None if text is None else CallResult.model_validate_json(text)

    def _key(self, job: CallJob) -> str:
        return rescored_key(job.tenant, self.form.form_id, self.form.version, job.call_id)
