"""Limits per client and process: a token bucket for the rate, a counter for what is in flight."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from service.access.tokens import Caller

_IN_FLIGHT_RETRY_S = 1.0  # an estimate: a summary takes one to two seconds


class LimitExceeded(Exception):
    """The client has to wait ``retry_after_s`` seconds."""

    def __init__(self, kind: Literal["rate", "concurrency"], retry_after_s: float, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _State:
    tokens: float
    filled_at: float
    in_flight: int = 0


class Throttle:
    """Keeps one bucket and one counter per client. Has no locks: use it on one event loop. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: dict[str, _State] = {}

    @contextmanager
    def admit(self, caller: Caller) -> Iterator[None]:
        """Count one request of the caller as in flight while the block runs.

        Raises:
            LimitExceeded: too many at once or too many per second; the refused request is not counted.
        """
        client, now = caller.client, self._clock()
        state = self._states.get(caller.client_id)
        if state is None:
            state = self._states[caller.client_id] = _State(float(client.burst), now)
        if state.in_flight >= client.concurrent:
            raise LimitExceeded(
                "concurrency", _IN_FLIGHT_RETRY_S, f"{client.concurrent} requests of this client are in flight already"
            )
        state.tokens = min(state.tokens + (now - state.filled_at) * client.rate_per_s, float(client.burst))
        state.filled_at = now
        if state.tokens < 1.0:
            wait_s = (1.0 - state.tokens) / client.rate_per_s
            raise LimitExceeded("rate", wait_s, f"more than {client.rate_per_s:g} requests per second of this client")
        state.tokens -= 1.0
        state.in_flight += 1
        try:
            yield
        finally:
            state.in_flight -= 1
