"""False-discovery control over many comparisons: which are significant, and how wide their intervals must be."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reports.compare.difference import Contrast, difference, includes_zero, with_result
from reports.compare.outcomes import ComparisonResult
from reports.read.metrics import HELPFUL
from reports.read.samples import Sample

FALSE_SHARE = 0.05  # false discovery rate: the largest average share of reported differences that may be chance
FIRST_SHARE = 0.5  # share of that budget for the report's main metric, the helpful rate; the others share the rest
Tested = tuple[Contrast, Sample, Sample]


def benjamini_hochberg(
    p_values: Sequence[float], share: float = FALSE_SHARE, weights: Sequence[float] | None = None
) -> list[bool]:
    """Return which hypotheses are rejected (Benjamini & Hochberg 1995); holds under the positive dependence of nested slices.

    Args:
        p_values: one per hypothesis.
        share: largest average share of false discoveries among the rejected hypotheses.
        weights: with mean 1, fixed before the data are seen; p is divided by them (Genovese, Roeder & Wasserman 2006).
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
    """Return weights with mean 1 that give the hypotheses marked in ``first`` the share ``first_share`` of the budget."""
    m, many = len(first), sum(first)
    if many in (0, m):
        return [1.0] * m
    return [first_share * m / many if yes else (1 - first_share) * m / (m - many) for yes in first]


def judge_family(family: Sequence[Tested], share: float = FALSE_SHARE) -> list[Contrast]:
    """Return the contrasts of one family with their results, in order.

    Worse and better ones also get the interval that allows for their selection: confidence ``1 - R w q / m`` (Benjamini &
    Yekutieli 2005), where R of m hypotheses were rejected, w is the weight and q is ``share``. Where that interval includes zero
    although the test rejects, as can happen for quantiles, the contrast counts as not significant.
    """
    tested = [place for place, (found, _, _) in enumerate(family) if found.tested]
    weights = family_weights([family[place][0].metric.name == HELPFUL.name for place in tested])
    p_values = [family[place][0].p or 0.0 for place in tested]
    rejected = benjamini_hochberg(p_values, share, weights)
    levels = {
        place: 1 - min(share * sum(rejected) * weight / len(tested), share)
        for place, weight, yes in zip(tested, weights, rejected, strict=True)
        if yes
    }
    done = []
    for place, (found, ours, theirs) in enumerate(family):
        judged = replace(with_result(found, significant=place in levels), compared=len(tested))
        if judged.result in (ComparisonResult.WORSE, ComparisonResult.BETTER):
            sides = ours.interval(levels[place]), theirs.interval(levels[place])
            adjusted = difference(found.metric, *sides)
            if includes_zero(adjusted):
                judged = replace(with_result(found, significant=False), compared=len(tested))
            else:
                judged = replace(judged, adjusted=adjusted, level=1 - levels[place])
        done.append(judged)
    return done
