"""Simulates answers that share the CPU of a few tasks and wait for a model in between.

Each task is one queue, first come, first served: an event loop on its share of a core. An answer needs the CPU twice, half of its
time before the model and half after; the model serves everybody at once. Answers are spread over the tasks at random, as a
balancer spreads connections.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DrawnTime = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLoad:
    """Seconds from arrival to answer, one for each arrival in their order, and the share of the CPU that was used."""

    waits_s: np.ndarray
    busy: float

    def percentile(self, share: float) -> float:
        """Return the ``share`` percentile (0 to 100) in seconds."""
        return float(np.percentile(self.waits_s, share))

    def within(self, seconds: float) -> float:
        """Return the share of answers that took at most so long."""
        return float(np.mean(self.waits_s <= seconds))


def simulate(
    arrivals_s: np.ndarray, *, tasks: int, cpu: DrawnTime, model: DrawnTime, rng: np.random.Generator
) -> SimulatedLoad:
    """Return how long answers take that arrive at ``arrivals_s`` (ascending); ``cpu`` draws the time of one of the two halves."""
    task_of = rng.integers(tasks, size=len(arrivals_s))
    free_at = np.zeros(tasks)
    done = np.zeros(len(arrivals_s))
    used = 0.0
    # (when it asks for the CPU, number, whether it has been to the model)
    asking = [(float(at), number, False) for number, at in enumerate(arrivals_s)]
    heapq.heapify(asking)
    while asking:
        at, number, answered = heapq.heappop(asking)
        needed = cpu()
        used += needed
        task = task_of[number]
        free_at[task] = end = max(free_at[task], at) + needed
        if answered:
            done[number] = end
        else:
            heapq.heappush(asking, (end + model(), number, True))
    spent = float(max(done.max() - arrivals_s[0], 1e-9))
    return SimulatedLoad(waits_s=done - arrivals_s, busy=used / (spent * tasks))


def poisson(rate: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return arrivals at a mean ``rate`` a second over so many seconds, ascending."""
    return np.sort(rng.uniform(0, seconds, size=rng.poisson(rate * seconds)))


def lognormal(p50_s: float, p95_s: float, rng: np.random.Generator) -> DrawnTime:
    """Return a draw of times with this median and 95th percentile."""
    sigma = np.log(p95_s / p50_s) / 1.6449
    return lambda: float(rng.lognormal(np.log(p50_s), sigma))
