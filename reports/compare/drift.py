"""Drift of inputs and summary length against the week before, by PSI and the KS distance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from figures.arrays import Floats
from reports.read.data import WeekData
from reports.read.features import FeatureFrames
from reports.read.metrics import SMALLEST
from reports.read.queries import ABSENT, DIMENSIONS, NUMBERS

# Siddiqi 2006, ch. 9: the population stability index's customary bounds.
A_LITTLE, MOVED = 0.10, 0.25
KS_MOVED = 0.10  # the two distribution functions differ by a tenth of the answers
_BINS = 10
_FLOOR = 1e-4  # smallest share of a bin, so that the index stays finite when a new value appears


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The drift of one variable, this week against the week before.

    ``chance`` is the 95th percentile of the index between two weeks of this size without drift: a lower index is no evidence.
    """

    name: str
    kind: Literal["input", "quality"]
    psi: float
    chance: float
    ks: float | None
    ks_p: float | None
    n: int
    n_before: int
    result: Literal["stable", "moved a little", "moved", "too few to say"]
    most: str  # the value whose share changed most, with both shares


def drifts(data: WeekData) -> list[Drift]:
    """Return the drift of every input that the task has, and of its outputs' length."""
    found = []
    for dimension, title in (("intent", "intents"), ("channel", "last channel"), ("client", "clients")):
        assert dimension in DIMENSIONS
        grouped = data.cube.groupby(["period", dimension])["answers"].sum()
        weeks = _week(grouped, 0), _week(grouped, -1)
        if {*weeks[0], *weeks[1]} != {ABSENT.get(dimension)}:
            found.append(_categories(title, *weeks))
    hours = data.numbers["hour"].set_index(["period", "value"])["n"]
    found.append(_categories("hour of day", _week(hours, 0), _week(hours, -1)))
    for name, title in NUMBERS.items():
        series = data.numbers[name].set_index(["period", "value"])["n"]
        kind: Literal["input", "quality"] = "quality" if name == "summary_words" else "input"
        weeks = _week(series, 0), _week(series, -1)
        if {*weeks[0], *weeks[1]} != {0.0}:
            found.append(_numbers(title, kind, *weeks))
    return [*found, *feature_drifts(data.features)]


def feature_drifts(features: FeatureFrames) -> list[Drift]:
    """Return the drift of each feature's known values, and of the share in which it is missing if that is ever so."""
    found = []
    for name, frame in features.items():
        known = frame[frame["value"].notna()].set_index(["period", "value"])["n"]
        found.append(_numbers(name, "input", _week(known, 0), _week(known, -1)))
        said = frame["value"].notna().map({True: "known", False: "missing"})
        shares = frame.groupby(["period", said])["n"].sum()
        weeks = _week(shares, 0), _week(shares, -1)
        if "missing" in {*weeks[0], *weeks[1]}:
            found.append(_categories(f"{name} known or missing", *weeks))
    return found


def _week(grouped: "pd.Series[int]", period: int) -> dict[float | str, float]:
    if period not in grouped.index.get_level_values(0):
        return {}
    rows: pd.Series[int] = grouped.xs(period)
    return {key: float(count) for key, count in rows.items()}  # type: ignore[misc]  # text, or a number


def _categories(name: str, ours: Mapping[float | str, float], theirs: Mapping[float | str, float]) -> Drift:
    keys = sorted({*ours, *theirs}, key=str)
    a, b = (np.array([side.get(key, 0.0) for key in keys]) for side in (ours, theirs))
    labels = [f"{int(key)}:00" if isinstance(key, float) else str(key) for key in keys]
    return _drift(name, "input", a, b, labels, None)


def _numbers(
    name: str, kind: Literal["input", "quality"], ours: Mapping[float | str, float], theirs: Mapping[float | str, float]
) -> Drift:
    keys = np.array(sorted({float(key) for key in (*ours, *theirs)}))
    a, b = (np.array([side.get(key, 0.0) for key in keys]) for side in (ours, theirs))
    if len(keys) == 0:
        return _drift(name, kind, a, b, [], None)
    ks = None
    if a.sum() and b.sum():
        distance = float(np.abs(np.cumsum(a) / a.sum() - np.cumsum(b) / b.sum()).max())
        # Smirnov's limit distribution; it is conservative with ties, which counts have.
        size = a.sum() * b.sum() / (a.sum() + b.sum())
        ks = distance, float(stats.kstwobign.sf(distance * np.sqrt(size)))
    # Bins are the deciles of the week before; a value that spans several deciles gets one bin.
    reference = b if b.sum() else a
    edges = np.unique(keys[np.searchsorted(np.cumsum(reference), np.arange(1, _BINS) * reference.sum() / _BINS)])
    bins = np.searchsorted(edges, keys, side="left")
    places = len(edges) + 1
    binned = [np.bincount(bins, weights=side, minlength=places).astype(np.float64) for side in (a, b)]
    bounds = [
        f"up to {_shown(edges[0])}",
        *(f"{_shown(low)} to {_shown(high)}" for low, high in pairwise(edges)),
    ]
    return _drift(name, kind, binned[0], binned[1], [*bounds, f"above {_shown(edges[-1])}"], ks)


def _shown(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else f"{number:.2f}"


def _drift(
    name: str,
    kind: Literal["input", "quality"],
    ours: Floats,
    theirs: Floats,
    labels: Sequence[str],
    ks: tuple[float, float] | None,
) -> Drift:
    n, n_before = int(ours.sum()), int(theirs.sum())
    if min(n, n_before) < SMALLEST:
        return Drift(name=name, kind=kind, psi=0.0, chance=0.0, ks=None, ks_p=None, n=n, n_before=n_before,
                     result="too few to say", most="")  # fmt: skip
    p, q = (np.maximum(side / side.sum(), _FLOOR) for side in (ours, theirs))
    psi = float(((p - q) * np.log(p / q)).sum())
    used = int(((ours > 0) | (theirs > 0)).sum())
    # Without drift the index is distributed as (1/n + 1/m) times a chi-squared with k - 1 degrees (Yurdakul 2018).
    chance = float(stats.chi2.ppf(0.95, max(used - 1, 1)) * (1 / n + 1 / n_before))
    result: Literal["stable", "moved a little", "moved"] = "stable"
    far = ks is not None and ks[0] >= KS_MOVED and ks[1] < 0.01
    if psi >= MOVED and psi > chance:
        result = "moved"
    elif (psi >= A_LITTLE and psi > chance) or far:
        result = "moved a little"
    most = int(np.argmax(np.abs(ours / n - theirs / n_before)))
    return Drift(
        name=name,
        kind=kind,
        psi=psi,
        chance=chance,
        ks=ks[0] if ks else None,
        ks_p=ks[1] if ks else None,
        n=n,
        n_before=n_before,
        result=result,
        most=f"{labels[most]}: {theirs[most] / n_before:.0%} to {ours[most] / n:.0%}",
    )
