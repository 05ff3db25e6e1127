"""Takes calls from the queue to their results: transcribes, redacts, scores, stores, and writes the warehouse's rows.

Every step is safe to repeat: keys are deterministic, a result is written once and read back, rows have keys, states change by
conditional writes. After a crash the next worker continues from the call's state; the queue's message is deleted last.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from service.calls.failure import CallErased, CallFailed, FailureReason, NotReady, Waiting
from service.calls.hear.formats import facts_of, is_audio, is_possible_date, read_transcript
from service.calls.hear.transcriber import Transcriber
from service.calls.insights.insight import InsightReader, insights_of
from service.calls.insights.words import WordReader
from service.calls.keys import CallObject, call_of_job, letter_key, raw_answer_key, read_key, result_key, transcript_key
from service.calls.redact.languages import require_covered
from service.calls.redact.transcript import TranscriptRedactor, redacted_call
from service.calls.result import CallResult
from service.calls.reviews import CallReviews, scored_of
from service.calls.store.form_store import FormStore
from service.calls.store.objects import CallInputs, TenantResults
from service.calls.store.states import ENDED, CallJob, CallJobs, State, StateLost
from service.calls.tenants.desk import TenantDesk
from service.calls.worker.dead_letters import CallLetters
from service.calls.worker.kept import KeptTranscript, ReadyCall, set_aside, write_rows
from service.calls.worker.leases import LeaseKeeper
from service.calls.worker.scoring import CallScorer, ModelBusy, choose_form
from service.calls.worker.spans import by_whom, step, storing_rows, working_on
from service.core.redaction.own_words import OwnWords
from service.core.tasks.scorecard.transcript import Turn
from service.kit.aws.event_queue import Announced, EventQueue, QueueMessage
from service.kit.frame.errors import StoreError, WarehouseError
from service.kit.telemetry.log import Event, log
from service.warehouse.port import Warehouse

LEASE = timedelta(minutes=2)  # renewed while the worker lives
VISIBLE_AFTER_S = 900
MOST_ATTEMPTS = 4
_T = TypeVar("_T")


@dataclass(slots=True)
class CallTally:
    """Counts of a batch: calls by state; ``known`` had ended before, ``waiting`` are retried, ``refused`` have no tenant.

    ``busy`` counts those of ``waiting`` that the model did not answer.
    """

    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    known: int = 0
    waiting: int = 0
    refused: int = 0
    foreign: int = 0
    busy: int = 0
    awaiting: int = 0  # of those that wait: for their transcription
    broken: int = 0  # of those that wait: a store failed, or the call broke the code

    def add(self, other: "CallTally") -> None:
        """Add another tally's counts."""
        self.states.update(other.states)
        self.reasons.update(other.reasons)
        for name in ("known", "waiting", "refused", "foreign", "busy", "awaiting", "broken"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWorker:
    """One worker; opens the warehouse for each batch and closes it after. ``owner`` names the worker in leases."""

    inputs: CallInputs
    results: Callable[[str], TenantResults]
    jobs: CallJobs
    forms: FormStore
    redactor: TranscriptRedactor
    scorer: CallScorer
    tenants: TenantDesk
    reviews: CallReviews
    open_warehouse: Callable[[], Warehouse]
    owner: str
    queue: EventQueue | None = None
    transcriber: Transcriber | None = None
    insights: InsightReader = field(default_factory=WordReader)
    now: Callable[[], datetime] = _now
    lease: timedelta = LEASE
    visible_after_s: int = VISIBLE_AFTER_S
    overwrite: bool = False
    at_once: int = 4

    async def drain(self, *, wait_s: int = 1) -> CallTally:
        """Work until the queue is empty; ``wait_s`` is the long-poll time of an empty queue."""
        total = CallTally()
        while (tally := await self.batch(wait_s=wait_s)) is not None:
            total.add(tally)
        return total

    async def batch(self, *, wait_s: int) -> CallTally | None:
        """Work on up to ten messages, waiting ``wait_s`` for the first; None if there is none."""
        if self.queue is None:
            raise StoreError("no queue to read: set OMNI_AWS_ENDPOINT, or run `omni up`")
        messages = await _blocking(partial(self.queue.receive, wait_s=wait_s, visible_after_s=self.visible_after_s))
        return await self.handle(messages) if messages else None

    async def handle(self, messages: Sequence[QueueMessage]) -> CallTally:
        """Process the calls that ``messages`` name; delete the messages of calls that ended or wait for a transcription."""
        assert self.queue is not None
        named = [(message, {*message.objects, *await self._heard_of(message)}) for message in messages]
        # The same bytes uploaded twice are two versions of one call: worked on at once, one would wait for the other's lease.
        calls = {_content(one): one for _, objects in named for one in objects}
        tally, unfinished = await self.work(list(calls.values()))
        left = set(map(_content, unfinished))
        tally.foreign += sum(not message.understood for message in messages)
        done = [message.receipt for message, objects in named if left.isdisjoint(map(_content, objects))]
        if done:
            await anyio.to_thread.run_sync(self.queue.delete, done)
        return tally

    async def _heard_of(self, message: QueueMessage) -> list[Announced]:
        """Return the objects of the calls whose transcriptions have ended; an ended call needs nothing more."""
        found: list[Announced] = []
        for name in message.transcriptions:
            call = call_of_job(name)
            job = None if call is None else await _blocking(self.jobs.get, *call)
            if job is not None and job.state not in ENDED:
                found.append(Announced(key=job.source.key, etag=job.source.etag, version=job.source.version))
        return found

    async def work(self, objects: Sequence[Announced]) -> tuple[CallTally, set[Announced]]:
        """Process each object's call as far as possible; return the tally and the objects to announce again."""
        held = LeaseKeeper(jobs=self.jobs, lease=self.lease, now=self.now)
        async with held.kept():
            return await self._work(objects, held)

    async def _work(self, objects: Sequence[Announced], held: LeaseKeeper) -> tuple[CallTally, set[Announced]]:
        tally, again = CallTally(), set[Announced]()
        ready: list[tuple[Announced, ReadyCall]] = []
        room = asyncio.Semaphore(self.at_once)

        async def one(announced: Announced) -> None:
            async with room:
                try:
                    found = await self._prepare(announced, tally, held)
                except CallErased:
                    tally.foreign += 1
                except NotReady as err:
                    tally.waiting += 1
                    tally.busy += isinstance(err, ModelBusy)
                    again.add(announced)
                except Exception as err:  # one call must not stop the others; `again` fails a call that stays stuck
                    tally.waiting += 1
                    tally.broken += 1
                    again.add(announced)
                    log(Event.CALL_SETTLED, state="waiting", error=type(err).__name__)
                else:
                    if found is not None:
                        ready.append((announced, found))

        async with anyio.create_task_group() as group:
            for announced in objects:
                group.start_soon(one, announced)
        try:
            if ready:
                with storing_rows(found.job for _, found in ready):
                    await _blocking(self._write_rows, [found for _, found in ready])
        except WarehouseError:
            for _, found in ready:  # the results are stored; release the calls for the next worker
                await _blocking(self.jobs.release, found.job)
            raise
        for announced, found in ready:
            state: State = "needs_review" if found.result.needs_review else "done"
            try:
                await self._end(found.job, state, tally)
            except StateLost:
                again.add(announced)
        return tally, again

    async def again(self, job: CallJob) -> CallTally:
        """Continue a stuck or waiting call; fail it after ``MOST_ATTEMPTS`` attempts."""
        if job.attempts >= MOST_ATTEMPTS and job.awaiting is None:
            tally = CallTally()
            try:
                held = await self._claim(job.source)
            except NotReady:
                tally.waiting += 1
                return tally
            if held.state not in ENDED:
                detail = f"stood still in state {held.state} after {job.attempts} attempts"
                await self._fail(held, CallFailed(FailureReason.STUCK, detail), tally)
            return tally
        tally, _ = await self.work([Announced(key=job.source.key, etag=job.source.etag, version=job.source.version)])
        return tally

    async def _prepare(self, announced: Announced, tally: CallTally, held: LeaseKeeper) -> ReadyCall | None:
        if announced.key.endswith("/"):  # a folder that was made in the S3 console
            tally.foreign += 1
            return None
        try:
            source = read_key(announced.key, etag=announced.etag, version=announced.version)
            if not await self.forms.known(source.tenant):
                raise CallFailed(FailureReason.UNKNOWN_TENANT, "the tenant does not exist: add it, then replay")
        except CallFailed as err:
            await _blocking(CallLetters.of_no_tenant(self.results).write_about, announced, err, self.now())
            tally.refused += 1
            tally.reasons[err.reason.value] += 1
            log(Event.CALL_SETTLED, state="refused", reason=err.reason.value)
            return None
        job = await self._claim(source)
        if job.state == "failed" and job.source.key != source.key:
            job = await self._claim_again(job, source)
        elif self.overwrite and job.state in ("done", "needs_review") and job.source.version != source.version:
            job = await self._claim_once_more(job, source)
        if job.state in ENDED:
            tally.known += 1
            return None
        held.add(job)
        try:
            with working_on(job) as recorded:
                ready = await self._go_on(job)
                by_whom(recorded, ready.result)
                return ready
        except CallFailed as err:
            await self._fail(job, err, tally)
            return None
        except ModelBusy as err:
            if job.attempts >= MOST_ATTEMPTS:
                await self._fail(job, CallFailed(FailureReason.MODEL, f"{err}, {job.attempts} times"), tally)
                return None
            await _blocking(self.jobs.release, job)
            raise
        except Waiting as err:
            # `watch` continues the call after the job ends. The queue cannot: a long recording takes longer than five deliveries.
            await _blocking(partial(self.jobs.release, job, awaiting=err.job))
            tally.waiting += 1
            tally.awaiting += 1
            return None
        except StateLost:
            raise
        except (NotReady, StoreError):
            await _blocking(self.jobs.release, job)
            raise
        except Exception as err:
            # An input that no parser expected: it is tried again, and then it has a reason like every other failure.
            if job.attempts >= MOST_ATTEMPTS:
                detail = (
                    f"{type(err).__name__} in state {job.state}, {job.attempts} times: report it with the call's id"
                )
                await self._fail(job, CallFailed(FailureReason.STUCK, detail), tally)
                return None
            await _blocking(self.jobs.release, job)
            raise

    async def _go_on(self, job: CallJob) -> ReadyCall:
        source, results = job.source, self.results(job.tenant)
        tenant = await self.tenants.admit(job.tenant)
        own = tenant.redaction_words()
        if job.state == "scored":
            assert job.result_key is not None
            return ReadyCall(job=job, result=await self._result(results, job.result_key))
        if job.state == "redacted":
            text = await _blocking(results.read, transcript_key(job.tenant, job.call_id))
            if text is None:
                raise CallFailed(FailureReason.GONE, "the redacted transcript was deleted before it was scored; replay")
            kept = KeptTranscript.model_validate_json(text)
        else:
            kept, job = await self._hear(job, results, tenant.language, own)
        form = choose_form(await self.forms.heads(job.tenant), named=kept.form, folder=source.form_folder)
        with step("score"):
            scored = await self.scorer.score(source, form, kept, call_date=job.call_date, now=self.now(), own=own)
        if scored.raw_answer:
            answer = Turn(speaker="system", start_s=0, text=scored.raw_answer)
            clean = await _blocking(self.redactor.redact, [answer], own)
            await _blocking(results.put, raw_answer_key(job.tenant, job.call_id), clean.turns[0].text)
        with step("insights"):
            read = await _blocking(insights_of, self.insights, kept.turns)
        made = scored.result.model_copy(update={"insights": read, "key_phrases": read.key_phrases})
        key = result_key(job.tenant, job.call_date, job.call_id)
        with step("store"):
            # Written once and read back: of two workers' results both use the first one.
            await _blocking(partial(results.put, key, made.to_json(), once=True))
            result = await self._result(results, key)
            job = await self._advance(job, "scored", result_key=key, scored=scored_of(result))
        return ReadyCall(job=job, result=result)

    async def _hear(
        self, job: CallJob, results: TenantResults, language: str | None, own: OwnWords
    ) -> tuple[KeptTranscript, CallJob]:
        with step("fetch"):
            arrived = await _blocking(self.inputs.read, job.source)
        facts = facts_of(arrived.metadata, arrived.modified)
        if not is_audio(arrived.body):
            heard = await _blocking(read_transcript, arrived.body, facts)
        elif self.transcriber is None:
            raise CallFailed(
                FailureReason.NO_TRANSCRIBER,
                "a recording, and no transcriber is installed: run make setup EXTRAS=1",
            )
        else:
            # Before the recording is sent anywhere: a transcript that cannot be redacted must not come into being.
            facts = replace(facts, language=facts.language or language)
            require_covered(facts.language or self.transcriber.language, self.redactor.languages, self.redactor.by)
            with step("transcribe"):
                heard = await _blocking(self.transcriber.hear, job.source, arrived.body, facts)
        if heard.facts.call_date is not None and not is_possible_date(heard.facts.call_date, arrived.modified):
            raise CallFailed(FailureReason.UNREADABLE, "a transcript with a call_date before 2000 or after its upload")
        if job.state == "received":
            # Fix the day once: it is part of the result's key, and an object that is uploaded again has a newer date.
            job = await self._advance(job, "transcribed", call_date=heard.facts.call_date or arrived.modified)
        with step("redact"):
            redaction = await _blocking(redacted_call, self.redactor, heard.turns, heard.facts.language, own)
        kept = KeptTranscript(
            tenant_id=job.tenant,
            call_id=job.call_id,
            turns=redaction.turns,
            by=heard.by,
            job=heard.job,
            claimed=heard.claimed,
            redactor=redaction.by,
            found=redaction.found,
            agent_id=heard.facts.agent_id,
            queue=heard.facts.queue,
            form=heard.facts.form,
            languages=redaction.languages,
            left=redaction.left,
        )
        await _blocking(results.put, transcript_key(job.tenant, job.call_id), kept.model_dump_json())
        return kept, await self._advance(job, "redacted")

    async def _claim(self, source: CallObject) -> CallJob:
        return await _blocking(partial(self.jobs.claim, source, owner=self.owner, now=self.now(), lease=self.lease))

    async def _claim_again(self, failed: CallJob, source: CallObject) -> CallJob:
        """Reset a failed call whose bytes arrived under another key, such as the folder of its form, and claim it."""
        assert failed.reason is not None
        await _blocking(partial(self.jobs.reopen, failed, now=self.now(), source=source))
        await _blocking(self.results(source.tenant).delete, letter_key(source.tenant, failed.reason, failed.call_id))
        return await self._claim(source)

    async def _claim_once_more(self, ended: CallJob, source: CallObject) -> CallJob:
        """Keep the result of a call whose bytes were uploaded again as an earlier one, and claim the call."""
        results = self.results(source.tenant)
        if ended.result_key is not None:
            await _blocking(set_aside, results, ended)
            await _blocking(results.delete, ended.result_key)
        await _blocking(partial(self.jobs.reopen, ended, now=self.now(), source=source, was=ended.state))
        return await self._claim(source)

    async def _result(self, results: TenantResults, key: str) -> CallResult:
        text = await _blocking(results.read, key)
        if text is None:
            raise CallFailed(FailureReason.GONE, "the result was deleted before its rows were written; replay")
        return CallResult.model_validate_json(text)

    async def _advance(self, job: CallJob, state: State, **said: Any) -> CallJob:
        return await _blocking(partial(self.jobs.advance, job, state, now=self.now(), lease=self.lease, **said))

    async def _end(self, job: CallJob, state: State, tally: CallTally) -> None:
        await self._advance(job, state)
        tally.states[state] += 1
        log(Event.CALL_SETTLED, tenant=job.tenant, call_id=job.call_id, state=state)

    async def _fail(self, job: CallJob, err: CallFailed, tally: CallTally) -> None:
        stored = await _blocking(self.jobs.get, job.tenant, job.call_id)
        # The state may have changed since the claim; if the lease is no longer ours, the write below is refused.
        job = replace(stored or job, owner=self.owner)
        if job.state in ENDED:
            tally.known += 1
            return
        # The dead letter first: a failed call without one could not be replayed.
        await _blocking(CallLetters(self.results(job.tenant)).write, job, err, self.now())
        await self._advance(job, "failed", reason=err.reason, detail=err.detail)
        tally.states["failed"] += 1
        tally.reasons[err.reason.value] += 1
        log(Event.CALL_SETTLED, tenant=job.tenant, call_id=job.call_id, state="failed", reason=err.reason.value)

    def _write_rows(self, ready: Sequence[ReadyCall]) -> None:
        write_rows(self.open_warehouse, [one for one in ready if not self.jobs.is_erased(one.job.source)])


async def _blocking(call: Callable[..., _T], *arguments: object) -> _T:
    return await anyio.to_thread.run_sync(partial(call, *arguments))


def _content(announced: Announced) -> tuple[str, str]:
    return announced.key, announced.etag
