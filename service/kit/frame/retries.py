"""When something that failed is tried again: within one call, after a pause, or by a delivery that takes days."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

Result = TypeVar("Result")
Failures = type[Exception] | tuple[type[Exception], ...]


def _anyway(_: Exception) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlan:
    """Pauses in seconds that double from ``first_s`` to ``longest_s``; chance adds up to ``jitter_s``, within ``longest_s``.

    ``attempts`` are those of one call, the first included; None: as many as its time allows.
    """

    first_s: float
    longest_s: float
    jitter_s: float = 0.0
    attempts: int | None = None

    def pause_s(self, failures: int) -> float:
        """Return the pause after so many failures in a row, 1 or more; without chance."""
        return min(self.first_s * 2.0 ** min(failures - 1, 60), self.longest_s)

    def run(
        self,
        access: Callable[[], Result],
        *,
        on: Failures,
        if_: Callable[[Exception], bool] = _anyway,
        timeout_s: float = math.inf,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> Result:
        """Return the result of ``access``, tried again after an error of ``on`` for which ``if_`` is true. Blocking.

        No pause ends later than ``timeout_s`` seconds after the start.

        Raises:
            Exception: that of the last attempt.
        """
        pauses = self._pauses(timeout_s, clock or time.monotonic)
        while True:
            try:
                return access()
            except on as err:
                pause_s = next(pauses, None)
                if pause_s is None or not if_(err):
                    raise
            (sleep or time.sleep)(pause_s)

    async def run_async(
        self,
        access: Callable[[], Awaitable[Result]],
        *,
        on: Failures,
        if_: Callable[[Exception], bool] = _anyway,
        timeout_s: float = math.inf,
    ) -> Result:
        """As ``run``, on the event loop."""
        pauses = self._pauses(timeout_s, time.monotonic)
        while True:
            try:
                return await access()
            except on as err:
                pause_s = next(pauses, None)
                if pause_s is None or not if_(err):
                    raise
            await asyncio.sleep(pause_s)

    def _pauses(self, timeout_s: float, clock: Callable[[], float]) -> Iterator[float]:
        until = clock() + timeout_s

        def pauses() -> Iterator[float]:
            for failures in count(1):
                pause_s = min(self.pause_s(failures) + random.uniform(0, self.jitter_s), self.longest_s)
                if failures == self.attempts or clock() + pause_s > until:
                    return
                yield pause_s

        return pauses()
