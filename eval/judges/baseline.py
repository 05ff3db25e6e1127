"""A baseline that reads the edited statement alone: a bag of words with logistic regression, cross-validated by case.

It knows no source and no claim. What it separates, the wording of the contrast sets gives away, so a judge must be better.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.labels.contrasts.sets import MinimalEdit
from figures.arrays import Floats
from figures.stats import RESAMPLES, Interval, percentile_interval

_FOLDS = 5
_WORD = r"(?u)\b\w+\b|[$€£%]"
_SEED = 20261122
_END = re.compile(r"[.!?][\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class WordScores:
    """For each edit, by id, the probability that it is wrong, from words alone; and how well it separates wrong from right."""

    scores: dict[str, float]
    auc: Interval


def edited_statement(edit: MinimalEdit) -> str:
    """Return the sentences of the edited text that the edit touches."""
    text, start = edit.text, edit.good.index(edit.before)
    end = start + len(edit.after)
    ends = [match.end() for match in _END.finditer(text)]
    first = max((place for place in ends if place <= start), default=0)
    last = min((place for place in ends if place >= max(end, start + 1)), default=len(text))
    return text[first:last].strip()


def word_scores(edits: Sequence[MinimalEdit]) -> WordScores | None:
    """Return out-of-fold scores of ``edits``; None where there are too few cases of a label to cross-validate."""
    wrong = np.array([edit.wrong for edit in edits], dtype=bool)
    groups = np.array([edit.case_id for edit in edits])
    if min(len(set(groups[wrong])), len(set(groups[~wrong])), len(edits)) < 2 * _FOLDS:
        return None
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline

    statements = np.array([edited_statement(edit) for edit in edits], dtype=object)
    scores = np.zeros(len(edits))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for train, test in folds.split(statements, wrong, groups):
        model = make_pipeline(
            CountVectorizer(binary=True, token_pattern=_WORD),
            LogisticRegression(class_weight="balanced", max_iter=2_000),
        )
        model.fit(statements[train], wrong[train])
        scores[test] = model.predict_proba(statements[test])[:, 1]
    by_id = {edit.id: float(score) for edit, score in zip(edits, scores, strict=True)}
    return WordScores(scores=by_id, auc=_auc(scores, wrong, groups))


def flags_at(scores: WordScores, edits: Sequence[MinimalEdit], false_alarms: float) -> dict[str, bool]:
    """Return which edits the baseline calls wrong when it objects to at most ``false_alarms`` (0 to 1) of the right ones."""
    right = np.sort([scores.scores[edit.id] for edit in edits if not edit.wrong])[::-1]
    allowed = min(int(false_alarms * len(right)), len(right) - 1)
    return {name: bool(score > right[allowed]) for name, score in scores.scores.items()}


def _auc(
    scores: Floats, wrong: np.ndarray[tuple[int], np.dtype[np.bool_]], groups: np.ndarray[tuple[int], np.dtype[np.str_]]
) -> Interval:
    """Return the area under the ROC curve with its percentile interval over cases."""
    cases, place = np.unique(groups, return_inverse=True)
    draws = np.random.default_rng(_SEED).multinomial(len(cases), np.full(len(cases), 1 / len(cases)), size=RESAMPLES)
    order = np.argsort(scores, kind="stable")
    _, tie = np.unique(scores[order], return_inverse=True)
    flags = wrong[order].astype(float)

    def area(weights: Floats) -> float:
        bad, good = weights * flags, weights * (1 - flags)
        bad_at, good_at = np.bincount(tie, bad), np.bincount(tie, good)
        below = np.cumsum(good_at) - good_at
        total = bad.sum() * good.sum()
        return float((bad_at * (below + good_at / 2)).sum() / total) if total else float("nan")

    weights = draws[:, place[order]].astype(float)
    found = np.array([area(row) for row in weights])
    return percentile_interval(area(np.ones(len(scores))), found[~np.isnan(found)], len(cases))
