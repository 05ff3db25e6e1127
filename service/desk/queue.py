"""The queue of handovers: who is next, an estimate of how long a customer waits, and who has left."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean

from service.desk.callback import CallbackStore
from service.desk.handover import KNOWN_REASONS, CustomerHandover, HandoverEnd, HandoverStore
from service.kit.frame.errors import StoreError
from service.kit.records.table import RecordChanged
from service.kit.telemetry.log import Event, log

# Handling times from which waits are estimated; with fewer than five the configured time is the better guess.
_RECENT, _FEWEST = 20, 5
_LOOKED_AT = 100  # ended handovers among which those of one tenant are looked for
_MOST_AGENTS = 500
# An agent who was taken away does not count for ever as one who will be free soon.
_TALKS_AT_MOST = timedelta(hours=2)
_TRIES = 5  # the page of a waiting customer writes to the same handover


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """A place in the queue; position 1 is next. The wait is an estimate, from ``handled`` recent handling times."""

    position: int
    waiting: int
    estimated_wait_minutes: int
    handled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverQueue:
    """Blocking; raises ``StoreError`` if the store does not answer. ``usual_handling`` counts until there are recent ones.

    ``left_after``: a customer whose page has been silent for so long has left. Each tenant's customers have places of their own.
    """

    store: HandoverStore
    now: Callable[[], datetime]
    usual_handling: timedelta = timedelta(minutes=3)
    left_after: timedelta = timedelta(minutes=3)

    def enter(self, handover: CustomerHandover) -> CustomerHandover:
        """Put a customer into the queue, once for each id, and return the handover as it is kept.

        Who had left and comes back waits anew.
        """
        kept = self.store.add(handover)
        if kept.state == "closed" and kept.ended == "abandoned":
            kept = self.store.put(handover.model_copy(update={"version": kept.version}))
        if kept.requested_at == handover.requested_at:
            reason = handover.reason if handover.reason in KNOWN_REASONS else "other"
            log(Event.HANDOVER_ENTERED, task=handover.task, reason=reason)
        return kept

    def place(self, handover_id: str) -> QueuePlace | None:
        """Return the place of a customer; None if they do not wait (any more)."""
        own = self.store.get(handover_id)
        if own is None or own.state != "waiting":
            return None
        others = [one for one in self.store.waiting() if one.handover_id != handover_id and one.tenant == own.tenant]
        return self._place(own.tenant, 1 + sum(one.rank < own.rank for one in others), 1 + len(others))

    def place_of_next(self, tenant: str | None = None) -> QueuePlace:
        """Return the place that a customer without an urgent reason would have now."""
        waiting = sum(one.tenant == tenant for one in self.store.waiting())
        return self._place(tenant, waiting + 1, waiting)

    def see(self, handover_id: str, *, again_after: timedelta) -> CustomerHandover | None:
        """Note that a waiting customer is still there, unless that was noted less than ``again_after`` ago.

        Returns:
            The handover, None if there is none.
        """
        found, now = self.store.get(handover_id), self.now()
        if found is None or found.state != "waiting":
            return found
        if found.seen_at is not None and now - found.seen_at < again_after:
            return found
        try:
            return self.store.put(found.seen(now))
        except RecordChanged:  # an agent took it, or another page of the customer's was faster
            return self.store.get(handover_id)

    def take(self, handover_id: str, agent: str) -> CustomerHandover:
        """Give a waiting customer to an agent, and to no other one; return the handover with its summary and context.

        An agent who has taken it already gets it again.

        Raises:
            RecordChanged: another agent was faster, the customer has left, or there is no such handover.
        """
        for _ in range(_TRIES):
            found = self.store.get(handover_id)
            if found is not None and (found.state, found.taken_by) == ("taken", agent):
                return found
            if found is None or found.state != "waiting":
                raise RecordChanged(f"nobody waits under {handover_id!r} any more; take the next one")
            try:
                taken = self.store.put(found.taken(agent, self.now()))
            except RecordChanged:
                continue
            log(Event.HANDOVER_TAKEN, task=taken.task, latency_ms=_waited_ms(taken, self.now()))
            return taken
        raise RecordChanged(f"{handover_id!r} is changed all the time; take it again")

    def close(self, handover_id: str, ended: HandoverEnd) -> CustomerHandover:
        """End a handover, and forget what the customer has told. Safe to repeat.

        Raises:
            RecordChanged: somebody changes it at the same time, or there is no such handover.
        """
        found = self.store.get(handover_id)
        if found is None:
            raise RecordChanged(f"there is no handover {handover_id!r}")
        if found.state == "closed":
            return found
        now = self.now()
        closed = self.store.put(found.closed(ended, now))
        log(
            Event.HANDOVER_ENDED,
            task=found.task,
            outcome=ended,
            state=found.state,  # before: an agent spoke with the customer, or nobody did
            latency_ms=_waited_ms(found, found.taken_at or now),
        )
        return closed

    def look(self) -> list[CustomerHandover]:
        """Close the handovers of customers who have left, and return those who wait, by rank."""
        waiting = []
        for one in self.store.waiting():
            if one.has_left(self.now(), self.left_after) and self._left(one.handover_id):
                continue
            waiting.append(one)
        return waiting

    def _left(self, handover_id: str) -> bool:
        # The index may be older than the item: who has just come back has not left.
        found = self.store.get(handover_id)
        if found is None or found.state != "waiting":
            return True
        if not found.has_left(self.now(), self.left_after):
            return False
        try:
            self.close(handover_id, "abandoned")
        except RecordChanged:
            return False
        return True

    def _place(self, tenant: str | None, position: int, waiting: int) -> QueuePlace:
        ended = [one for one in self.store.latest("closed", most=_LOOKED_AT) if one.tenant == tenant]
        seconds = [one.handling.total_seconds() for one in ended if one.handling is not None][:_RECENT]
        mean_s = fmean(seconds) if len(seconds) >= _FEWEST else self.usual_handling.total_seconds()
        since = self.now() - _TALKS_AT_MOST
        talking = [one for one in self.store.latest("taken", most=_MOST_AGENTS) if one.tenant == tenant]
        agents = len({one.taken_by for one in talking if one.taken_at is not None and one.taken_at >= since})
        wait_s = position * mean_s / max(agents, 1)
        return QueuePlace(
            position=position,
            waiting=waiting,
            estimated_wait_minutes=max(1, math.ceil(wait_s / 60)),
            handled=len(seconds),
        )


def _waited_ms(handover: CustomerHandover, until: datetime) -> int:
    return round((until - handover.requested_at) / timedelta(milliseconds=1))


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
