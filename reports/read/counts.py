"""Selects samples from a week's counts, by pair, weeks and slice."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from figures.arrays import Floats
from reports.read.data import WeekData
from reports.read.metrics import MetricSet, WeeklyMetric, metrics_of
from reports.read.queries import ABSENT, COUNT_COLUMNS, DIMENSIONS, HISTORY_ORDER, SUM_COLUMNS
from reports.read.samples import Mean, Quantile, Rate, Sample

ALL = "all"  # all pairs together, as customers experience the service


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSide:
    """One side of a comparison: the answers of a pair (its digest, or ``ALL``) in the weeks ``periods`` (0 is the report's).

    ``days``: only those days of the report's week; empty for all of them.
    """

    digest: str
    periods: tuple[int, ...]
    days: tuple[int, ...] = ()

    def of(self, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Return a mask of the rows of ``frame`` that belong to this side."""
        chosen = frame["period"].isin(self.periods)
        if self.days:
            chosen &= frame["day"].isin(self.days)
        return chosen if self.digest == ALL else chosen & (frame["pair_digest"] == self.digest)


class WeekCounts:
    """Selects samples from one ``WeekData``; sums and histograms are cached."""

    def __init__(self, data: WeekData) -> None:
        self.data = data
        self._cube = data.cube.assign(unhelpful=data.cube["rated"] - data.cube["helpful"])
        self._columns = [*COUNT_COLUMNS, *SUM_COLUMNS, "unhelpful"]
        self._histograms: dict[tuple[ComparedSide, str], dict[str, tuple[Floats, Floats]]] = {}
        self._sums: dict[tuple[ComparedSide, str], dict[str, Mapping[str, float]]] = {}
        self._values: dict[str, list[str]] = {}

    @property
    def metrics(self) -> MetricSet:
        """The task's metrics."""
        return metrics_of(self.data.task)

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions that the task has, in the order of the page: a chat has no IVR intent, and a classifier no history."""
        found = [name for name in DIMENSIONS if name == "history" or set(self.values(name)) != {ABSENT.get(name)}]
        if set(self.data.numbers["interactions_considered"]["value"]) == {0.0}:
            found.remove("history")
        return tuple(found)

    def total(self, side: ComparedSide) -> Mapping[str, float]:
        """Return the sums over all answers on ``side``."""
        if (side, "") not in self._sums:
            self._sums[side, ""] = {"": _plain(self._cube.loc[side.of(self._cube), self._columns].sum())}
        return self._sums[side, ""][""]

    def by_slice(self, side: ComparedSide, dimension: str) -> dict[str, Mapping[str, float]]:
        """Return the sums by the values of ``dimension``."""
        if (side, dimension) not in self._sums:
            grouped = self._cube[side.of(self._cube)].groupby(dimension)[self._columns].sum()
            self._sums[side, dimension] = {str(value): _plain(row) for value, row in grouped.iterrows()}
        return self._sums[side, dimension]

    def without(
        self, side: ComparedSide, other: tuple[str, str], dimension: str = "", value: str = ""
    ) -> Mapping[str, float]:
        """Return the sums of a slice, or of all answers on ``side``, without the answers in ``other`` (dimension, value)."""
        cube = self._cube
        rows = side.of(cube) & (cube[other[0]] != other[1])
        if dimension:
            rows &= cube[dimension] == value
        return _plain(cube.loc[rows, self._columns].sum())

    def sample(self, metric: WeeklyMetric, side: ComparedSide) -> Sample | None:
        """Return the sample of ``metric`` on ``side``; None where no answer counts for it."""
        if metric.kind == "quantile":
            return self.latency(side, metric.quantile, primary=False)
        return sample_of(metric, self.total(side))

    def latency(self, side: ComparedSide, quantile: float, *, primary: bool) -> Quantile | None:
        """Return the latencies on ``side``; with ``primary`` only those of the primary model's new answers, as at the gate."""
        column, key = ("primary_n" if primary else "n"), (side, str(primary))
        if key not in self._histograms:
            frame = self.data.latencies
            self._histograms[key] = {"": _histogram(frame[side.of(frame)], column)}
        return _at(self._histograms[key][""], quantile)

    def slices(self, metric: WeeklyMetric, side: ComparedSide, dimension: str) -> dict[str, Sample]:
        """Return the samples of ``metric`` by the values of ``dimension``."""
        if metric.kind == "quantile":
            key = (side, dimension)
            if key not in self._histograms:
                frame = self.data.slice_latencies[dimension]
                parts = frame[side.of(frame)].groupby("slice")
                self._histograms[key] = {str(value): _histogram(part, "n") for value, part in parts}
            found: dict[str, Sample | None] = {
                value: _at(histogram, metric.quantile) for value, histogram in self._histograms[key].items()
            }
        else:
            found = {value: sample_of(metric, sums) for value, sums in self.by_slice(side, dimension).items()}
        return {value: sample for value, sample in found.items() if sample is not None}

    def latency_without(self, side: ComparedSide, other: tuple[str, str], quantile: float) -> Quantile | None:
        """Return the latencies on ``side`` without the answers in ``other`` (dimension, value), in steps of 10 ms."""
        frame = self.data.slice_latencies[other[0]]
        return _at(_histogram(frame[side.of(frame) & (frame["slice"] != other[1])], "n"), quantile)

    def values(self, dimension: str) -> list[str]:
        """Return the dimension's values of this week and the week before: history bands in order, others by number of answers."""
        if dimension not in self._values:
            recent = self._cube[self._cube["period"].isin((0, -1))]
            found = recent.groupby(dimension)["answers"].sum().sort_values(ascending=False, kind="stable")
            names = [str(name) for name in found.index]
            in_order = [name for name in HISTORY_ORDER if name in names]
            self._values[dimension] = in_order if dimension == "history" else names
        return self._values[dimension]


def sample_of(metric: WeeklyMetric, sums: Mapping[str, float]) -> Sample | None:
    """Return the sample of a rate or a mean from ``sums``; None where the denominator is 0."""
    whole = int(sums[metric.whole])
    if whole == 0:
        return None
    if metric.kind == "rate":
        return Rate(successes=int(sums[metric.part]), n=whole)
    return Mean(total=sums[metric.part], squares=sums[f"{metric.part}_squares"], n=whole)


def slice_name(dimension: str, value: str) -> str:
    """Return a slice's name: ``intent outage``, or ``4-10 interactions read`` for the history."""
    return f"{value} interactions read" if dimension == "history" else f"{dimension} {value}"


def _plain(row: "pd.Series[float]") -> Mapping[str, float]:
    return {str(name): float(value) for name, value in row.fillna(0).items()}


def _histogram(rows: pd.DataFrame, column: str) -> tuple[Floats, Floats]:
    sums = rows[rows[column] > 0].groupby("value")[column].sum().sort_index()
    return sums.index.to_numpy(np.float64), sums.to_numpy(np.float64)


def _at(histogram: tuple[Floats, Floats], quantile: float) -> Quantile | None:
    values, counts = histogram
    return Quantile(values=values, counts=counts, q=quantile) if len(values) else None
