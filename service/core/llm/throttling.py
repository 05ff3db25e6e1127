"""Keeps using a model that throttles: sends about twice what it accepts, and retries a bounded share of what it refuses.

A breaker would take a model that refuses a third of its calls for dead; without any limit it would be asked in vain for ever.
This is the client-side throttling of Google's "Site Reliability Engineering" (2016), chapter 21.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

# Calls sent for each call that is accepted: with 2, a model must refuse more than half before any call is held back.
_SENT_PER_ACCEPTED = 2.0
_WINDOW_S = 10
_LEAST_CALLS = 10  # below, no share means anything
_PROBE_S = 1.0  # one call in this time is sent in any case, so that a recovery is noticed


@dataclass(slots=True)
class ModelThrottle:
    """What one model accepted in the last seconds; ``clock`` is monotonic, in seconds."""

    clock: Callable[[], float]
    calls: int = 0
    accepted: int = 0
    _owed: float = 0.0  # the share of a call to hold back, added up: no randomness, and exact from the first call on
    _sent_at: float = float("-inf")
    _seconds: deque[list[int]] = field(default_factory=deque)  # [second, calls, accepted]

    def admit(self) -> bool:
        """Return whether the next call may be sent; a call that is held back counts as one that was not accepted.

        A call counts as accepted until `refused` says otherwise: a refusal comes within milliseconds, an answer after seconds.
        Counted when they end, the first second of refusals would stand beside no answer, and hold most calls back.
        """
        second = self._now()
        now = self.clock()
        if self.calls >= _LEAST_CALLS and now - self._sent_at < _PROBE_S:
            self._owed += max(0.0, (self.calls - _SENT_PER_ACCEPTED * self.accepted) / (self.calls + 1))
            if self._owed >= 1:
                self._owed -= 1
                self._count(second, accepted=False)
                return False
        self._sent_at = now
        self._count(second, accepted=True)
        return True

    def refused(self) -> None:
        """Take back that a call which was sent counts as accepted: the model throttled it."""
        self._now()
        second = next((each for each in reversed(self._seconds) if each[2]), None)
        if second is not None:  # else the call was sent before the window began
            second[2] -= 1
            self.accepted -= 1

    def _count(self, second: list[int], *, accepted: bool) -> None:
        second[1] += 1
        second[2] += accepted
        self.calls += 1
        self.accepted += accepted

    def _now(self) -> list[int]:
        second = int(self.clock())
        while self._seconds and self._seconds[0][0] <= second - _WINDOW_S:
            _, calls, accepted = self._seconds.popleft()
            self.calls -= calls
            self.accepted -= accepted
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        return self._seconds[-1]


@dataclass(slots=True)
class Throttles:
    """One throttle per model; each is created at the model's first call."""

    clock: Callable[[], float]
    _by_model: dict[str, ModelThrottle] = field(default_factory=dict)

    def of(self, model: str) -> ModelThrottle:
        """Return the throttle of ``model``."""
        found = self._by_model.get(model)
        if found is None:
            found = self._by_model[model] = ModelThrottle(self.clock)
        return found
