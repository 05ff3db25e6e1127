"""Customers who were erased, and when: a record from before that moment must not be stored again.

An answer may be on its way while its customer is erased: in the spool of a machine, in the outbox, in a queue. Whoever writes or
loads records asks here. A record from after the erasure is a new one of a customer who came back, and is kept.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from service.aws.shared_state import SharedState
from service.errors import StoreError

# Longer than anything waits: 14 days in a queue, 30 days as a dead object, 35 days in a table's backups.
KEPT_FOR = timedelta(days=90)
REFRESH_S = 2.0
_PARTITION = "erased"


def erase_from(shared: SharedState, customer: str, at: datetime) -> None:
    """Note that everything about ``customer``, a keyed hash, from before ``at`` is erased."""
    shared.put(_PARTITION, customer, at.isoformat(), expires_at=(at + KEPT_FOR).timestamp())


class Tombstones:
    """Reads the notes, at most every two seconds. Threads may share it; blocking."""

    def __init__(self, shared: SharedState | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``shared`` is None where there is no AWS, and so nothing that outlives a process."""
        self._shared = shared
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Mapping[str, datetime] | None = None
        self._read_at = 0.0

    def covers(self, customer: str, at: str) -> bool:
        """Return whether a record of ``customer``, a keyed hash, made ``at`` (ISO 8601) belongs to what was erased.

        Raises:
            StoreError: the notes could never be read, so nothing may be written yet.
        """
        erased_at = self._current().get(customer)
        return erased_at is not None and datetime.fromisoformat(at) <= erased_at

    def _current(self) -> Mapping[str, datetime]:
        with self._lock:
            if self._known is None or self._clock() - self._read_at >= REFRESH_S:
                try:
                    self._known = self._read()
                    self._read_at = self._clock()
                except StoreError:
                    # The copy serves on: the loader looks again before a record reaches the warehouse.
                    if self._known is None:
                        raise
            return self._known

    def _read(self) -> Mapping[str, datetime]:
        if self._shared is None:
            return {}
        items = self._shared.items(_PARTITION)
        return {item.key: datetime.fromisoformat(item.text) for item in items if item.text is not None}
