"""The port to kept callbacks, and the one that keeps them in this process's memory."""

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from service.desk.callback import Callback
from service.kit.frame.errors import StoreError


class CallbackChanged(StoreError):
    """Somebody else changed the callback since it was read; read it again."""


class CallbackStore(Protocol):
    """Keeps callbacks by id. Blocking; methods raise ``StoreError`` if the store does not answer."""

    def add(self, callback: Callback) -> Callback:
        """Write a new callback and return it with its version; if there is one with its id, return that."""
        ...

    def get(self, callback_id: str) -> Callback | None:
        """Return the newest version, or None."""
        ...

    def put(self, callback: Callback) -> Callback:
        """Write a changed callback and return it with its new version.

        Raises:
            CallbackChanged: the store has another version than ``callback``.
        """
        ...

    def due(self, now: datetime, *, most: int) -> list[Callback]:
        """Return open callbacks that a worker should look at now, longest due first; may miss changes of the last second."""
        ...

    def waiting(self) -> list[Callback]:
        """Return all open callbacks; may miss changes of the last second."""
        ...


class CallbacksInMemory:
    """For one process without an AWS; they end with it."""

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        self._kept = {one.callback_id: one for one in callbacks}
        self._lock = threading.Lock()

    def add(self, callback: Callback) -> Callback:
        """See ``CallbackStore.add``."""
        return self._kept.setdefault(callback.callback_id, replace(callback, version=1))

    def get(self, callback_id: str) -> Callback | None:
        """See ``CallbackStore.get``."""
        return self._kept.get(callback_id)

    def put(self, callback: Callback) -> Callback:
        """See ``CallbackStore.put``."""
        with self._lock:
            kept = self._kept.get(callback.callback_id)
            if kept is None or kept.version != callback.version:
                raise CallbackChanged(f"callback {callback.callback_id!r} was changed meanwhile")
            written = self._kept[callback.callback_id] = replace(callback, version=callback.version + 1)
        return written

    def due(self, now: datetime, *, most: int) -> list[Callback]:
        """See ``CallbackStore.due``."""
        found = sorted((one for one in self.waiting() if one.next_at <= now), key=lambda one: one.next_at)
        return found[:most]

    def waiting(self) -> list[Callback]:
        """See ``CallbackStore.waiting``."""
        return [one for one in list(self._kept.values()) if one.is_open]
