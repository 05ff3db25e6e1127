"""States of the alarms in infra/observability.yaml, worked out from the service's own EMF lines by CloudWatch's rules.

The local AWS evaluates no expression, dimension or missing data, so it cannot try these alarms. Rules:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html. Where ``missing`` is ``breaches``, a
period without data is one beyond the bound; AWS first looks up to a few periods further back, so its alarm comes that much later.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Datapoints:
    """Values of each series with the second at which they were written."""

    environment: str = "aws"
    of: dict[Series, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def read(self, lines: Iterable[str]) -> None:
        """Add the values of EMF lines, under each of their sets of dimensions."""
        for line in map(json.loads, lines):
            for directive in line["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    where = frozenset((name, line[name]) for name in names)
                    for metric in directive["Metrics"]:
                        found = line[metric["Name"]]
                        values = found if isinstance(found, list) else [found]
                        self.add(metric["Name"], where, line["_aws"]["Timestamp"] / 1000, values)

    def add(self, metric: str, where: frozenset[tuple[str, str]], at_s: float, values: Iterable[float]) -> None:
        """Add values of a series that AWS itself writes."""
        series = self.of[metric, where]
        is_late = bool(series) and series[-1][0] > at_s
        series += [(at_s, value) for value in values]
        if is_late:
            series.sort()

    def statistic(self, name: str, series: Series, start_s: float, end_s: float) -> float | None:
        """Return a statistic over [start, end); None without data."""
        found = self.of.get(series, [])
        begin, end = bisect_left(found, (start_s,)), bisect_left(found, (end_s,))
        values = [value for _, value in found[begin:end]]
        if not values:
            return None
        if name.startswith("p"):
            return float(np.percentile(values, float(name[1:])))
        return float(getattr(np, {"Sum": "sum", "Average": "mean", "Minimum": "min", "Maximum": "max"}[name])(values))


def rung(alarms: Sequence[Mapping[str, Any]], data: Datapoints, start_s: float, end_s: float) -> list[str]:
    """Return the names of the alarms that were in ALARM at any whole period from ``start_s`` to the one after ``end_s``.

    Silence rings none: not everything runs where this is asked.
    """
    found = []
    for alarm in [{**alarm, "missing": "fine"} for alarm in alarms]:
        period = int(alarm["period_s"])
        moments = range(int(start_s), int(end_s) + 2 * period, period)
        if any(state(alarm, data, moment) == "ALARM" for moment in moments):
            found.append(str(alarm["name"]))
    return found


def state(alarm: Mapping[str, Any], data: Datapoints, now_s: float) -> str:
    """Return ``ALARM`` if each of the alarm's last whole periods breaches, else ``OK``."""
    period = int(alarm["period_s"])
    last = now_s - now_s % period
    starts = [last - period * (number + 1) for number in range(int(alarm.get("periods", 1)))]
    return "ALARM" if all(_breaches(alarm, data, start, start + period) for start in starts) else "OK"


def _breaches(alarm: Mapping[str, Any], data: Datapoints, start_s: float, end_s: float) -> bool:
    value = _value(alarm, data, start_s, end_s)
    if value is None:
        return alarm.get("missing") == "breaches"
    return value < float(alarm["below"]) if "below" in alarm else value > float(alarm["above"])


def _value(alarm: Mapping[str, Any], data: Datapoints, start_s: float, end_s: float) -> float | None:
    """Return the figure that is compared; None without data. A ratio of too few is 0."""
    own = frozenset(alarm.get("where", {}).items())

    def figure(statistic: str, metric: str, labels: frozenset[tuple[str, str]] = frozenset()) -> float | None:
        shared = frozenset() if ":" in metric else frozenset({("environment", data.environment)})
        return data.statistic(statistic, (metric, shared | labels), start_s, end_s)

    parts = [figure(str(alarm["statistic"]), name, own) for name in (alarm["metric"], *alarm.get("plus", ()))]
    known = [part for part in parts if part is not None]
    value = sum(known) if known else None
    over, least = alarm.get("over", []), alarm.get("minimum")
    if over or least is not None:
        found = [figure("Sum", name) for name in over or ["Requests"]]
        counts = [count for count in found if count is not None]
        if not counts:
            return None
        if least is not None and sum(counts) < least:
            return 0.0
        if over:
            value = (value or 0.0) / sum(counts)
    return value
