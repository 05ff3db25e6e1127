"""The capacity model: from traffic to tasks, units of the stores, tokens of the model, and money."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict

from service.core.unit.cards import ModelCards

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


FILE = Path(__file__).with_name("figures.yaml")


class CapacityFigure(BaseModel):
    """One figure of the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    unit: str
    kind: Literal["measured", "assumed", "required", "price", "limit"]
    source: str


def read_figures(file: Path = FILE) -> dict[str, CapacityFigure]:
    """Return the figures by name, in the file's order."""
    return {
        name: CapacityFigure.model_validate(figure)
        for name, figure in yaml.safe_load(file.read_text(encoding="utf-8")).items()
    }


DEADLINE_S = 5.0
_LEAST_SHARE = 0.99  # of answers within the deadline, also with one task lost
_HOURS, _DAYS = 730, 30.4
_SIMULATED_S = 600.0
_SEEDS = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityTask:
    """The size of one task, and how many there may be."""

    vcpu: float
    memory_gb: float
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityNeed:
    """What ``times`` the required traffic needs. ``tasks`` keep the deadline with one of them lost; None: no number up to 64."""

    times: int
    peak_a_s: float
    tasks: int | None
    steady: SimulatedLoad
    burst: SimulatedLoad
    write_units_s: float
    read_units_s: float
    tokens_a_minute: float
    requests_a_minute: float
    call_workers: int
    month_usd: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityModel:
    """Reckons with ``figures`` for answers of ``model_id`` by tasks of one size."""

    figures: dict[str, CapacityFigure]
    cards: ModelCards
    size: CapacityTask
    model_id: str = "amazon.nova-lite-v1:0"

    def need(self, times: int) -> CapacityNeed:
        """Return what so many times the required traffic needs."""
        of = self._value
        peak = times * of("summaries_a_day") * of("busiest_hour_share") * of("busiest_minute_factor") / 3600
        tasks = next((count for count in range(2, 65) if self._holds(peak, count - 1)), None)
        shown = tasks or 64
        day = times * of("summaries_a_day")
        return CapacityNeed(
            times=times,
            peak_a_s=peak,
            tasks=tasks,
            steady=self.steady(peak, shown - 1, 0),
            burst=self.burst(peak, shown - 1, 0),
            write_units_s=peak * of("write_units"),
            read_units_s=peak * of("read_units"),
            tokens_a_minute=60 * peak * (of("input_tokens") + of("reserved_output_tokens")),
            requests_a_minute=60 * peak,
            call_workers=self._call_workers(times),
            month_usd=self._month(day, shown, self._call_workers(times)),
        )

    def steady(self, rate: float, tasks: int, seed: int) -> SimulatedLoad:
        """Simulate ten minutes at a steady rate (answers a second)."""
        rng = np.random.default_rng(seed)
        return self._simulated(np.append(0.0, poisson(rate, _SIMULATED_S, rng)), tasks, rng)

    def burst(self, rate: float, tasks: int, seed: int) -> SimulatedLoad:
        """Simulate the required burst on top of the steady rate; only the burst's answers count."""
        rng = np.random.default_rng(seed)
        size, begin = int(self._value("burst")), 30.0
        arrivals = np.sort(np.concatenate([poisson(rate, 2 * begin, rng), np.full(size, begin)]))
        whole = self._simulated(arrivals, tasks, rng)
        return SimulatedLoad(waits_s=whole.waits_s[arrivals == begin], busy=whole.busy)

    def _simulated(self, arrivals: np.ndarray, tasks: int, rng: np.random.Generator) -> SimulatedLoad:
        core = self.size.vcpu * (1 - self._value("spare_cpu"))
        half_s = self._value("cpu_ms") / 2000 / core
        model = lognormal(self._value("model_p50_s"), self._value("model_p95_s"), rng)
        found = simulate(arrivals, tasks=tasks, cpu=partial(_same, half_s), model=model, rng=rng)
        return SimulatedLoad(waits_s=found.waits_s + self._value("other_s"), busy=found.busy)

    def _holds(self, rate: float, tasks: int) -> bool:
        """Return whether so many tasks keep the deadline in the steady peak and in a burst, in every seed."""
        return all(self.burst(rate, tasks, seed).within(DEADLINE_S) >= _LEAST_SHARE for seed in _SEEDS) and all(
            self.steady(rate, tasks, seed).within(DEADLINE_S) >= _LEAST_SHARE for seed in _SEEDS
        )

    def _call_workers(self, times: int) -> int:
        """Return how many workers score a day's calls within eight hours, at 70% of what they can."""
        of = self._value
        by_cpu = of("call_cpu_s") / self.size.vcpu
        seconds = max(by_cpu, (of("call_model_s") + by_cpu) / of("calls_at_once"))
        return max(2, int(np.ceil(times * of("calls_a_day") * seconds / (8 * 3600 * 0.7))))

    def _month(self, day: float, tasks: int, call_workers: int) -> dict[str, float]:
        of, month = self._value, day * _DAYS
        hour = self.size.vcpu * of("vcpu_hour_usd") + self.size.memory_gb * of("gb_hour_usd")
        prices = self.cards.get(self.model_id).prices
        assert prices is not None
        tokens = of("input_tokens") * float(prices.input) + of("output_tokens") * float(prices.output)
        units = of("write_units") * of("write_million_usd") + of("read_units") * of("read_million_usd")
        return {
            "model, nothing cached": month * tokens / 1e6,
            "tasks of the service": tasks * _HOURS * hour,
            "workers of calls": call_workers * _HOURS * hour,
            "DynamoDB": month * units / 1e6,
            "gateway": month * of("api_million_usd") / 1e6,
            "logs": month * of("log_kb") / 1e6 * of("log_gb_usd"),
        }

    def _value(self, name: str) -> float:
        return self.figures[name].value


def _same(value: float) -> float:
    return value
