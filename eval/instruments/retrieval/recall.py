"""Recall of a ranking of documents, per question and over a set."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from eval.instruments.retrieval.questions import LabelledQuestion
from figures.arrays import Floats
from figures.stats import Interval, mean_interval

CUTS = (5, 10)

Ranking = Callable[[str], Sequence[str]]


def recall_at(cut: int, ranked: Sequence[str], needed: frozenset[str]) -> float:
    """Return the share of ``needed`` documents among the first ``cut`` of ``ranked``."""
    return len(needed & set(ranked[:cut])) / len(needed)


def ceiling(cut: int, questions: Iterable[LabelledQuestion]) -> float:
    """Return the recall that the best ranking of all would have: a question may need more than ``cut`` documents."""
    return float(np.mean([min(cut, len(question.documents)) / len(question.documents) for question in questions]))


def recalls(questions: Sequence[LabelledQuestion], ranking: Ranking) -> Mapping[int, Floats]:
    """Return the recall at each of ``CUTS``, one figure per source of questions, in the order of the sources' names."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for question in questions:
        ranked = ranking(question.text)
        found[question.source].append([recall_at(cut, ranked, question.documents) for cut in CUTS])
    means = np.array([np.mean(found[source], axis=0) for source in sorted(found)])
    return {cut: means[:, place] for place, cut in enumerate(CUTS)}


def rate_of(values: Floats, seed: int) -> Interval:
    """Return the mean recall with its 95% interval over sources."""
    return _within(mean_interval(values, seed=seed, bounds=(0.0, 1.0)), 0.0)


def gain_of(values: Floats, others: Floats, seed: int) -> Interval:
    """Return by how much ``values`` are better than ``others`` on the same sources, with its 95% interval."""
    return _within(mean_interval(values - others, seed=seed, bounds=(-1.0, 1.0)), -1.0)


def _within(found: Interval, lowest: float) -> Interval:
    """The bootstrap's widened tails may pass what a recall can be."""
    low = None if found.low is None else max(found.low, lowest)
    high = None if found.high is None else min(found.high, 1.0)
    return Interval(value=found.value, low=low, high=high, n=found.n, method=found.method)


def first_places(documents: Iterable[str]) -> list[str]:
    """Return the documents of a ranking of passages, each where its first passage stands."""
    return list(dict.fromkeys(documents))
