"""Says when more is asked of this process than it can do: the event loop is late for what is due.

An answer takes some thirty turns of the loop, so a loop that is 0.1 s late in every turn makes it three seconds late. Left alone,
that grows until every request ends at its deadline with a digest, having been worked on all the while (`make load`). While it is
crowded a request is answered with the task's digest at once, marked as degraded, and the loop catches up within a second or two.
"""

import asyncio
from collections import deque
from collections.abc import Callable

_EVERY_S = 0.1
# Over so long the lateness is averaged: one pause of 0.3 s delays a request by 0.3 s and is no crowd.
_OVER_S = 1.0


class Crowding:
    """Looks every 0.1 s how late it is called; belongs to one event loop. ``from_s`` 0 is never crowded."""

    def __init__(self, *, from_s: float, clock: Callable[[], float]) -> None:
        """``from_s`` is the mean lateness of the last second from which it is crowded; it and ``clock`` are in seconds."""
        self._from_s = from_s
        self._clock = clock
        self._late: deque[tuple[float, float]] = deque()
        self._crowded = False
        self._handle: asyncio.TimerHandle | None = None

    @property
    def crowded(self) -> bool:
        """Whether the loop was late on average in the second before the last look."""
        return self._crowded

    def start(self) -> None:
        """Begin to look, in the running event loop; nothing to do where there is none."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._from_s > 0:
            self._look_later(loop)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        due = self._clock() + _EVERY_S
        self._handle = loop.call_later(_EVERY_S, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = self._clock()
        self._late.append((now, max(now - due, 0.0)))
        while self._late[0][0] < now - _OVER_S:
            self._late.popleft()
        self._crowded = sum(late for _, late in self._late) / len(self._late) >= self._from_s
        self._look_later(loop)
