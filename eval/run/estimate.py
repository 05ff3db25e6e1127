"""Estimates how long a run still takes, from the calls that have finished."""

import math
import statistics
from collections.abc import Hashable
from dataclasses import dataclass, field

# A change of speed that lasts, such as from kept replies to real calls, shows in the mean of the last calls.
_RECENT = 16
# A single stall must not be taken for the speed of everything that follows.
_CLIP_MEAN, _CLIP_RECENT = 5.0, 3.0
# A new estimate replaces the one that is counting down when it differs by this much: figures that jump tell a reader nothing.
_STEADY = 1.25
# Times on two clocks differ by so much.
_TOGETHER_S = 0.01
# After so many calls and seconds a slow run's pace is worth saying, although too few have finished for an estimate.
_ENOUGH_TO_SAY, _LONG_S = 2, 30.0
# What a call of code is assumed to take before the first has finished.
CODE_CALL_S = 0.05


@dataclass(slots=True)
class _Kind:
    parallel: int
    assumed_s: float | None
    planned: int = 0
    finished: int = 0
    first_end: float | None = None
    later: list[float] = field(default_factory=list)  # seconds of the calls that began after the first had finished
    last_wave_from: float | None = None  # since when no further call begins

    @property
    def left(self) -> int:
        return self.planned - self.finished

    @property
    def settled(self) -> list[float]:
        """The calls without the first ones, which hold what is done once; none while they are too few to tell."""
        enough = min(2 * self.parallel + 1, self.planned // 6)
        return self.later if len(self.later) >= enough else []

    @property
    def pace(self) -> float | None:
        """Seconds that one call takes of the run's time; None while it cannot be known."""
        settled = self.settled
        if not settled:
            return self.assumed_s
        recent = settled[-_RECENT:]
        ceiling = max(_CLIP_MEAN * statistics.fmean(settled), _CLIP_RECENT * _quantile(recent, 0.75))
        if len(settled) < _RECENT:
            ceiling = _CLIP_RECENT * statistics.median(settled)
        means = [statistics.fmean(min(value, ceiling) for value in values) for values in (settled, recent)]
        return max(means) / self.parallel

    def count(self, seconds: float, now: float) -> None:
        self.finished += 1
        if self.first_end is None:
            self.first_end = now
        elif now - seconds >= self.first_end - _TOGETHER_S:
            self.later.append(max(seconds, 0.0))
        if self.left <= self.parallel and self.last_wave_from is None:
            self.last_wave_from = now

    def in_flight_s(self, now: float, last: float) -> float:
        """How long the slowest call in flight still takes, judged by the calls that took longer than it has been in flight."""
        calls = self.settled or [self.assumed_s or 0.0]
        flying = min(self.left, self.parallel)
        age = max(now - (last if self.last_wave_from is None else self.last_wave_from), 0.0)
        longer = [seconds for seconds in calls if seconds > age]
        # One that takes longer than any before may well take half as long again.
        return _quantile(longer, flying / (flying + 1)) - age if longer else age / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLeft:
    """Seconds until the last planned call has finished, None while unknown; a lower bound where not ``complete``.

    ``rough``: judged by few calls, so that it may be off by a factor.
    """

    seconds: float | None
    complete: bool = True
    rough: bool = False

    def __str__(self) -> str:
        """Return the time as a person would say it: coarse, rounded up, and never zero."""
        if self.seconds is None:
            return "estimating the time left"
        if self.rough:
            return f"at this pace {_in_words(self.seconds)} left"
        about = "about" if self.complete else "more than"
        if self.seconds <= 5:
            return "a few seconds left" if self.complete else "estimating the time left"
        return f"{about} {_in_words(self.seconds)} left"


def _in_words(seconds: float) -> str:
    if seconds <= 55:
        return f"{math.ceil(seconds / 5) * 5} s"
    if seconds <= 110:
        return f"{math.ceil(seconds / 10) * 10} s"
    if seconds <= 570:
        return f"{round(seconds / 30) / 2:g} min"
    if seconds <= 5_400:
        return f"{math.ceil(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


@dataclass(slots=True)
class Estimate:
    """The time left of a run whose calls are of different kinds, such as a model's and code's.

    Times are seconds on one clock, given by the caller.
    """

    _kinds: dict[Hashable, _Kind] = field(default_factory=dict)
    _last: float | None = None
    _end: float | None = None
    _began: float = math.inf

    def plan(self, kind: Hashable, calls: int, *, parallel: int, now: float, assumed_s: float | None = None) -> None:
        """Expect ``calls`` more calls of ``kind``, of which ``parallel`` are in flight at a time.

        ``assumed_s``: what a call takes as long as nothing is known; None: say that nothing is known.
        """
        found = self._kinds.setdefault(kind, _Kind(max(parallel, 1), assumed_s))
        found.planned += calls
        found.last_wave_from = None
        self._last = now if self._last is None else self._last
        self._began = min(self._began, now)

    def finished(self, kind: Hashable, seconds: float, now: float) -> None:
        """Count one finished call of ``kind`` that took ``seconds``, retries and waiting included."""
        self._kinds[kind].count(seconds, now)
        self._last = now

    @property
    def left(self) -> int:
        """How many planned calls have not finished."""
        return sum(kind.left for kind in self._kinds.values())

    def quiet_s(self, now: float) -> float:
        """Return the seconds since a call last finished."""
        return 0.0 if self._last is None else now - self._last

    def slowest_call_s(self) -> float:
        """Return what a call of the slowest kind takes; 0 while nothing is known."""
        return max((kind.pace * kind.parallel for kind in self._kinds.values() if kind.pace is not None), default=0.0)

    def time_left(self, now: float) -> TimeLeft:
        """Return the time left; it counts down by itself until it is clearly wrong."""
        waiting = [kind for kind in self._kinds.values() if kind.left]
        known = [kind for kind in waiting if kind.pace is not None]
        if not any(kind.settled for kind in known):
            self._end = None
            return self._rough(waiting, now)
        found = self._computed(known, now)
        shown = 0.0 if self._end is None else self._end - now
        if not found / _STEADY <= shown <= found * _STEADY:
            self._end, shown = now + found, found
        return TimeLeft(seconds=shown, complete=len(known) == len(waiting))

    def _rough(self, waiting: list[_Kind], now: float) -> TimeLeft:
        """Return the time left by the few slow calls that began after the first had finished; nothing is known before them."""
        slow = [kind for kind in waiting if kind.assumed_s is None]
        calls = [(seconds, kind.parallel) for kind in slow for seconds in kind.later]
        if len(calls) < _ENOUGH_TO_SAY or now - self._began < _LONG_S:
            return TimeLeft(seconds=None)
        pace = statistics.fmean(seconds / parallel for seconds, parallel in calls)
        return TimeLeft(seconds=pace * sum(kind.left for kind in slow), rough=True)

    def _computed(self, kinds: list[_Kind], now: float) -> float:
        last = now if self._last is None else self._last
        in_flight = max(kind.in_flight_s(now, last) for kind in kinds)
        return sum(max(kind.left - kind.parallel, 0) * (kind.pace or 0.0) for kind in kinds) + max(in_flight, 0.001)


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
