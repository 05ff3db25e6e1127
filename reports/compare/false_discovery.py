"""False-discovery control over many comparisons: which are significant, and how wide their intervals must be."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from reports.compare.difference import Contrast, difference, includes_zero, with_result
from reports.compare.outcomes import ComparisonResult
from reports.read.metrics import HELPFUL
from reports.read.samples import Sample

FALSE_SHARE = 0.05  # false discovery rate: the largest average share of reported differences that may be chance
FIRST_SHARE = 0.5  # share of that budget for the report's main metric, the helpful rate; the others share the rest
# Share of equal weeks in which a release or rollout may be blamed for a difference that is chance: a finding is read and can be
# wrong once in twenty, a rollback is done.
BLAME_SHARE = 0.001
Tested = tuple[Contrast, Sample, Sample]


def benjamini_hochberg(p_values: Sequence[float], share: float = FALSE_SHARE) -> list[bool]:
    """Return which hypotheses are rejected (Benjamini & Hochberg 1995); holds under the positive dependence of nested slices.

    Args:
        p_values: one per hypothesis.
        share: largest average share of false discoveries among the rejected hypotheses.
    """
    if not p_values:
        return []
    p = np.asarray(p_values)
    order = np.argsort(p, kind="stable")
    below = p[order] <= share * np.arange(1, len(p) + 1) / len(p)
    last = int(np.flatnonzero(below)[-1]) if below.any() else -1
    rejected = np.zeros(len(p), dtype=bool)
    rejected[order[: last + 1]] = True
    return [bool(value) for value in rejected]


def shares_of(metrics: Sequence[str], share: float, first_share: float = FIRST_SHARE) -> Mapping[str, float]:
    """Return the share of each of the metrics' families, which sum to ``share``; the helpful rate has ``first_share`` of it."""
    others = [name for name in metrics if name != HELPFUL.name]
    left = share * (1 - first_share) if len(others) < len(metrics) else share
    shares = {name: left / len(others) for name in others}
    if len(others) < len(metrics):
        shares[HELPFUL.name] = share - left if others else share
    return shares


def chance_of(found: Contrast, beside: Sequence[Contrast]) -> float:
    """Return an upper bound of the share of equal weeks whose report shows a contrast as unlikely as ``found``, 0 to 1.

    Weighted Bonferroni (Holm 1979), which holds however the tests depend on each other. ``beside`` are all contrasts of the same
    kind, whole pairs or slices, ``found`` among them: each kind has half of the error, so that a whole pair's difference is not
    paid for by hundreds of slices, and each metric its share of that.
    """
    if found.p is None:
        return 1.0
    metrics = [one.metric.name for one in beside if one.tested]
    share = shares_of(list(dict.fromkeys(metrics)), 0.5)[found.metric.name]
    return min(1.0, found.p * metrics.count(found.metric.name) / share)


def judge_families(
    tested: Sequence[Tested], share: float = FALSE_SHARE, baselines: Sequence[Hashable] = ()
) -> list[Contrast]:
    """Return the contrasts with their results, in order; those of one metric and baseline are a family.

    True differences of one metric, or against one baseline, thus do not ease the test of others. The families' shares sum to
    ``share``; those of one metric are in proportion to their sizes.

    Args:
        tested: the contrasts with their samples.
        share: largest average share of false discoveries.
        baselines: one per contrast; empty if all have the same one.
    """
    metrics: dict[str, dict[Hashable, list[int]]] = {}
    for place, (found, _, _) in enumerate(tested):
        baseline = baselines[place] if baselines else None
        metrics.setdefault(found.metric.name, {}).setdefault(baseline, []).append(place)
    shares = shares_of(list(metrics), share)
    done: dict[int, Contrast] = {}
    for name, families in metrics.items():
        sizes = [sum(tested[place][0].tested for place in mine) for mine in families.values()]
        for mine, size in zip(families.values(), sizes, strict=True):
            own = shares[name] * size / max(sum(sizes), 1)
            done |= zip(mine, _judged([tested[place] for place in mine], own), strict=True)
    return [done[place] for place in range(len(tested))]


def _judged(family: Sequence[Tested], share: float) -> list[Contrast]:
    """Return the contrasts of one family with their results, in order.

    The difference of worse and better ones gets the interval that allows for their selection: confidence ``1 - R q / m``
    (Benjamini & Yekutieli 2005), where R of m hypotheses were rejected and q is ``share``. Where that interval includes zero
    although the test rejects, as can happen for quantiles, the contrast counts as not significant.
    """
    tested = [place for place, (found, _, _) in enumerate(family) if found.tested]
    rejected = benjamini_hochberg([family[place][0].p or 0.0 for place in tested], share)
    level = share * sum(rejected) / len(tested) if tested else share
    significant = {place for place, yes in zip(tested, rejected, strict=True) if yes}
    done = []
    for place, (found, ours, theirs) in enumerate(family):
        judged = replace(with_result(found, significant=place in significant), compared=len(tested))
        if judged.result in (ComparisonResult.WORSE, ComparisonResult.BETTER):
            wide = difference(found.metric, ours.interval(1 - level), theirs.interval(1 - level))
            if includes_zero(wide):
                judged = replace(with_result(found, significant=False), compared=len(tested))
            else:
                judged = replace(judged, difference=wide, level=level)
        done.append(judged)
    return done
