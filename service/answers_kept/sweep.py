"""The writer's side of the outbox: clears what both stores hold, and finds the answers that another process left behind."""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from service.answers_kept.answer_record import ServedRecord
from service.answers_kept.outbox_table import LeftBehind
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log

# A task that lives writes its answers within seconds: what is older was left behind, or waits for a store.
_OLDER_THAN_S = 15.0
_EVERY_S = 5.0
_LEASE_S = 3 * _EVERY_S
# Without the table, ids that cannot be cleared are forgotten beyond this many: the next look finds them again.
_MOST_SETTLED = 10_000


class Sweep:
    """Clears and looks on behalf of one writer. Of all tasks, the one that holds the lease looks; a dead one loses it."""

    def __init__(
        self,
        outbox: LeftBehind,
        *,
        every_s: float = _EVERY_S,
        older_than_s: float = _OLDER_THAN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._every_s = every_s
        self._older_than_s = older_than_s
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self._due = clock()
        self._settled: deque[str] = deque(maxlen=_MOST_SETTLED)
        self._lock = threading.Lock()

    def settled(self, request_id: str) -> None:
        """Remember that both stores hold a record; ``clear`` deletes it from the outbox."""
        with self._lock:
            self._settled.append(request_id)

    def refused(self, request_id: str, reason: str) -> None:
        """Leave a record that a store refuses for good to a person."""
        try:
            self._outbox.set_aside(request_id, reason)
        except StoreError as err:
            log(Event.SUMMARY_WRITE_FAILURE, request_id=request_id, error=str(err))

    def clear(self) -> None:
        """Delete the settled records from the outbox; what cannot be deleted is tried again."""
        with self._lock:
            # A record that was written twice, after a delete that failed, is settled twice; BatchWriteItem refuses a batch that
            # names an item twice, each time it is tried.
            names = list(dict.fromkeys(self._settled))
            self._settled.clear()
        try:
            self._outbox.remove(names)
        except StoreError as err:
            log(Event.SUMMARY_WRITE_FAILURE, error=str(err))
            with self._lock:
                self._settled.extend(names)

    def left_behind(self) -> Iterator[ServedRecord]:
        """Yield the records that wait for too long; none if a look is not due, or another task holds the lease.

        Raises:
            StoreError: the outbox does not answer.
        """
        if self._clock() < self._due:
            return
        self._due = self._clock() + self._every_s
        if self._outbox.lease(self._owner, for_s=_LEASE_S):
            yield from self._outbox.waiting(older_than_s=self._older_than_s)
