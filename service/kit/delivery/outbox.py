"""Keeps each item in a table before its sender goes on, so that it survives the loss of this process and its disk.

An item leaves the outbox when its stores hold it. What a process left behind is written by another one, which holds the lease.
"""

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Generic, Protocol, TypeVar

from service.kit.aws.bounded import PASSING
from service.kit.delivery.breaker import BreakerPolicy, CircuitBreaker
from service.kit.delivery.shape import DeliveryOutcome, Item, Shape
from service.kit.frame.errors import StoreError
from service.kit.frame.retries import RetryPlan

# A put that is late goes on after its sender has gone on. With this many of them, further senders do not wait for another.
_MOST_RUNNING = 256
_ONCE_MORE = RetryPlan(first_s=0.02, longest_s=0.02, attempts=2)
# One failure is chance. After three in a row, senders stop waiting for a while.
_POLICY = BreakerPolicy(failures_in_a_row=3, failed_share=2.0, pauses=RetryPlan(first_s=1.0, longest_s=10.0))
# A task that lives writes its items within seconds: what is older was left behind, or waits for a store.
_OLDER_THAN_S = 15.0
_EVERY_S = 5.0
_LEASE_S = 3 * _EVERY_S
# Without the table, ids that cannot be cleared are forgotten beyond this many: the next look finds them again.
_MOST_SETTLED = 10_000


class Outbox(Generic[Item]):
    """Puts items into the outbox on the event loop; ``wait_s`` bounds what that may cost a sender, 0 turns it off.

    ``why_off`` is the reason to give then; ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        put: Callable[[Item], Awaitable[None]],
        shape: Shape[Item],
        *,
        wait_s: float,
        why_off: str = "it is turned off",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._put = put
        self._shape = shape
        self._wait_s = wait_s
        self._why_off = why_off
        self._breaker = CircuitBreaker("outbox", _POLICY, clock, lambda *_: None)
        self._running: set[asyncio.Task[None]] = set()

    async def keep(self, item: Item, *, patience_s: float) -> bool:
        """Return whether the table has confirmed the item within ``wait_s`` and ``patience_s``; never raises.

        After failures in a row it returns False at once for a while: with the store down, no sender should wait for it.
        """
        wait_s = min(self._wait_s, patience_s)
        if len(self._running) >= _MOST_RUNNING:
            return self._unkept("too many late puts")
        if wait_s <= 0:
            return self._unkept("no time left" if self._wait_s > 0 else self._why_off)
        permit = self._breaker.admit()
        if permit is None:
            return self._unkept("paused after failures")
        putting = asyncio.create_task(_ONCE_MORE.run_async(partial(self._put, item), on=PASSING))
        self._running.add(putting)
        putting.add_done_callback(self._ended)
        try:
            await asyncio.wait({putting}, timeout=wait_s)
            if not putting.done():
                permit.failed()
                return self._unkept(f"no answer within {wait_s * 1000:.0f} ms")
            if (error := putting.exception()) is not None:
                permit.failed()
                return self._unkept(str(error) if isinstance(error, StoreError) else type(error).__name__)
            permit.succeeded()
        finally:
            permit.give_back()  # if the sender has gone
        return True

    def _ended(self, putting: "asyncio.Task[None]") -> None:
        self._running.discard(putting)
        if not putting.cancelled():
            putting.exception()  # marks it as seen: nobody waits for a put that was late

    def _unkept(self, reason: str) -> bool:
        self._shape.tell(DeliveryOutcome.UNKEPT, "", reason)
        return False


_Found = TypeVar("_Found", covariant=True)


class LeftBehind(Protocol[_Found]):
    """The outbox as the writer of its items' stores sees it. Blocking; every method raises ``StoreError`` without an answer."""

    def lease(self, owner: str, *, for_s: float) -> bool:
        """Return whether ``owner`` has the lease, which it then holds for ``for_s`` more seconds."""

    def waiting(self, *, older_than_s: float) -> Iterator[_Found]:
        """Yield the items kept at least ``older_than_s`` ago, in no order."""

    def remove(self, ids: Iterable[str]) -> None:
        """Delete items that their stores hold, each named once; missing ones are ignored."""

    def set_aside(self, name: str, reason: str) -> None:
        """Leave the item with this id, which a store refuses for good, to a person, with the reason."""


class Sweep(Generic[Item]):
    """Clears and looks on behalf of one writer. Of all tasks, the one that holds the lease looks; a dead one loses it."""

    def __init__(
        self,
        outbox: LeftBehind[Item],
        shape: Shape[Item],
        *,
        every_s: float = _EVERY_S,
        older_than_s: float = _OLDER_THAN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._tell = shape.tell
        self._every_s = every_s
        self._older_than_s = older_than_s
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self._due = clock()
        self._settled: deque[str] = deque(maxlen=_MOST_SETTLED)
        self._lock = threading.Lock()

    def settled(self, name: str) -> None:
        """Remember that the stores hold the item with this id; ``clear`` deletes it from the outbox."""
        with self._lock:
            self._settled.append(name)

    def refused(self, name: str, reason: str) -> None:
        """Leave an item that a store refuses for good to a person."""
        try:
            self._outbox.set_aside(name, reason)
        except StoreError as err:
            self._tell(DeliveryOutcome.FAILED, name, str(err))

    def clear(self) -> None:
        """Delete the settled items from the outbox; what cannot be deleted is tried again."""
        with self._lock:
            # An item that was written twice, after a delete that failed, is settled twice.
            names = list(dict.fromkeys(self._settled))
            self._settled.clear()
        try:
            self._outbox.remove(names)
        except StoreError as err:
            self._tell(DeliveryOutcome.FAILED, "", str(err))
            with self._lock:
                self._settled.extend(names)

    def left_behind(self) -> Iterator[Item]:
        """Yield the items that wait for too long; none if a look is not due, or another task holds the lease.

        Raises:
            StoreError: the outbox does not answer.
        """
        if self._clock() < self._due:
            return
        self._due = self._clock() + self._every_s
        if self._outbox.lease(self._owner, for_s=_LEASE_S):
            yield from self._outbox.waiting(older_than_s=self._older_than_s)
