"""Counts of both sides of a rollout, which can be summed over workers, and the rule that stops a rollout.

The rule can only stop a rollout. It ignores a figure without enough answers on each side, so missing data never stops one.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RolloutSide = Literal["candidate", "production"]
RATES = ("errors", "degraded", "guarded", "unapproved", "unhelpful")
# Latencies are counted in histogram bins that grow by five per cent, from 1 ms.
_STEP = math.log(1.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One answered (or failed) request; ``cost_usd`` None for a model without prices.

    ``approved`` is what the pair's own judge or checks decided about the answer, None where nothing was up for approval.
    """

    latency_ms: float
    error: bool = False
    degraded: bool = False
    guarded: bool = False
    approved: bool | None = None
    cost_usd: float | None = None


@dataclass(slots=True)
class LiveCounts:
    """Sums over requests; ``merge`` adds the counts of another worker or minute."""

    requests: int = 0
    errors: int = 0
    degraded: int = 0
    guarded: int = 0
    judged: int = 0  # answers that the pair itself approved or refused
    unapproved: int = 0
    rated: int = 0  # answers that an agent rated as helpful or not
    unhelpful: int = 0
    priced: int = 0
    cost_usd: float = 0.0
    cost_squared: float = 0.0
    latencies: dict[int, int] = field(default_factory=dict)

    def add(self, seen: Observation) -> None:
        """Count one request."""
        self.requests += 1
        self.errors += seen.error
        self.degraded += seen.degraded
        self.guarded += seen.guarded
        self.judged += seen.approved is not None
        self.unapproved += seen.approved is False
        if seen.cost_usd is not None:
            self.priced += 1
            self.cost_usd += seen.cost_usd
            self.cost_squared += seen.cost_usd**2
        step = int(math.log(max(seen.latency_ms, 1.0)) / _STEP)
        self.latencies[step] = self.latencies.get(step, 0) + 1

    def rate(self, *, helpful: bool, changed: bool = False) -> None:
        """Count an agent's feedback on an answer; ``changed``: it was counted before with the opposite value.

        The earlier count may be in another minute or worker: then ``unhelpful`` of one part can be negative; the sum is right.
        """
        if changed:
            self.unhelpful += -1 if helpful else 1
        else:
            self.rated += 1
            self.unhelpful += not helpful

    def merge(self, other: "LiveCounts") -> None:
        """Add ``other`` to these."""
        for name in (
            "requests", "errors", "degraded", "guarded", "judged", "unapproved", "rated", "unhelpful", "priced", "cost_usd",
            "cost_squared",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for step, count in other.latencies.items():
            self.latencies[step] = self.latencies.get(step, 0) + count

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; without the counts of approvals where there are none, as tasks of an earlier version do."""
        left_out = {"latencies"} if self.judged else {"latencies", "judged", "unapproved"}
        fields = {name: getattr(self, name) for name in self.__slots__ if name not in left_out}
        return fields | {"latencies": {str(step): count for step, count in self.latencies.items()}}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "LiveCounts":
        """Rebuild counts from ``to_json``.

        Raises:
            TypeError, ValueError, KeyError, AttributeError: ``fields`` has another form.
        """
        latencies = {int(step): int(count) for step, count in fields["latencies"].items()}
        return cls(**{**fields, "latencies": latencies})


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """Stops a rollout when the whole interval of a difference to production is beyond its margin.

    ``z`` allows for repeated testing: the rule runs every few seconds. At 1.96 a pair exactly at the margins was stopped in 65 of
    150 simulated rollouts, at 3.29 in 6; an equal pair was never stopped (decision 0016). Margins are absolute differences for
    rates and factors for latency and cost.
    """

    least_requests: int = 100
    least_rated: int = 50
    z: float = 3.29
    margins: Mapping[str, float] = field(
        default_factory=lambda: {
            "errors": 0.01, "degraded": 0.03, "guarded": 0.05, "unapproved": 0.05, "unhelpful": 0.05,
        }
    )  # fmt: skip
    latency_factor: float = 1.25
    cost_factor: float = 1.5
    # Absolute bounds for a step of 100 per cent, where production answers no requests to compare with.
    alone: Mapping[str, float] = field(
        default_factory=lambda: {
            "errors": 0.05, "degraded": 0.20, "guarded": 0.20, "unapproved": 0.20, "unhelpful": 0.20,
        }
    )  # fmt: skip


def reason_to_stop(sides: Mapping[RolloutSide, LiveCounts], rule: StopRule, *, alone: bool) -> str | None:
    """Return the reason why the rollout must stop, or None. ``alone``: the candidate answers all customers."""
    candidate, production = sides["candidate"], sides["production"]
    for name in RATES:
        bad, n = _rate(candidate, name)
        least = rule.least_rated if name == "unhelpful" else rule.least_requests
        if n < least:
            continue
        low, _ = wilson(bad, n, rule.z)
        if alone:
            if low > rule.alone[name]:
                return f"{name}: {bad} of {n}, at least {low:.1%} where {rule.alone[name]:.0%} is allowed"
            continue
        bad_before, n_before = _rate(production, name)
        if n_before < least:
            continue
        before = bad_before / n_before
        _, before_high = wilson(bad_before, n_before, rule.z)
        # Newcombe (1998), method 10: the lower bound of a difference of two proportions from their Wilson intervals.
        difference = bad / n - before
        worse_by = difference - math.hypot(bad / n - low, before_high - before)
        if worse_by > rule.margins[name]:
            return (
                f"{name}: {bad} of {n} against production's {bad_before} of {n_before}, worse by at least {worse_by:.1%} "
                f"where {rule.margins[name]:.0%} is allowed"
            )
    if alone or min(candidate.requests, production.requests) < rule.least_requests:
        return None
    low_ms, _ = p95(candidate, rule.z)
    _, high_ms = p95(production, rule.z)
    if low_ms > high_ms * rule.latency_factor:
        return f"latency: p95 at least {low_ms:.0f} ms, production's at most {high_ms:.0f} ms"
    low_usd, _ = mean_cost(candidate, rule.z)
    _, high_usd = mean_cost(production, rule.z)
    if min(candidate.priced, production.priced) >= rule.least_requests and low_usd > high_usd * rule.cost_factor:
        return f"cost: at least {low_usd:.6f} USD a request, production's at most {high_usd:.6f}"
    return None


def _rate(counts: LiveCounts, name: str) -> tuple[int, int]:
    # Feedback that changed after its first count left the window can push the sum out of its range, and so can whoever writes
    # counts into the shared table.
    n = {"unhelpful": counts.rated, "unapproved": counts.judged}.get(name, counts.requests)
    return min(max(getattr(counts, name), 0), n), n


def wilson(bad: int, n: int, z: float) -> tuple[float, float]:
    """Return Wilson's score interval (1927) of a proportion, ``n`` above zero; rates from 0 to 1."""
    p, square = bad / n, z * z
    middle = (p + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(p * (1 - p) / n + square / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def p95(counts: LiveCounts, z: float) -> tuple[float, float]:
    """Return an interval of the 95th percentile in ms: order statistics, normal approximation, rounded to histogram bins.

    A rank beyond the sample gives an infinite upper bound.
    """
    n = counts.requests
    half = z * math.sqrt(n * 0.95 * 0.05)
    return _at_rank(counts, max(0.95 * n - half, 1.0), upper=False), _at_rank(counts, 0.95 * n + half, upper=True)


def _at_rank(counts: LiveCounts, rank: float, *, upper: bool) -> float:
    seen = 0
    for step in sorted(counts.latencies):
        seen += counts.latencies[step]
        if seen >= rank:
            return math.exp(_STEP * (step + upper))
    return math.inf


def mean_cost(counts: LiveCounts, z: float) -> tuple[float, float]:
    """Return an interval of the mean cost in USD of a priced request; (0, inf) for fewer than two."""
    n = counts.priced
    if n < 2:
        return 0.0, math.inf
    mean = counts.cost_usd / n
    variance = max(counts.cost_squared / n - mean**2, 0.0) * n / (n - 1)
    half = z * math.sqrt(variance / n)
    return mean - half, mean + half


def summed(parts: Iterable[LiveCounts]) -> LiveCounts:
    """Return the counts of all ``parts`` together."""
    total = LiveCounts()
    for part in parts:
        total.merge(part)
    return total
