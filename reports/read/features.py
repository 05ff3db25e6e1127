"""Figures of customers that answers were written from, as frames that can be compared between two weeks."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

FeatureFrames = Mapping[str, pd.DataFrame]
"""By feature: ``period`` (0 this week, -1 the week before), ``value`` (NaN: missing) and ``n``, how many had it."""


def kept_features(inputs: pd.DataFrame) -> FeatureFrames:
    """Return the numbers under ``features`` in kept inputs; ``inputs`` has ``period`` and ``inputs``, a JSON text."""
    return framed(
        (int(period), _features(text)) for period, text in zip(inputs["period"], inputs["inputs"], strict=True)
    )


def framed(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> FeatureFrames:
    """Return features of customers, each with its period, as frames; features that are not numbers are left out."""
    found = pd.DataFrame([{"period": period, **values} for period, values in rows])
    frames: dict[str, pd.DataFrame] = {}
    for name in (str(column) for column in found.columns if column != "period"):
        values = found[name]
        if not all(_is_number(value) for value in values.dropna()):
            continue
        counted = pd.DataFrame({"period": found["period"], "value": values.astype("float64"), "n": 1})
        frames[name] = counted.groupby(["period", "value"], dropna=False)["n"].sum().reset_index()
    return frames


def _features(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    features = found.get("features") if isinstance(found, dict) else None
    return features if isinstance(features, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
