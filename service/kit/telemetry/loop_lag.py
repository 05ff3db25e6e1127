"""Detects overload of this process: the event loop runs its timers late.

An answer takes about thirty turns of the loop, so a loop that is 0.1 s late in every turn delays it by three seconds. Without
this check the delay grows until every request uses up its deadline and then returns the digest anyway (`make load`). While the
process is crowded, requests get the task's digest at once, marked as degraded, and the loop catches up within a second or two.
"""

import asyncio
from collections import deque
from collections.abc import Callable

_EVERY_S = 0.1
# Window of the mean lateness: a single pause of 0.3 s delays a request by 0.3 s, which is no overload.
_OVER_S = 1.0


class Crowding:
    """Measures the event loop's lateness every 0.1 s. Use it on one event loop; ``from_s`` 0 turns it off."""

    def __init__(self, *, from_s: float, clock: Callable[[], float]) -> None:
        """Crowded when the mean lateness of the last second is ``from_s`` or more; ``clock`` is in seconds too."""
        self._from_s = from_s
        self._clock = clock
        self._late: deque[tuple[float, float]] = deque()
        self._crowded = False
        self._handle: asyncio.TimerHandle | None = None

    @property
    def crowded(self) -> bool:
        """Whether the loop's mean lateness was ``from_s`` or more in the second before the last measurement."""
        return self._crowded

    def start(self) -> None:
        """Start measuring the running event loop; does nothing without one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._from_s > 0:
            self._schedule(loop)

    def stop(self) -> None:
        """Stop measuring."""
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due = self._clock() + _EVERY_S
        self._handle = loop.call_later(_EVERY_S, self._measure, loop, due)

    def _measure(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = self._clock()
        self._late.append((now, max(now - due, 0.0)))
        while self._late[0][0] < now - _OVER_S:
            self._late.popleft()
        self._crowded = sum(late for _, late in self._late) / len(self._late) >= self._from_s
        self._schedule(loop)
