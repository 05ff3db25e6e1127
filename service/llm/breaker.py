"""Circuit breakers, one per model: a model that fails is left alone for a while, then tried again by one request."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from service.telemetry.log import Event, log


class BreakerState(StrEnum):
    """``closed`` lets calls pass, ``open`` none, ``half_open`` one at a time: the probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens and for how long; times are seconds.

    Five failures in a row are what an outage looks like at once; the share catches a model that fails every other call.
    A model that throttles a third of the calls stays in use: its retry and the backup answer those.
    """

    failures_in_a_row: int = 5
    failed_share: float = 0.5
    least_calls: int = 20
    window_s: float = 30.0
    open_s: float = 15.0


@dataclass(slots=True)
class CircuitBreaker:
    """One model's breaker; for one event loop. ``clock`` is monotonic, in seconds."""

    model: str
    policy: BreakerPolicy
    clock: Callable[[], float]
    _outcomes: deque[tuple[float, bool]] = field(default_factory=deque)
    _failed: int = 0
    _in_a_row: int = 0
    _opened_at: float | None = None
    _probe: "Permit | None" = None

    @property
    def state(self) -> BreakerState:
        """The state now; an open breaker becomes half-open by the clock alone."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        if self.clock() - self._opened_at >= self.policy.open_s:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def admit(self) -> "Permit | None":
        """Return leave for one call, or None. Whoever gets it tells how the call ended, or gives it back."""
        match self.state:
            case BreakerState.CLOSED:
                return Permit(self)
            case BreakerState.HALF_OPEN if self._probe is None:
                self._probe = Permit(self)
                return self._probe
        return None

    def _record(self, permit: "Permit", ok: bool) -> None:
        now = self.clock()
        if permit is self._probe:
            self._probe = None
            if ok:
                self._opened_at = None
                self._reset()
                log(Event.BREAKER_CLOSED, model=self.model)
            else:
                self._opened_at = now
            return
        if self._opened_at is not None:
            return  # a call that left before the breaker opened says nothing about now
        self._outcomes.append((now, ok))
        self._failed += not ok
        while now - self._outcomes[0][0] > self.policy.window_s:
            self._failed -= not self._outcomes.popleft()[1]
        self._in_a_row = 0 if ok else self._in_a_row + 1
        calls = len(self._outcomes)
        too_many = calls >= self.policy.least_calls and self._failed >= self.policy.failed_share * calls
        if not ok and (self._in_a_row >= self.policy.failures_in_a_row or too_many):
            log(Event.BREAKER_OPENED, model=self.model, failures=self._failed, calls=calls)
            self._opened_at = now
            self._reset()

    def _reset(self) -> None:
        self._outcomes.clear()
        self._failed = self._in_a_row = 0

    def _give_back(self, permit: "Permit") -> None:
        if permit is self._probe:
            self._probe = None


@dataclass(slots=True, eq=False)
class Permit:
    """Leave for one call; only the first word on it counts."""

    _breaker: CircuitBreaker
    _settled: bool = False

    def succeeded(self) -> None:
        """The model answered, with whatever content."""
        self._settle(True)

    def failed(self) -> None:
        """The model gave no answer: an error, a throttle, or no word in time."""
        self._settle(False)

    def give_back(self) -> None:
        """The call ended for a reason that says nothing about the model."""
        if not self._settled:
            self._settled = True
            self._breaker._give_back(self)

    def _settle(self, ok: bool) -> None:
        if not self._settled:
            self._settled = True
            self._breaker._record(self, ok)


@dataclass(slots=True)
class Breakers:
    """The breakers of all models of this process, made when a model is first called.

    While they are not ``armed``, the process itself is not ready to call: what ends badly then says nothing about a model.
    """

    clock: Callable[[], float]
    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    armed: bool = True
    _by_model: dict[str, CircuitBreaker] = field(default_factory=dict)

    def of(self, model: str) -> CircuitBreaker:
        """Return the breaker of ``model``."""
        breaker = self._by_model.get(model)
        if breaker is None:
            breaker = self._by_model[model] = CircuitBreaker(model, self.policy, self.clock)
        return breaker

    def admit(self, model: str) -> "Permit | None":
        """Return leave for one call of ``model``, or None; see ``CircuitBreaker.admit``."""
        return self.of(model).admit() if self.armed else Permit(self.of(model), _settled=True)

    def states(self) -> dict[str, BreakerState]:
        """Return every called model's state."""
        return {model: breaker.state for model, breaker in sorted(self._by_model.items())}
