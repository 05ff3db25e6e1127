"""Follows the queue and takes calls in turn, tenant by tenant: one tenant's thousand uploads do not make another tenant wait.

What the queue announces is written down as received, one write a call, and leaves the queue at once. Every round then takes the
oldest waiting calls of each tenant in turn. A call that a model or a worker left is taken again after a while. While the model
or a store does not answer, rounds of one call pause, up to a minute; what arrives meanwhile is still written down. Stored calls
are scored again, as ordered, in rounds in which no new call waits; and one after so many new calls, so that an order ends
although new calls never do.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import anyio
import anyio.to_thread

from service.calls.failure import CallFailed
from service.calls.keys import read_key
from service.calls.store.states import ENDED, CallJob
from service.calls.worker.ordered import OrderedRescorings, StepEnd
from service.calls.worker.replay import watch_all
from service.calls.worker.worker import CallTally, CallWorker
from service.kit.aws.event_queue import BATCH, Announced, QueueMessage
from service.kit.frame.errors import StoreError
from service.kit.frame.retries import RetryPlan
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event, log

LOOK_EVERY = timedelta(minutes=1)
_PAUSES = RetryPlan(first_s=1.0, longest_s=60.0)
_WRITTEN_AFTER_S = 60  # a worker that dies, or a table that fails, while calls are written down hides them no longer
_MOST_INTAKE = 100 * BATCH  # messages a round, so that a flood does not hold up the calls that were taken in
# One stored call for the new ones of so many full rounds, which are 40: it is scored alone, and a round of ten is scored four at
# once, so rounds take a tenth longer.
_FULL_ROUNDS = 4
# So many calls are read for one that is taken: two workers that choose among the same oldest calls rarely choose the same.
_CHOICE = 4


_Standing = tuple[str, str, datetime]  # a call as it stood: tenant, id, and when it last changed


@dataclass(slots=True, kw_only=True)
class CallTurns:
    """One following worker's turns. ``round_of`` calls are taken a round, one while the worker pauses.

    ``again_after`` is how long a call waits that was left once, and that was left more often. A call that could not even be
    claimed, because its customer or its tenant is being erased, waits as if left once: it must not hide newer calls.
    """

    worker: CallWorker
    round_of: int = BATCH
    again_after: tuple[timedelta, timedelta] = (timedelta(minutes=1), timedelta(minutes=15))
    look_every: timedelta = LOOK_EVERY
    ordered: OrderedRescorings | None = None
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    _tenants: deque[str] = field(default_factory=deque)
    _looked: datetime | None = None
    _failures: int = 0  # rounds in a row
    _chosen: set[_Standing] = field(default_factory=set)  # the last round's calls
    _tried: dict[_Standing, datetime] = field(default_factory=dict)  # the last minute's, and when
    _since: int = 0  # new calls that were taken since a stored call was scored again

    async def follow(
        self, each: Callable[[CallTally], None], *, wait_s: int = 20, more: Callable[[], bool] = lambda: True
    ) -> None:
        """Go on while ``more()``; ``each`` gets the tally of every round in which something was done."""
        worked = False
        while more():
            metrics.count(metrics.WORKER_ROUNDS, "calls")
            tally, why = CallTally(), ""
            try:
                tally.add(await self.take_in(wait_s=0 if worked else wait_s))
                taken, step = await self._round()
                tally.add(taken)
                worked, busy = taken != CallTally() or step == "worked", taken.busy > 0 or step == "busy"
                why = "no answer from the model" if busy else ""
                if self._looked is None or self.worker.now() - self._looked >= self.look_every:
                    self._looked = self.worker.now()
                    tally.add(await self._look())
            except StoreError as err:  # throttled or down: nothing is lost, the queue and the table keep the calls
                worked, why = True, str(err)[:200]
            if tally != CallTally():
                each(tally)
            await self._pause(why)

    async def _round(self) -> tuple[CallTally, StepEnd]:
        """Take new calls; score a stored one again if there are none, or after so many as fill ``_FULL_ROUNDS`` rounds."""
        taken = await self.take()
        idle, due = taken == CallTally(), self._since >= _FULL_ROUNDS * self.round_of
        if self.ordered is None or taken.busy or not (idle or due):
            return taken, "nothing"
        self._since = 0
        return taken, await self.ordered.step()

    async def drain(self) -> CallTally:
        """Work once on every call that waits, until the queue is empty, too; stop when the model answers none of a round."""
        total, tried = await self._look(), set[_Standing]()
        while True:
            total.add(await self.take_in(wait_s=1))
            total.add(taken := await self.take())
            # A call that could not even be claimed is as it was: chosen once more, it is no reason to go on.
            if self._chosen <= tried or (taken.busy and not (taken.states or taken.awaiting)):
                return total
            tried |= self._chosen

    async def take_in(self, *, wait_s: int) -> CallTally:
        """Write down what the queue announces, waiting ``wait_s`` for the first message.

        What is more than a new call is dealt with at once: objects of no tenant, other versions of a call, ended transcriptions.
        """
        queue, tally = self.worker.queue, CallTally()
        if queue is None:
            raise StoreError("no queue to read: set OMNI_AWS_ENDPOINT, or run `omni up`")
        kept_s = self.worker.visible_after_s
        receive = partial(queue.receive, visible_after_s=min(_WRITTEN_AFTER_S, kept_s))
        for number in range(_MOST_INTAKE // BATCH):
            first = wait_s if number == 0 else 0
            messages = await anyio.to_thread.run_sync(partial(receive, wait_s=first))
            if not messages:
                break
            written = await asyncio.gather(*map(self._written_down, messages))
            if kept := [message.receipt for message, done in zip(messages, written, strict=True) if done]:
                await anyio.to_thread.run_sync(queue.delete, kept)
            if others := [message for message, done in zip(messages, written, strict=True) if not done]:
                await anyio.to_thread.run_sync(
                    partial(queue.keep, [message.receipt for message in others], visible_after_s=kept_s)
                )
                tally.add(await self.worker.handle(others))
        return tally

    async def _written_down(self, message: QueueMessage) -> bool:
        """Write down the calls of a message that announces nothing but calls that have not ended; return whether that is so."""
        if message.transcriptions or not message.objects:
            return False
        return all([await self._is_open(announced) for announced in message.objects])

    async def _is_open(self, announced: Announced) -> bool:
        try:
            source = read_key(announced.key, etag=announced.etag, version=announced.version)
        except CallFailed:
            return False
        if not await self.worker.forms.known(source.tenant):
            return False
        job = await anyio.to_thread.run_sync(partial(self.worker.jobs.register, source, now=self.worker.now()))
        if job.state in ENDED:
            return False
        self._seen(source.tenant)
        return True

    async def take(self) -> CallTally:
        """Work on the oldest waiting calls of each tenant in turn, ``round_of`` calls in all."""
        waiting: list[deque[CallJob]] = []
        for tenant in list(self._tenants):
            found = await anyio.to_thread.run_sync(self._waiting, tenant)
            if found:
                waiting.append(found)
            else:
                self._tenants.remove(tenant)  # the next announcement, or the look at all tenants, brings it back
        self._tenants.rotate(-1)
        chosen = list(in_turn(waiting, 1 if self._failures else self.round_of))
        self._chosen, now = set(map(_standing, chosen)), self.worker.now()
        self._tried = {one: at for one, at in self._tried.items() if now - at < self.again_after[0]}
        self._tried |= dict.fromkeys(self._chosen, now)
        self._since += len(chosen)
        if not chosen:
            return CallTally()
        objects = [Announced(key=job.source.key, etag=job.source.etag, version=job.source.version) for job in chosen]
        tally, _ = await self.worker.work(objects)
        # A call that another worker took meanwhile is that worker's.
        tally.known, tally.waiting = 0, tally.busy + tally.awaiting + tally.broken
        return tally

    def _waiting(self, tenant: str) -> deque[CallJob]:
        now = self.worker.now()
        found: list[CallJob] = []
        for job in self.worker.jobs.waiting(tenant, owner=self.worker.owner, now=now):
            tried = self._tried.get(_standing(job))
            if tried is not None and now - tried < self.again_after[0]:
                continue  # a claim changes the call: it was not claimed
            if job.attempts == 0 or job.updated_at < now - self.again_after[job.attempts > 1]:
                found.append(job)
            if len(found) == _CHOICE * self.round_of:
                break
        random.shuffle(found)
        return deque(sorted(found[: self.round_of], key=lambda job: job.updated_at))

    async def _look(self) -> CallTally:
        """Continue what is stuck, and learn of tenants whose calls another worker wrote down."""
        if self.ordered is not None:
            await self.ordered.look()
        tally = await watch_all(self.worker)
        now = self.worker.now()
        for tenant in await anyio.to_thread.run_sync(
            lambda: {job.tenant for job in self.worker.jobs.open_everywhere(now)}
        ):
            self._seen(tenant)
        return tally

    def _seen(self, tenant: str) -> None:
        if tenant not in self._tenants:
            self._tenants.append(tenant)

    async def _pause(self, why: str) -> None:
        self._failures = self._failures + 1 if why else 0
        if why:
            pause_s = _PAUSES.pause_s(self._failures)
            log(Event.CALLS_WAIT, reason=why, pause_s=pause_s)
            await self.sleep(pause_s)


def _standing(job: CallJob) -> _Standing:
    return job.tenant, job.call_id, job.updated_at


def in_turn(waiting: Iterable[deque[CallJob]], most: int) -> Iterator[CallJob]:
    """Yield ``most`` calls, one of each tenant in turn, each tenant's oldest first."""
    left = deque(waiting)
    while left and most:
        calls = left.popleft()
        yield calls.popleft()
        most -= 1
        if calls:
            left.append(calls)
