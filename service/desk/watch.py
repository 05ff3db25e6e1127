"""Looks at the queue of handovers from time to time: closes those of customers who have left, and counts who waits.

It counts overdue callbacks, too: their worker cannot say that it does not run.
"""

import threading
from dataclasses import dataclass, field

from service.desk.callback_store import CallbackStore
from service.desk.queue import HandoverQueue
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log


@dataclass(slots=True)
class HandoverWatch:
    """A background thread; several processes may look at one queue."""

    queue: HandoverQueue
    callbacks: CallbackStore | None = None
    every_s: float = 30.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Look now and then every ``every_s`` seconds."""
        threading.Thread(target=self._follow, name="handovers", daemon=True).start()

    def stop(self) -> None:
        """End after the present look."""
        self._stop.set()

    def look(self) -> None:
        """Look once; a store that does not answer is logged."""
        try:
            waiting = self.queue.look()
        except StoreError as err:
            log(Event.HANDOVERS_UNREADABLE, error=type(err).__name__)
            return
        log(Event.HANDOVERS_CHECKED, waiting=len(waiting))
        if self.callbacks is not None:
            self._look_at_callbacks(self.callbacks)

    def _look_at_callbacks(self, store: CallbackStore) -> None:
        try:
            promised, now = store.waiting(), self.queue.now()
        except StoreError as err:
            log(Event.CALLBACKS_UNREADABLE, error=type(err).__name__)
            return
        log(Event.CALLBACKS_CHECKED, waiting=len(promised), overdue=sum(one.is_overdue(now) for one in promised))

    def _follow(self) -> None:
        self.look()
        while not self._stop.wait(self.every_s):
            self.look()
