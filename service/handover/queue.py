"""The queue of handovers: who is next, and an estimate of how long a customer waits."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

from service.handover.handover import CustomerHandover, HandoverEnd
from service.handover.handover_store import HandoverChanged, HandoverStore

# Handling times from which waits are estimated; with fewer than five the configured time is the better guess.
_RECENT, _FEWEST = 20, 5
_MOST_AGENTS = 500
# An agent who was taken away does not count for ever as one who will be free soon.
_TALKS_AT_MOST = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """A place in the queue; position 1 is next. The wait is an estimate, from ``handled`` recent handling times."""

    position: int
    waiting: int
    estimated_wait_minutes: int
    handled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverQueue:
    """Blocking; raises ``StoreError`` if the store does not answer. ``usual_handling`` counts until there are recent ones."""

    store: HandoverStore
    now: Callable[[], datetime]
    usual_handling: timedelta = timedelta(minutes=3)

    def enter(self, handover: CustomerHandover) -> CustomerHandover:
        """Put a customer into the queue, once for each id, and return the handover as it is kept."""
        return self.store.add(handover)

    def place(self, handover_id: str) -> QueuePlace | None:
        """Return the place of a customer; None if they do not wait (any more)."""
        own = self.store.get(handover_id)
        if own is None or own.state != "waiting":
            return None
        others = [one for one in self.store.waiting() if one.handover_id != handover_id]
        return self._place(1 + sum(one.rank < own.rank for one in others), 1 + len(others))

    def place_of_next(self) -> QueuePlace:
        """Return the place that a customer without an urgent reason would have now."""
        waiting = len(self.store.waiting())
        return self._place(waiting + 1, waiting)

    def take(self, handover_id: str, agent: str) -> CustomerHandover:
        """Give a waiting customer to an agent, and to no other one; return the handover with its summary and context.

        Raises:
            HandoverChanged: another agent was faster, the customer has left, or there is no such handover.
        """
        found = self.store.get(handover_id)
        if found is None or found.state != "waiting":
            raise HandoverChanged(f"nobody waits under {handover_id!r} any more; take the next one")
        return self.store.put(found.taken(agent, self.now()))

    def close(self, handover_id: str, ended: HandoverEnd) -> CustomerHandover:
        """End a handover, and forget what the customer has told. Safe to repeat.

        Raises:
            HandoverChanged: somebody changes it at the same time, or there is no such handover.
        """
        found = self.store.get(handover_id)
        if found is None:
            raise HandoverChanged(f"there is no handover {handover_id!r}")
        return found if found.state == "closed" else self.store.put(found.closed(ended, self.now()))

    def _place(self, position: int, waiting: int) -> QueuePlace:
        recent = [one.handling for one in self.store.latest("closed", most=_RECENT) if one.handling is not None]
        seconds = [one.total_seconds() for one in recent]
        mean_s = fmean(seconds) if len(seconds) >= _FEWEST else self.usual_handling.total_seconds()
        since = self.now() - _TALKS_AT_MOST
        talking = self.store.latest("taken", most=_MOST_AGENTS)
        agents = len({one.taken_by for one in talking if one.taken_at is not None and one.taken_at >= since})
        wait_s = position * mean_s / max(agents, 1)
        return QueuePlace(
            position=position,
            waiting=waiting,
            estimated_wait_minutes=max(1, math.ceil(wait_s / 60)),
            handled=len(seconds),
        )
