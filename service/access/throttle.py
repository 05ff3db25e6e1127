"""Limits per client and per browser's conversation: a token bucket for the rate, a counter for what is in flight.

Other tasks' requests of a client are charged later.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from cachetools import LRUCache

from service.access.clients import Client
from service.access.tokens import Caller

_LATE_S = 4.0  # how late this task hears of another's requests, at most: two beats of `service.access.shared_limits`
_IN_FLIGHT_RETRY_S = 1.0  # an estimate: a summary takes one to two seconds
# Bodies are parsed on the processor that serves everybody: 250 KB, the most by default, cost as much as 16 requests.
_BYTES_OF_A_REQUEST = 16_384
# A page looks every 10 seconds and sends one message at a time; somebody may have it open in several tabs.
_CONVERSATION_RATE_PER_S = 2.0
_CONVERSATION_BURST = 30.0
_CONVERSATION_IN_FLIGHT = 8
_CONVERSATIONS_KNOWN = 20_000  # one that is forgotten begins with a full bucket


class LimitExceeded(Exception):
    """The client has to wait ``retry_after_s`` seconds."""

    def __init__(self, kind: Literal["rate", "concurrency"], retry_after_s: float, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class ClientUse:
    """What a task, or all other tasks together, admitted of a client: newly (or since the start), and in flight now."""

    admitted: int = 0
    in_flight: int = 0


@dataclass(slots=True)
class _State:
    """Two buckets: ``own`` for the requests at this task, ``all`` for those at all tasks, which are heard of late."""

    own: float
    all: float
    filled_at: float
    rate_per_s: float
    burst: float
    admitted: int = 0
    in_flight: int = 0

    def fill(self, now: float, share: float) -> None:
        passed = now - self.filled_at
        self.own = min(self.own + passed * self.rate_per_s * share, self.burst)
        self.all += passed * self.rate_per_s  # its bound is set when it is charged
        self.filled_at = now

    def charge(self, admitted: int) -> None:
        # Others' requests come in lumps of up to two beats: with the burst alone as its bound, the bucket would refuse a client
        # that keeps to its rate.
        self.all = min(self.all - admitted, self.burst + self.rate_per_s * _LATE_S)

    def short_of(self) -> float:
        """Return how many tokens one more request lacks; 0 or less: none."""
        return 1.0 - min(self.own, self.all)


@dataclass(slots=True)
class _Elsewhere:
    """The other tasks as of ``at``; ``share`` is the part of each rate that this task may use while it cannot hear them."""

    at: float = float("-inf")
    uses: Mapping[str, ClientUse] = field(default_factory=dict)
    share: float = 1.0


class Throttle:
    """Keeps one bucket and one counter per client. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: dict[str, _State] = {}
        self._elsewhere = _Elsewhere()
        self._lock = threading.Lock()  # requests are admitted on the event loop, and charged from a thread

    @contextmanager
    def admit(self, caller: Caller) -> Iterator[None]:
        """Count one request of the caller as in flight while the block runs.

        Raises:
            LimitExceeded: too many at once or too many per second; the refused request is not counted.
        """
        client, now = caller.client, self._clock()
        with self._lock:
            state = self._admitted(caller.client_id, client, now)
        try:
            yield
        finally:
            with self._lock:
                state.in_flight -= 1

    def _admitted(self, client_id: str, client: Client, now: float) -> _State:
        elsewhere = self._elsewhere.uses.get(client_id, ClientUse())
        rate, burst = client.rate_per_s, float(client.burst)
        state = self._states.get(client_id)
        if state is None:
            # Other tasks may have admitted requests of this client already; what is older than a beat is forgotten.
            state = self._states[client_id] = _State(
                burst, burst - elsewhere.admitted, max(self._elsewhere.at, now - _LATE_S), rate, burst
            )
        state.rate_per_s, state.burst = rate, burst
        if state.in_flight + elsewhere.in_flight >= client.concurrent:
            raise LimitExceeded(
                "concurrency", _IN_FLIGHT_RETRY_S, f"{client.concurrent} requests of this client are in flight already"
            )
        state.fill(now, self._elsewhere.share)
        if (lacking := state.short_of()) > 0:
            wait_s = lacking / (rate * self._elsewhere.share)
            raise LimitExceeded("rate", wait_s, f"more than {rate:g} requests per second of this client")
        state.own -= 1.0
        state.all -= 1.0
        state.admitted += 1
        state.in_flight += 1
        return state

    def take_for_bytes(self, client_id: str, size: int) -> None:
        """Take from an admitted client's bucket what a body of ``size`` bytes costs beyond its request; the bucket may owe."""
        more = size // _BYTES_OF_A_REQUEST
        with self._lock:
            state = self._states[client_id]
            state.own -= more
            state.all -= more
            state.admitted += more

    def uses(self) -> dict[str, ClientUse]:
        """Return what this process has admitted of each client since its start, and what is in flight."""
        with self._lock:
            return {client_id: ClientUse(state.admitted, state.in_flight) for client_id, state in self._states.items()}

    def charge(self, uses: Mapping[str, ClientUse]) -> None:
        """Take from each client's bucket what the other tasks have ``admitted`` since the last call; a bucket may owe.

        A client that owes waits until its rate has paid, so that in the long run all tasks together keep to one rate.
        """
        with self._lock:
            now = self._clock()
            share, self._elsewhere = self._elsewhere.share, _Elsewhere(now, uses)
            for client_id, state in self._states.items():
                state.fill(now, share)
                state.charge(uses[client_id].admitted if client_id in uses else 0)

    def be_alone(self, tasks: int) -> None:
        """Use one of ``tasks`` equal parts of each rate: nobody knows now what the other tasks admit."""
        with self._lock:
            self._elsewhere = _Elsewhere(share=1 / tasks)
            for state in self._states.values():
                state.all = float("inf")


class ConversationThrottle:
    """Bounds what a browser, with its token for one conversation or account, can take of its client's limits.

    Each process counts for itself. ``clock`` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: LRUCache[str, _State] = LRUCache(_CONVERSATIONS_KNOWN)

    @contextmanager
    def admit(self, conversation: str) -> Iterator[None]:
        """Count one request of a conversation as in flight while the block runs. Belongs to one event loop.

        Raises:
            LimitExceeded: too many at once or too many per second; the refused request is not counted.
        """
        rate, burst, now = _CONVERSATION_RATE_PER_S, _CONVERSATION_BURST, self._clock()
        state = self._states.get(conversation)
        if state is None:
            state = self._states[conversation] = _State(burst, float("inf"), now, rate, burst)
        if state.in_flight >= _CONVERSATION_IN_FLIGHT:
            message = f"{_CONVERSATION_IN_FLIGHT} requests of this conversation are in flight already"
            raise LimitExceeded("concurrency", _IN_FLIGHT_RETRY_S, message)
        state.fill(now, share=1.0)
        if (lacking := state.short_of()) > 0:
            raise LimitExceeded("rate", lacking / rate, f"more than {rate:g} requests per second of this conversation")
        state.own -= 1.0
        state.in_flight += 1
        try:
            yield
        finally:
            state.in_flight -= 1

    def take_for_bytes(self, conversation: str, size: int) -> None:
        """Take from an admitted conversation's bucket what a body of ``size`` bytes costs beyond its request."""
        if (state := self._states.get(conversation)) is not None:
            state.own -= size // _BYTES_OF_A_REQUEST
