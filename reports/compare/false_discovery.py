"""False-discovery control over many comparisons: which ones count, and how wide the intervals of those must be."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reports.compare.difference import Contrast, difference, worded
from reports.compare.outcomes import Word
from reports.read.metrics import HELPFUL
from reports.read.samples import Sample

FALSE_SHARE = 0.05  # of what the report calls a difference, on average at most this share is chance
FIRST_SHARE = 0.5  # of that is spent on the figure that the report is for, the helpful rate; the rest on all others
Tested = tuple[Contrast, Sample, Sample]


def benjamini_hochberg(
    p_values: Sequence[float], share: float = FALSE_SHARE, weights: Sequence[float] | None = None
) -> list[bool]:
    """Return which hypotheses are rejected (Benjamini & Hochberg 1995); holds under the positive dependence of nested slices.

    Args:
        p_values: one per hypothesis.
        share: false discoveries among the rejected, on average at most.
        weights: with mean 1, fixed before looking; p is divided by them (Genovese, Roeder & Wasserman 2006).
    """
    if not p_values:
        return []
    p = np.asarray(p_values) / (np.asarray(weights) if weights is not None else 1.0)
    order = np.argsort(p, kind="stable")
    below = p[order] <= share * np.arange(1, len(p) + 1) / len(p)
    last = int(np.flatnonzero(below)[-1]) if below.any() else -1
    rejected = np.zeros(len(p), dtype=bool)
    rejected[order[: last + 1]] = True
    return [bool(value) for value in rejected]


def family_weights(first: Sequence[bool], first_share: float = FIRST_SHARE) -> list[float]:
    """Return weights with mean 1 that give ``first_share`` of the family's budget to the hypotheses that come first."""
    m, many = len(first), sum(first)
    if many in (0, m):
        return [1.0] * m
    return [first_share * m / many if yes else (1 - first_share) * m / (m - many) for yes in first]


def judge_family(family: Sequence[Tested], share: float = FALSE_SHARE) -> list[Contrast]:
    """Return the contrasts of one family with their words, in order.

    Those that end as worse or better also get the interval that allows for their having been picked: confidence ``1 - R w q / m``
    (Benjamini & Yekutieli 2005), where R of m were rejected and w is the weight.
    """
    tested = [place for place, (found, _, _) in enumerate(family) if found.tested]
    weights = family_weights([family[place][0].metric is HELPFUL for place in tested])
    p_values = [family[place][0].p or 0.0 for place in tested]
    rejected = benjamini_hochberg(p_values, share, weights)
    levels = {
        place: 1 - min(share * sum(rejected) * weight / len(tested), share)
        for place, weight, yes in zip(tested, weights, rejected, strict=True)
        if yes
    }
    done = []
    for place, (found, ours, theirs) in enumerate(family):
        judged = replace(worded(found, significant=place in levels), compared=len(tested))
        if judged.word in (Word.WORSE, Word.BETTER):
            sides = ours.interval(levels[place]), theirs.interval(levels[place])
            judged = replace(judged, adjusted=difference(found.metric, *sides), level=1 - levels[place])
        done.append(judged)
    return done
