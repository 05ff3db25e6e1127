"""Rings due callbacks, retries those that were not reached, and counts promises that are overdue.

A worker takes a callback by a conditional write before it rings, so that two workers never ring one customer twice. If a worker
dies meanwhile, another one rings after the lease under the same key, which the dialer knows.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from service.access.sealing import Sealer
from service.desk.callback import Callback, CallbackStore, RingOutcome
from service.desk.dialer import Dialer, Ring
from service.desk.opening import ReachableHours
from service.kit.frame.errors import StoreError
from service.kit.records.table import RecordChanged
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event, log

_MOST_AT_ONCE = 25
_T = TypeVar("_T")


@dataclass(slots=True)
class CallbackTally:
    """Counts of a round: callbacks by what became of them; ``lost`` were taken or changed by another worker."""

    states: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    waiting: int = 0
    overdue: int = 0
    is_closed: bool = False

    def line(self) -> str:
        """Return the round as a sentence."""
        settled = ", ".join(f"{count} {name}" for name, count in sorted(self.states.items())) or "none rung"
        lost = f", {self.lost} left to another worker" if self.lost else ""
        after = "; closed now" if self.is_closed else ""
        return f"callbacks: {settled}{lost}; {self.waiting} waiting, {self.overdue} overdue{after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackWorker:
    """One worker; ``owner`` names it. ``ring_s`` bounds one ring and must be shorter than ``lease``."""

    store: CallbackStore
    sealer: Sealer
    dialer: Dialer
    hours: ReachableHours
    now: Callable[[], datetime]
    owner: str
    lease: timedelta = timedelta(minutes=10)
    ring_s: float = 180.0
    at_once: int = 4

    async def work(self) -> CallbackTally:
        """Ring all due callbacks unless it is closed; count what waits and what is overdue then."""
        tally = CallbackTally(is_closed=self.hours.closes(self.now()) is None)
        while not tally.is_closed:
            due = await _blocking(partial(self.store.due, self.now(), most=_MOST_AT_ONCE))
            before = tally.states.total()
            await self._ring_all(sorted(due, key=lambda one: (one.priority != "HIGH", one.due_at)), tally)
            if tally.states.total() == before:
                break
        waiting = await _blocking(self.store.waiting)
        tally.waiting = len(waiting)
        tally.overdue = sum(one.is_overdue(self.now()) for one in waiting)
        log(Event.CALLBACKS_CHECKED, waiting=tally.waiting, overdue=tally.overdue)
        return tally

    async def follow(self, stop: asyncio.Event, *, every_s: float, say: Callable[[CallbackTally], None]) -> None:
        """Work every ``every_s`` seconds until ``stop``; it finishes its round and waits for a store that is down."""
        while not stop.is_set():
            metrics.count(metrics.WORKER_ROUNDS, "callbacks")
            try:
                say(await self.work())
            except StoreError as err:
                log(Event.CALLBACKS_UNREADABLE, error=type(err).__name__)
            with anyio.move_on_after(every_s):
                await stop.wait()

    async def _ring_all(self, due: list[Callback], tally: CallbackTally) -> None:
        room = asyncio.Semaphore(self.at_once)

        async def one(callback: Callback) -> None:
            async with room:
                try:
                    await self._ring(callback, tally)
                except RecordChanged:
                    tally.lost += 1

        # Unlike a task group, this does not hang up on the other customers when one write fails.
        for failed in await asyncio.gather(*map(one, due), return_exceptions=True):
            if isinstance(failed, BaseException):
                raise failed

    async def _ring(self, callback: Callback, tally: CallbackTally) -> None:
        taken = await _blocking(self.store.put, callback.taken(self.owner, self.now(), self.lease))
        phone = await self._phone(taken)
        if phone is None:
            await self._settle(taken, taken.given_up("the number cannot be opened", self.now()), tally)
            return
        ring = Ring(
            key=taken.ring_key,
            callback_id=taken.callback_id,
            contact_id=taken.contact_id,
            queue_id=taken.queue_id,
            phone=phone,
            due_at=taken.due_at,
        )
        outcome = RingOutcome.FAILED
        with anyio.move_on_after(self.ring_s):
            outcome = await self.dialer.ring(ring)
        await self._settle(taken, taken.after(outcome, self.now(), self.hours), tally)

    async def _settle(self, taken: Callback, settled: Callback, tally: CallbackTally) -> None:
        settled = await _blocking(self.store.put, settled)
        tally.states["retried" if settled.is_open else settled.status.lower()] += 1
        # A promise counts once: at the first ring, or when it was given up without one.
        first = taken.first_rung_at is None and (settled.first_rung_at is not None or not settled.is_open)
        log(
            Event.CALLBACK_SETTLED,
            callback=settled.callback_id,
            state="retried" if settled.is_open else settled.status.lower(),
            reason=settled.reason,
            rings=settled.rings,
            promise=("broken" if settled.is_overdue(self.now()) else "kept") if first else None,
        )

    async def _phone(self, taken: Callback) -> str | None:
        if taken.sealed_phone is None:
            return None
        try:
            return (await _blocking(self.sealer.open, taken.sealed_phone, taken.callback_id)).decode()
        except ValueError:  # sealed by another kind of sealer
            return None


async def _blocking(call: Callable[..., _T], *arguments: object) -> _T:
    return await anyio.to_thread.run_sync(partial(call, *arguments))
