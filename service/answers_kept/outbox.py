"""Keeps each answer in DynamoDB before it is sent, so that it survives the loss of this process and its disk.

The outbox is a table of its own with one item per answer, which goes when both stores hold the answer (``outbox_table.py``).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from service.answers_kept.answer_record import ServedRecord
from service.answers_kept.outbox_table import to_item
from service.kit.aws.bounded import FIRST_WAIT_S, StoreDropped, StoreThrottled
from service.kit.aws.queries import TablePuts
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log

# A put that is late goes on after its answer was sent. With this many of them, further answers do not wait for another.
_MOST_RUNNING = 256
# One failure is chance. After this many in a row, answers stop waiting for a while.
_FAILURES_BEFORE_PAUSE = 3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0


class Outbox:
    """Puts records into the outbox on the event loop; ``wait_s`` bounds what that may cost a request, 0 turns it off."""

    def __init__(
        self,
        puts: TablePuts,
        table: str,
        *,
        wait_s: float,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._puts = puts
        self._table = table
        self._wait_s = wait_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._running: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._pause_s = 0.0
        self._not_before = 0.0

    async def keep(self, record: ServedRecord, *, patience_s: float) -> bool:
        """Return whether DynamoDB has confirmed the record within ``wait_s`` and ``patience_s``; never raises.

        After failures in a row it returns False at once for a while: with the store down, no answer should wait for it.
        """
        if self._clock() < self._not_before:
            return self._unkept("paused after failures")
        if len(self._running) >= _MOST_RUNNING:
            return self._unkept("too many late puts")
        wait_s = min(self._wait_s, patience_s)
        if wait_s <= 0:
            return self._unkept("no time left" if self._wait_s > 0 else "OMNI_KEEP_WAIT_MS is 0")
        putting = asyncio.create_task(self._put(to_item(record, kept_at=self._wall_clock())))
        self._running.add(putting)
        putting.add_done_callback(self._ended)
        await asyncio.wait({putting}, timeout=wait_s)
        if not putting.done():
            return self._failed(f"no answer within {wait_s * 1000:.0f} ms")
        error = putting.exception()
        if error is not None:
            return self._failed(str(error) if isinstance(error, StoreError) else type(error).__name__)
        self._failures, self._pause_s = 0, 0.0
        return True

    async def _put(self, item: dict[str, Any]) -> None:
        try:
            await self._puts.put(TableName=self._table, Item=item)
        except (StoreDropped, StoreThrottled):
            await asyncio.sleep(FIRST_WAIT_S)
            await self._puts.put(TableName=self._table, Item=item)

    def _ended(self, putting: "asyncio.Task[None]") -> None:
        self._running.discard(putting)
        if not putting.cancelled():
            putting.exception()  # marks it as seen: nobody waits for a put that was late

    def _failed(self, reason: str) -> bool:
        self._failures += 1
        if self._failures >= _FAILURES_BEFORE_PAUSE and self._clock() >= self._not_before:
            self._pause_s = min(max(self._pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._not_before = self._clock() + self._pause_s
        return self._unkept(reason)

    @staticmethod
    def _unkept(reason: str) -> bool:
        log(Event.SUMMARY_UNKEPT, reason=reason)
        return False
