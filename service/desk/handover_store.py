"""The port to kept handovers, and the one that keeps them in this process's memory."""

import threading
from typing import Protocol

from service.desk.handover import CustomerHandover, HandoverState
from service.kit.frame.errors import StoreError


class HandoverChanged(StoreError):
    """Somebody else changed the handover since it was read; read it again."""


class HandoverStore(Protocol):
    """Keeps handovers by id. Blocking; methods raise ``StoreError`` if the store does not answer."""

    def add(self, handover: CustomerHandover) -> CustomerHandover:
        """Write a new handover and return it with its version; if there is one with its id, return that."""
        ...

    def get(self, handover_id: str) -> CustomerHandover | None:
        """Return the newest version, or None."""
        ...

    def put(self, handover: CustomerHandover) -> CustomerHandover:
        """Write a changed handover and return it with its new version.

        Raises:
            HandoverChanged: the store has another version than ``handover``.
        """
        ...

    def waiting(self) -> list[CustomerHandover]:
        """Return those that wait, by rank; may miss changes of the last second."""
        ...

    def latest(self, state: HandoverState, *, most: int) -> list[CustomerHandover]:
        """Return those that were taken or closed last, newest first; may miss changes of the last second."""
        ...


class HandoversInMemory:
    """For one process without an AWS; they end with it."""

    def __init__(self) -> None:
        self._kept: dict[str, CustomerHandover] = {}
        self._lock = threading.Lock()

    def add(self, handover: CustomerHandover) -> CustomerHandover:
        """See ``HandoverStore.add``."""
        return self._kept.setdefault(handover.handover_id, handover.model_copy(update={"version": 1}))

    def get(self, handover_id: str) -> CustomerHandover | None:
        """See ``HandoverStore.get``."""
        return self._kept.get(handover_id)

    def put(self, handover: CustomerHandover) -> CustomerHandover:
        """See ``HandoverStore.put``."""
        with self._lock:
            kept = self._kept.get(handover.handover_id)
            if kept is None or kept.version != handover.version:
                raise HandoverChanged(f"handover {handover.handover_id!r} was changed meanwhile")
            written = handover.model_copy(update={"version": handover.version + 1})
            self._kept[handover.handover_id] = written
        return written

    def waiting(self) -> list[CustomerHandover]:
        """See ``HandoverStore.waiting``."""
        return sorted((one for one in list(self._kept.values()) if one.state == "waiting"), key=lambda one: one.rank)

    def latest(self, state: HandoverState, *, most: int) -> list[CustomerHandover]:
        """See ``HandoverStore.latest``."""
        found = [one for one in list(self._kept.values()) if one.state == state]
        return sorted(found, key=lambda one: one.closed_at or one.taken_at or one.requested_at, reverse=True)[:most]
