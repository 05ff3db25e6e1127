"""Circuit breakers: what fails gets no calls for a while, then one call tries it again."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from service.kit.frame.retries import RetryPlan
from service.kit.telemetry.log import Event, log


class BreakerState(StrEnum):
    """``closed`` lets all calls through, ``open`` none, and ``half_open`` one at a time (the probe)."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


_STEADY = RetryPlan(first_s=15.0, longest_s=15.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens and for how long; times are in seconds.

    It opens after ``failures_in_a_row`` failures, which detects an outage quickly, or when ``failed_share`` of at least
    ``least_calls`` calls failed, which detects what fails every other call. A throttled call is no failure. It stays open for
    the pause of ``pauses`` after as many failed probes, and then admits a probe.
    """

    failures_in_a_row: int = 5
    failed_share: float = 0.5
    least_calls: int = 20
    window_s: float = 30.0
    pauses: RetryPlan = _STEADY


def log_change(name: str, state: BreakerState, failures: int, calls: int) -> None:
    """Log that a breaker opened after ``failures`` of the last ``calls``, or closed."""
    if state is BreakerState.OPEN:
        log(Event.BREAKER_OPENED, model=name, failures=failures, calls=calls)
    else:
        log(Event.BREAKER_CLOSED, model=name)


@dataclass(slots=True)
class CircuitBreaker:
    """One breaker; threads may share it. ``clock`` is monotonic, in seconds.

    ``tell`` hears of each change: the name, the new state, the failures and the calls that were counted.
    """

    name: str
    policy: BreakerPolicy
    clock: Callable[[], float]
    tell: Callable[[str, BreakerState, int, int], None] = log_change
    _outcomes: deque[tuple[float, bool]] = field(default_factory=deque)
    _failed: int = 0
    _in_a_row: int = 0
    _opened_at: float | None = None
    _openings: int = 0  # since it was last closed
    _answered_at: float = float("-inf")
    _probe: "Permit | None" = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def state(self) -> BreakerState:
        """The current state. An open breaker becomes half-open after its pause, without any call."""
        opened_at = self._opened_at
        if opened_at is None:
            return BreakerState.CLOSED
        paused = self.clock() - opened_at < self.policy.pauses.pause_s(self._openings)
        return BreakerState.OPEN if paused else BreakerState.HALF_OPEN

    def admit(self) -> "Permit | None":
        """Return a permit for one call, or None. The caller must report the call's outcome to the permit, or give it back."""
        with self._lock:
            match self.state:
                case BreakerState.CLOSED:
                    return Permit(self, self.clock())
                case BreakerState.HALF_OPEN if self._probe is None:
                    self._probe = Permit(self, self.clock())
                    return self._probe
        return None

    def insist(self) -> "Permit":
        """Return a permit in any state: whoever replays what waits may try at any time, and is the next probe."""
        with self._lock:
            permit = Permit(self, self.clock())
            if self._opened_at is not None:
                self._probe = permit
            return permit

    def _record(self, permit: "Permit", ok: bool, *, cut_off: bool = False) -> None:
        now = self.clock()
        if ok:
            self._answered_at = now
        if permit is self._probe:
            self._probe = None
            if ok:
                self._close()
            else:
                self._opened_at, self._openings = now, self._openings + 1
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
        self.tell(self.name, BreakerState.OPEN, self._failed, len(self._outcomes))
        self._opened_at, self._openings = self.clock(), 1
        self._reset()

    def _close(self) -> None:
        self._opened_at = None
        self._reset()
        self.tell(self.name, BreakerState.CLOSED, 0, 0)

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
        """Report that it was answered, whatever the content."""
        self._settle(True)

    def failed(self, *, cut_off: bool = False) -> None:
        """Report that there was no answer: an error, or with ``cut_off`` a call that nobody waits for any more."""
        self._settle(False, cut_off)

    def overdue(self) -> None:
        """Report that the call has run for so long that it will hardly be answered in time; an answer still settles it.

        Otherwise what hangs would be noticed only when the first deadlines strike.
        """
        if not self._settled:
            self._breaker._wait_for(self)

    def throttled(self) -> None:
        """Report that the call was refused for its rate: who refuses is alive, and the call says nothing else about it."""
        if not self._settled:
            self._settled = True
            self._breaker._reached(self)

    def give_back(self) -> None:
        """Return the permit unused: the call ended for another reason."""
        if not self._settled:
            self._settled = True
            self._breaker._give_back(self)

    def _settle(self, ok: bool, cut_off: bool = False) -> None:
        if self._settled:
            return
        self._settled = True
        with self._breaker._lock:
            if ok and self._overdue:
                self._breaker._revoke()  # it was only slow
            self._breaker._record(self, ok, cut_off=cut_off)


@dataclass(slots=True)
class Breakers:
    """The breakers of a process by name; each is created at the first call of its name.

    While ``armed`` is False the process is still starting, and failures do not count.
    """

    clock: Callable[[], float]
    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    armed: bool = True
    _by_name: dict[str, CircuitBreaker] = field(default_factory=dict)

    def of(self, name: str) -> CircuitBreaker:
        """Return the breaker of ``name``."""
        breaker = self._by_name.get(name)
        if breaker is None:
            breaker = self._by_name[name] = CircuitBreaker(name, self.policy, self.clock)
        return breaker

    def admit(self, name: str) -> "Permit | None":
        """Return a permit for one call of ``name``, or None; see ``CircuitBreaker.admit``."""
        return self.of(name).admit() if self.armed else Permit(self.of(name), self.clock(), _settled=True)

    def states(self) -> dict[str, BreakerState]:
        """Return the state of every name that has been called."""
        return {name: breaker.state for name, breaker in sorted(self._by_name.items())}
