"""Says when more is asked of this process than it can do: the event loop is late for what is due.

One process answers some fifty requests a second. Five hundred at once cannot all wait for a model and be checked within the
deadline; before this was watched, such a burst left agents without any answer. While it is crowded a request is answered with the
task's digest at once, marked as degraded: late work is then spent on nobody.
"""

import asyncio
from collections.abc import Callable

_EVERY_S = 0.1
# Stays so for a moment: what is under way still has to be done when the loop has caught up.
_HOLD_S = 1.0


class Crowding:
    """Looks every 0.1 s how late it is called; belongs to one event loop. ``from_s`` 0 is never crowded."""

    def __init__(self, *, from_s: float, clock: Callable[[], float]) -> None:
        """``from_s`` is the lateness in seconds from which the process counts as crowded; ``clock`` gives monotonic seconds."""
        self._from_s = from_s
        self._clock = clock
        self._until = float("-inf")
        self._handle: asyncio.TimerHandle | None = None

    @property
    def crowded(self) -> bool:
        """Whether the loop was late within the last second."""
        return self._clock() < self._until

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
        if now - due >= self._from_s:
            self._until = now + _HOLD_S
        self._look_later(loop)
