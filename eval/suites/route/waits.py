"""How long customers would wait for a person: a discrete-event simulation of a day's arrivals, the most urgent first."""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Somebody who needs a person: ``at`` in minutes, ``handling`` is how long their conversation takes, in minutes."""

    at: float
    urgency: int
    handling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Waits in minutes of ``n`` customers; all zero where nobody came."""

    n: int
    mean: float
    p50: float
    p95: float

    @classmethod
    def of(cls, minutes: Sequence[float]) -> "Waits":
        """Return the figures of some waits."""
        if not minutes:
            return cls(n=0, mean=0.0, p50=0.0, p95=0.0)
        half, most = np.quantile(minutes, (0.5, 0.95))
        return cls(n=len(minutes), mean=float(np.mean(minutes)), p50=float(half), p95=float(most))


def simulated_waits(arrivals: Sequence[Arrival], places: int) -> list[float]:
    """Return each arrival's wait in minutes, in the order given; ``places`` conversations can be held at a time.

    Who waits is taken by urgency, then by time; a conversation that has begun is never interrupted.

    Raises:
        ValueError: there is no place.
    """
    if places < 1:
        raise ValueError("no agent was on duty, so nobody would ever be answered")
    waits = [0.0] * len(arrivals)
    busy_until: list[float] = []
    waiting: list[tuple[int, float, int]] = []

    def seat(now: float) -> None:
        """Give free places, as they become free until ``now``, to those who wait."""
        while waiting and (len(busy_until) < places or busy_until[0] <= now):
            _, at, number = heapq.heappop(waiting)
            start = at if len(busy_until) < places else max(at, heapq.heappop(busy_until))
            waits[number] = start - at
            heapq.heappush(busy_until, start + arrivals[number].handling)

    for number in sorted(range(len(arrivals)), key=lambda one: arrivals[one].at):
        arrival = arrivals[number]
        seat(arrival.at)
        while busy_until and not waiting and busy_until[0] <= arrival.at:
            heapq.heappop(busy_until)
        heapq.heappush(waiting, (-arrival.urgency, arrival.at, number))
        seat(arrival.at)
    seat(float("inf"))
    return waits


def handling_times(n: int, mean_minutes: float, seed: int) -> list[float]:
    """Draw how long ``n`` conversations take, exponentially distributed, as calls nearly are."""
    draws = random.Random(seed)
    return [draws.expovariate(1 / mean_minutes) for _ in range(n)]
