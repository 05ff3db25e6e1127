"""Limits how many requests may start a further call, a backup or a retry: a share per pair or model over a sliding window."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

SHARE = 0.12
RETRY_SHARE = 0.10
WINDOW_S = 60
# Hedges allowed at any traffic: a tenth of fewer than ten requests is none, and three extra calls a minute overload no model.
FLOOR = 3
# Above this part of the budget, one request in `_RELIEF_EACH` goes straight to the backup.
_PRESSED, _RELIEF_EACH, _LEAST_REQUESTS = 0.9, 5, 50


@dataclass(slots=True)
class HedgeBudget:
    """Counts requests and hedges of the last minute, per second; ``clock`` is monotonic, in seconds.

    In any window the hedges of a task are at most ``max(floor, share * requests)``, as counted when the last was allowed.
    Without this limit, hedging would double the load on a model that is slow because of load. Each of ``tasks()`` tasks of the
    service has a part of the floor, but at least one; the shares of their requests add up by themselves.
    """

    clock: Callable[[], float]
    share: float = SHARE
    window_s: int = WINDOW_S
    floor: int = FLOOR
    tasks: Callable[[], int] = lambda: 1
    requests: int = 0
    hedges: int = 0
    refused: int = 0  # since the start, for the operator
    _turn: int = 0
    _seconds: deque[list[int]] = field(default_factory=deque)  # [second, requests, hedges]

    def request(self) -> None:
        """Count a request that could start a hedge."""
        self._now()[1] += 1
        self.requests += 1

    def allow(self, part: float = 1.0) -> bool:
        """Return whether one more hedge may start within ``part`` (0 to 1) of the share, and count it if so."""
        second = self._now()
        if self.hedges + 1 > max(self.floor // self.tasks(), 1, part * self.share * self.requests):
            self.refused += 1
            return False
        second[2] += 1
        self.hedges += 1
        return True

    def relieve(self) -> bool:
        """Return whether a request should do without its primary: one in five while the hedges are nearly used up.

        It needs no second call, so the hedges are left to the requests whose primary hangs.
        """
        self._now()
        if self.requests < _LEAST_REQUESTS or self.hedges + 1 <= _PRESSED * self.share * self.requests:
            return False
        self._turn = (self._turn + 1) % _RELIEF_EACH
        return self._turn == 0

    def _now(self) -> list[int]:
        second = int(self.clock())
        while self._seconds and self._seconds[0][0] <= second - self.window_s:
            _, requests, hedges = self._seconds.popleft()
            self.requests -= requests
            self.hedges -= hedges
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        return self._seconds[-1]


@dataclass(slots=True)
class HedgeBudgets:
    """One budget per pair digest (or model), for the last 16 of them; a new release starts with an empty one."""

    clock: Callable[[], float]
    share: float = SHARE
    tasks: int = 1  # of the service; see `service.access.shared_limits`
    _by_pair: dict[str, HedgeBudget] = field(default_factory=dict)

    def of(self, name: str) -> HedgeBudget:
        """Return the budget of the pair with this digest, or of the model with this id."""
        budget = self._by_pair.get(name)
        if budget is None:
            while len(self._by_pair) >= 16:  # a long-lived process sees many releases
                del self._by_pair[next(iter(self._by_pair))]
            budget = self._by_pair[name] = HedgeBudget(self.clock, self.share, tasks=lambda: self.tasks)
        return budget
