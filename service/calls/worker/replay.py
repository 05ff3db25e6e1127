"""Replays failed calls after a fix, continues stuck or waiting calls, and reconciles inputs with results."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
import anyio.to_thread

from service.calls.failure import CallFailed, FailureReason
from service.calls.keys import NO_TENANT, read_key
from service.calls.store.states import CallJob
from service.calls.worker.dead_letters import CallLetters
from service.calls.worker.worker import MOST_ATTEMPTS, CallTally, CallWorker
from service.warehouse.port import Warehouse

# Longer than any single step of a call.
STUCK_AFTER = timedelta(minutes=20)
# An event that was lost: a look at the job costs a request.
UNHEARD_AFTER = timedelta(minutes=5)


async def replay(worker: CallWorker, tenant: str, reason: FailureReason | None = None) -> CallTally:
    """Process a tenant's failed calls again, all or those of one reason; ``NO_TENANT``: objects that had no tenant.

    Deletes a dead letter when its call has a result, or failed for another reason and has a new letter.
    """
    letters, total = CallLetters(worker.results(tenant)), CallTally()
    for letter in list(letters.waiting(reason)):
        if tenant != NO_TENANT:
            source = read_key(letter.about.key, etag=letter.about.etag, version=letter.about.version)
            job = worker.jobs.get(tenant, source.call_id)
            if job is not None:
                worker.jobs.reopen(job, now=worker.now())
        tally, again = await worker.work([letter.about])
        total.add(tally)
        if not again:
            letters.replayed(letter, letter.reason if letter.reason.value in tally.reasons else None)
    return total


async def watch(worker: CallWorker, tenant: str, *, stuck_after: timedelta = STUCK_AFTER) -> CallTally:
    """Continue a tenant's calls that are stuck or wait for a transcription; see ``CallWorker.again``."""
    total = CallTally()
    now = worker.now()
    for job in list(worker.jobs.open_since(tenant, now)):
        if job.awaiting is not None or job.updated_at < now - stuck_after:
            total.add(await worker.again(job))
    return total


async def watch_all(
    worker: CallWorker, *, stuck_after: timedelta = STUCK_AFTER, unheard_after: timedelta = UNHEARD_AFTER
) -> CallTally:
    """Continue every tenant's calls whose transcription's end was not reported, and give up those that were taken too often.

    All other unfinished calls wait for their turn, however long the queue is; see ``CallTurns``.
    """
    total, now = CallTally(), worker.now()
    least = min(stuck_after, unheard_after)
    for job in await anyio.to_thread.run_sync(lambda: list(worker.jobs.open_everywhere(now - least))):
        if job.awaiting is None and job.attempts < MOST_ATTEMPTS:
            continue
        if job.updated_at < now - (stuck_after if job.awaiting is None else unheard_after):
            total.add(await worker.again(job))
    return total


@dataclass(slots=True)
class CallBalance:
    """One tenant's reconciliation: every object is an ended call, a waiting one or a copy; every result has its rows."""

    tenant: str
    objects: int = 0
    copies: int = 0
    states: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    without_result: list[str] = field(default_factory=list)
    without_row: list[str] = field(default_factory=list)
    without_letter: list[str] = field(default_factory=list)

    @property
    def ended(self) -> int:
        """The number of calls with a result or a failure."""
        return sum(self.states[name] for name in ("done", "needs_review", "failed"))

    @property
    def balanced(self) -> bool:
        """True when inputs = results + failures, and every result, row and dead letter exists."""
        left = [*self.missing, *self.without_result, *self.without_row, *self.without_letter]
        return not left and self.ended == self.states.total()

    def lines(self) -> list[str]:
        """Return the report as lines of text, with every inconsistency by name."""
        states = ", ".join(f"{count} {name}" for name, count in sorted(self.states.items()))
        lines = [f"{self.tenant}: {self.objects} objects, {self.copies} copies; {states or 'no calls'}"]
        for what, names in (
            ("never received", self.missing),
            ("without result", self.without_result),
            ("without rows", self.without_row),
            ("without dead letter", self.without_letter),
        ):
            lines += [f"  {what}: {name}" for name in names[:10]]
        return [*lines, f"{self.tenant}: {'balanced' if self.balanced else 'NOT balanced'}"]


def count_calls(worker: CallWorker, tenant: str) -> CallBalance:
    """Compare a tenant's objects, call states, results, rows and dead letters.

    Objects are deleted after a day and states later, so a state without an object is normal; an object without a state is not.
    """
    found, results = CallBalance(tenant=tenant), worker.results(tenant)
    jobs = {job.call_id: job for job in worker.jobs.of(tenant)}
    seen: set[str] = set()
    for item in worker.inputs.listed(tenant):
        try:
            call_id = read_key(item.key, etag=item.etag).call_id
        except CallFailed:
            continue  # a folder, or a key that is refused: its dead letter belongs to no tenant
        found.objects += 1
        found.copies += call_id in seen
        seen.add(call_id)
        if call_id not in jobs:
            found.missing.append(item.key)
    with closing(worker.open_warehouse()) as warehouse:
        rows = _rows(warehouse, tenant)
    letters = {letter.about.etag for letter in CallLetters(results).waiting()}
    for job in jobs.values():
        found.states[job.state] += 1
        if job.state == "failed":
            if job.source.etag not in letters:
                found.without_letter.append(job.call_id)
        elif job.state in ("done", "needs_review"):
            _check_result(found, job, rows, results.read(job.result_key or f"{tenant}/none"))
    return found


def _check_result(found: CallBalance, job: CallJob, rows: Counter[str], text: str | None) -> None:
    if text is None:
        found.without_result.append(job.call_id)
    if rows[job.call_id] != 1:
        found.without_row.append(job.call_id)


def _rows(warehouse: Warehouse, tenant: str) -> Counter[str]:
    warehouse.migrate()
    frame = warehouse.query("SELECT call_id FROM omni_calls WHERE tenant_id = :tenant", {"tenant": tenant})
    return Counter(frame["call_id"])
