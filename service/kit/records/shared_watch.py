"""Looks every second whether another task has changed the shared state, and tells whoever asked for that subject."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedState
from service.kit.telemetry.log import Event, log

EVERY_S = 1.0
# Also told without a change: a listener may have failed, or the table may have been restored from a backup.
_AT_LEAST_EVERY_S = 60.0


@dataclass(slots=True)
class _Listener:
    partition: str
    tell: Callable[[], None]
    seen: int | None = None
    told_at: float = field(default=0.0)


class SharedWatch:
    """One thread per process. Without a state (``state`` None) nobody is ever told.

    A listener is called once at the start, after each change of its partition, and at least once a minute, in the watch's
    thread: it should wake another thread or read a few items. If it raises it is called again at the next look.
    """

    def __init__(
        self, state: SharedState | None, *, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._state = state
        self._every_s = every_s
        self._clock = clock
        self._listeners: list[_Listener] = []
        self._wake = threading.Event()
        self._stopped = False
        self.error: str | None = None  # why the last look failed; None: it did not

    def on_change(self, partition: str, tell: Callable[[], None]) -> None:
        """Call ``tell`` when ``partition`` changes."""
        self._listeners.append(_Listener(partition, tell))

    def start(self) -> None:
        """Start looking in the background."""
        if self._state is not None:
            threading.Thread(target=self._loop, name="shared-watch", daemon=True).start()

    def stop(self) -> None:
        """End the background thread."""
        self._stopped = True
        self._wake.set()

    def look(self) -> None:
        """Look once, and tell the listeners whose partition has changed. Never raises."""
        assert self._state is not None
        try:
            changes = self._state.changes()
        except StoreError as err:
            self._failed(err)
            return
        except Exception as err:  # something else answered, such as a proxy's page: the thread must survive it
            self._failed(StoreError(f"the shared table gave an unexpected answer ({type(err).__name__})"))
            return
        now, failure = self._clock(), None
        for listener in self._listeners:
            number = changes.get(listener.partition, 0)
            if number == listener.seen and now - listener.told_at < _AT_LEAST_EVERY_S:
                continue
            try:
                listener.tell()
            except StoreError as err:
                failure = err
                continue
            except Exception as err:  # what one subject holds must not keep the others from being heard
                failure = StoreError(f"{listener.partition!r} holds something unexpected ({type(err).__name__})")
                continue
            listener.seen, listener.told_at = number, now
        if failure is not None:
            self._failed(failure)
        elif self.error is not None:
            self.error = None
            log(Event.SHARED_STATE_BACK)

    def _failed(self, err: StoreError) -> None:
        if self.error is None:  # one line per outage
            log(Event.SHARED_STATE_UNREACHABLE, reason=str(err))
        self.error = str(err)

    def _loop(self) -> None:
        while not self._stopped:
            self.look()
            self._wake.wait(self._every_s * random.uniform(0.8, 1.2))
