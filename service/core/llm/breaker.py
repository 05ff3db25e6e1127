"""Circuit breakers, one per model: a failing model gets no calls for a while, then one request tries it again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from service.kit.telemetry.log import Event, log


class BreakerState(StrEnum):
    """``closed`` lets all calls through, ``open`` none, and ``half_open`` one at a time (the probe)."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens and for how long; times are in seconds.

    It opens after ``failures_in_a_row`` failures, which detects an outage quickly, or when ``failed_share`` of at least
    ``least_calls`` calls failed, which detects a model that fails every other call. A throttled call is no failure: how much a
    model that throttles is asked is the business of ``service.core.llm.throttling``.
    """

    failures_in_a_row: int = 5
    failed_share: float = 0.5
    least_calls: int = 20
    window_s: float = 30.0
    open_s: float = 15.0


@dataclass(slots=True)
class CircuitBreaker:
    """The breaker of one model, for use on one event loop. ``clock`` is monotonic, in seconds."""

    model: str
    policy: BreakerPolicy
    clock: Callable[[], float]
    _outcomes: deque[tuple[float, bool]] = field(default_factory=deque)
    _failed: int = 0
    _in_a_row: int = 0
    _opened_at: float | None = None
    _answered_at: float = float("-inf")
    _probe: "Permit | None" = None

    @property
    def state(self) -> BreakerState:
        """The current state. An open breaker becomes half-open after ``open_s`` seconds, without any call."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        if self.clock() - self._opened_at >= self.policy.open_s:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def admit(self) -> "Permit | None":
        """Return a permit for one call, or None. The caller must report the call's outcome to the permit, or give it back."""
        match self.state:
            case BreakerState.CLOSED:
                return Permit(self, self.clock())
            case BreakerState.HALF_OPEN if self._probe is None:
                self._probe = Permit(self, self.clock())
                return self._probe
        return None

    def _record(self, permit: "Permit", ok: bool, *, cut_off: bool = False) -> None:
        now = self.clock()
        if ok:
            self._answered_at = now
        if permit is self._probe:
            self._probe = None
            if ok:
                self._close()
            else:
                self._opened_at = now
            return
        if self._opened_at is not None:
            return  # the call started before the breaker opened: its outcome is out of date
        self._outcomes.append((now, ok))
        self._failed += not ok
        while now - self._outcomes[0][0] > self.policy.window_s:
            self._failed -= not self._outcomes.popleft()[1]
        if ok:
            self._in_a_row = 0
        elif not cut_off or self._is_silent(permit):
            self._in_a_row += 1
        calls = len(self._outcomes)
        too_many = calls >= self.policy.least_calls and self._failed >= self.policy.failed_share * calls
        if not ok and (self._in_a_row >= self.policy.failures_in_a_row or too_many):
            self._open()

    def _reached(self, permit: "Permit") -> None:
        if permit is self._probe:
            self._record(permit, True)

    def _wait_for(self, permit: "Permit") -> None:
        """Count an overdue call, unless another one was answered in the meantime."""
        if permit is self._probe or self._opened_at is not None or not self._is_silent(permit):
            return
        permit._overdue = True
        self._in_a_row += 1
        if self._in_a_row >= self.policy.failures_in_a_row:
            self._open()

    def _is_silent(self, permit: "Permit") -> bool:
        # A call that hangs while others are answered says nothing about an outage; it counts in the share only.
        return not permit._overdue and self._answered_at < permit.started

    def _revoke(self) -> None:
        """An overdue call was answered after all: a breaker that opened meanwhile was wrong."""
        if self._opened_at is not None and self._probe is None:
            self._close()

    def _open(self) -> None:
        log(Event.BREAKER_OPENED, model=self.model, failures=self._failed, calls=len(self._outcomes))
        self._opened_at = self.clock()
        self._reset()

    def _close(self) -> None:
        self._opened_at = None
        self._reset()
        log(Event.BREAKER_CLOSED, model=self.model)

    def _reset(self) -> None:
        self._outcomes.clear()
        self._failed = self._in_a_row = 0

    def _give_back(self, permit: "Permit") -> None:
        if permit is self._probe:
            self._probe = None


@dataclass(slots=True, eq=False)
class Permit:
    """Permission for one call; only the first reported outcome counts."""

    _breaker: CircuitBreaker
    started: float
    _settled: bool = False
    _overdue: bool = False

    def succeeded(self) -> None:
        """Report that the model answered, whatever the content."""
        self._settle(True)

    def failed(self, *, cut_off: bool = False) -> None:
        """Report that the model gave no answer: an error, or with ``cut_off`` a call that nobody waits for any more."""
        self._settle(False, cut_off)

    def overdue(self) -> None:
        """Report that the call has run for so long that it will hardly be answered in time; an answer still settles it.

        Otherwise a model that hangs would be noticed only when the first deadlines strike.
        """
        if not self._settled:
            self._breaker._wait_for(self)

    def throttled(self) -> None:
        """Report that the model refused the call for its rate: it is alive, and the call says nothing else about it."""
        if not self._settled:
            self._settled = True
            self._breaker._reached(self)

    def give_back(self) -> None:
        """Return the permit unused: the call ended for a reason that does not depend on the model."""
        if not self._settled:
            self._settled = True
            self._breaker._give_back(self)

    def _settle(self, ok: bool, cut_off: bool = False) -> None:
        if self._settled:
            return
        self._settled = True
        if ok and self._overdue:
            self._breaker._revoke()  # it was only slow
        self._breaker._record(self, ok, cut_off=cut_off)


@dataclass(slots=True)
class Breakers:
    """The breakers of all models of this process; each is created at the model's first call.

    While ``armed`` is False the process is still starting, and failures do not count against a model.
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
        """Return a permit for one call of ``model``, or None; see ``CircuitBreaker.admit``."""
        return self.of(model).admit() if self.armed else Permit(self.of(model), self.clock(), _settled=True)

    def states(self) -> dict[str, BreakerState]:
        """Return the state of every model that has been called."""
        return {model: breaker.state for model, breaker in sorted(self._by_model.items())}
