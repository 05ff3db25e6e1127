"""False-discovery control over many comparisons: which ones count, and how wide the intervals of those must be."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reports.contrast import Contrast, difference, worded
from reports.samples import Sample
from reports.words import Word

FALSE_SHARE = 0.05  # of what the report calls a difference, on average at most this share is chance
Tested = tuple[Contrast, Sample, Sample]


def benjamini_hochberg(p_values: Sequence[float], share: float = FALSE_SHARE) -> list[bool]:
    """Return which hypotheses are rejected (Benjamini & Hochberg 1995); holds under the positive dependence of nested slices."""
    if not p_values:
        return []
    p = np.asarray(p_values)
    order = np.argsort(p, kind="stable")
    below = p[order] <= share * np.arange(1, len(p) + 1) / len(p)
    last = int(np.flatnonzero(below)[-1]) if below.any() else -1
    rejected = np.zeros(len(p), dtype=bool)
    rejected[order[: last + 1]] = True
    return [bool(value) for value in rejected]


def judge_family(family: Sequence[Tested], share: float = FALSE_SHARE) -> list[Contrast]:
    """Return the contrasts of one family with their words, in order.

    Those that end as worse or better also get the interval that allows for their having been picked: confidence ``1 - R q / m``
    (Benjamini & Yekutieli 2005), where R of m were rejected.
    """
    tested = [place for place, (found, _, _) in enumerate(family) if found.tested]
    rejected = dict(
        zip(tested, benjamini_hochberg([family[place][0].p or 0.0 for place in tested], share), strict=True)
    )
    confidence = 1 - share * sum(rejected.values()) / max(len(tested), 1)
    done = []
    for place, (found, ours, theirs) in enumerate(family):
        judged = replace(worded(found, significant=rejected.get(place, False)), compared=len(tested))
        if judged.word in (Word.WORSE, Word.BETTER):
            sides = ours.interval(confidence), theirs.interval(confidence)
            judged = replace(judged, adjusted=difference(found.metric, *sides))
        done.append(judged)
    return done
