"""Customers who were erased, and when: a record from before that moment must not be stored again.

An answer may be on its way while its customer is erased: in the spool of a machine, in the outbox, in a queue. Whoever writes or
loads records asks here. A record from after the erasure is a new one of a customer who came back, and is kept.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedState, open_shared_state
from service.kit.settings import Settings
from service.kit.telemetry.fields import pseudonym_of_hash

# Longer than anything waits: 14 days in a queue, 30 days as a dead object, 35 days in a table's backups.
KEPT_FOR = timedelta(days=90)
REFRESH_S = 2.0
_PARTITION = "erased"
_ALWAYS = datetime.max.replace(tzinfo=UTC)


def erase_from(shared: SharedState, customer: str, at: datetime) -> None:
    """Note that everything about ``customer``, the keyed hash of an account or a conversation, from before ``at`` is erased."""
    shared.put(_PARTITION, customer, at.isoformat(), expires_at=(at + KEPT_FOR).timestamp())


def nobody_erased() -> "Tombstones":
    """Return notes of nobody."""
    return Tombstones(None)


def open_tombstones(settings: Settings) -> "Tombstones":
    """Return the notes of ``settings``; contacts nothing."""
    return Tombstones(open_shared_state(settings))


class Tombstones:
    """Reads the notes, at most every two seconds. Threads may share it; blocking."""

    def __init__(self, shared: SharedState | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``shared`` is None where there is no AWS, and so nothing that outlives a process."""
        self._shared = shared
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Mapping[str, datetime] | None = None
        self._read_at = 0.0

    def covers(self, names: Iterable[str | None], made_at: datetime) -> bool:
        """Return whether a record belongs to what was erased; ``names`` are keyed hashes and pseudonyms in it.

        Raises:
            StoreError: the notes could never be read, so nothing may be written yet.
        """
        known = self._current()
        return bool(known) and any(name in known and made_at <= known[name] for name in names if name)

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
        found = {item.key: _moment(item.text) for item in items if item.text is not None}
        return found | {pseudonym_of_hash(hashed): at for hashed, at in found.items()}


def _moment(text: str) -> datetime:
    """Return a note's moment; one that cannot be read covers all records of its customer, and holds up no other's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _ALWAYS
    return _ALWAYS if moment.tzinfo is None else moment
