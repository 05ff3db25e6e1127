"""Sums up the scores of a bulk evaluation: each score's mean over the items that have it, with its interval."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eval.backfill.journal import rows_of
from figures.stats import mean_interval


def score_lines(folder: Path) -> Iterator[str]:
    """Yield a line per score: mean, 95% interval, the number of items that have it, and of those that could not be scored."""
    values: dict[str, list[float]] = defaultdict(list)
    unscored: dict[str, int] = defaultdict(int)
    for line in rows_of(folder):
        for name, value in json.loads(line)["scores"].items():
            if value is None:
                unscored[name] += 1
            else:
                values[name].append(value)
    for name in sorted(values.keys() | unscored.keys()):
        if not values[name]:
            yield f"{name}: unscored in all {unscored[name]} items"
            continue
        interval = mean_interval(np.asarray(values[name]), seed=0)
        ends = "" if interval.low is None or interval.high is None else f" [{interval.low:.3f}, {interval.high:.3f}]"
        without = f", {unscored[name]} unscored" if unscored[name] else ""
        yield f"{name}: {interval.value:.3f}{ends}, n = {interval.n}{without}"
