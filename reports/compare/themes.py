"""Themes of unhelpful feedback: clusters of agents' comments and of the words that they added to summaries."""

import difflib
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from figures.arrays import Floats
from reports.read.counts import slice_name
from reports.read.data import MOST_WORDS, WeekData
from reports.read.queries import DIMENSIONS
from reports.read.samples import Rate
from service.kit.frame.display.inert import one_line

MOST_THEMES = 6
SMALLEST_THEME = 5
GROWN = 3.0  # a theme has grown when its share is this many times that of the week before
LEAST_TEXTS = 12  # with fewer texts there is no clustering
_TERMS, _EXAMPLES, _IDS = 4, 2, 5
_LONGEST_EXAMPLE = 220
Which = NDArray[np.bool_]
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """A group of answers with similar feedback. ``before`` counts the same theme in the week before.

    ``grown``: its share is at least three times that of the week before, beyond chance. ``mostly`` names a slice that holds a far
    larger share of the theme than of the other texts, "" if there is none.
    """

    terms: tuple[str, ...]
    size: int
    share: float
    before: int
    grown: bool
    mostly: str
    dimension: str
    value: str
    examples: tuple[str, ...]
    request_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Themes:
    """All themes, largest first. ``texts`` counts the answers with a comment or an edit, ``left`` those in no theme.

    ``capped``: only the newest ``MOST_WORDS`` of the week were read.
    """

    themes: tuple[Theme, ...]
    texts: int
    left: int
    capped: bool


def themes(data: WeekData, *, seed: int = 0) -> Themes:
    """Return the themes of the week's unhelpful or edited answers.

    TF-IDF over single words and word pairs of comments and added words; k-means with the number of clusters that has the best
    silhouette. The texts were redacted when they were loaded.
    """
    frame = data.words.drop_duplicates("request_id")
    texts = [_said(*row) for row in _words(frame)]
    kept = [place for place, text in enumerate(texts) if _WORD.search(text)]
    frame, texts = frame.iloc[kept].reset_index(drop=True), [texts[place] for place in kept]
    ours = frame["period"].to_numpy() == 0
    n = int(ours.sum())
    capped = int((data.words["period"] == 0).sum()) >= MOST_WORDS
    if n == 0:
        return Themes(themes=(), texts=0, left=0, capped=capped)
    if n < LEAST_TEXTS:
        return Themes(themes=(), texts=n, left=n, capped=capped)
    labels, terms = _clusters(texts, ours, seed)
    found = [
        _theme(frame, labels == label, ours, terms[label], n)
        for label in range(len(terms))
        if int(((labels == label) & ours).sum()) >= SMALLEST_THEME
    ]
    found.sort(key=lambda theme: (-theme.size, theme.terms))
    return Themes(themes=tuple(found), texts=n, left=n - sum(theme.size for theme in found), capped=capped)


def _words(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return comment, edited text and shown text of each row, "" for what is missing."""
    columns = ([_text(value) for value in frame[name]] for name in ("comment", "edited_summary", "summary_text"))
    return list(zip(*columns, strict=True))


def _said(comment: str, edited: str, shown: str) -> str:
    """Return the comment and the words that an edit added; removed words say little about the reason and are left out."""
    if not edited:
        return comment
    added, _ = changed_words(shown, edited)
    return f"{comment} {' '.join(added)}".strip()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""  # a missing text is None or NaN, depending on the engine


def changed_words(shown: str, edited: str) -> tuple[list[str], list[str]]:
    """Return the words that an edit added and those that it removed, in order."""
    before, after = shown.split(), edited.split()
    added, removed = [], []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            removed += before[i1:i2]
            added += after[j1:j2]
    return added, removed


def _clusters(texts: list[str], ours: Which, seed: int) -> tuple[NDArray[np.intp], list[list[str]]]:
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import silhouette_score

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=2,
        stop_words="english",
        sublinear_tf=True,
        token_pattern=r"(?u)\b[^\W\d_]{3,}\b",  # noqa: S106 - a pattern
        max_features=5_000,
    )
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError:  # only stop words, or no word twice
        return np.full(len(texts), -1), []
    empty = np.asarray(matrix.sum(axis=1)).ravel() == 0
    train = matrix[ours & ~empty]
    distinct = len({row.tobytes() for row in np.round(train[:500].toarray(), 6)})
    best: tuple[float, KMeans] | None = None
    for k in range(2, min(MOST_THEMES, distinct) + 1):
        model = KMeans(n_clusters=k, n_init=4, random_state=seed).fit(train)
        score = -1.0
        if 1 < len(set(model.labels_)) < train.shape[0]:
            few = min(1_000, train.shape[0])
            score = float(silhouette_score(train, model.labels_, sample_size=few, random_state=seed))
        if best is None or score > best[0] + 1e-9:
            best = score, model
    if best is None:
        best = 0.0, KMeans(n_clusters=1, n_init=1, random_state=seed).fit(train)
    labels = best[1].predict(matrix)
    labels[empty] = -1
    names = vectorizer.get_feature_names_out()
    corpus = "\n".join(" ".join(_WORD.findall(text.lower())) for text in texts)
    return labels, [_top_terms(centre, names, corpus) for centre in best[1].cluster_centers_]


def _top_terms(centre: Floats, names: NDArray[np.object_], corpus: str) -> list[str]:
    """Return the strongest terms that occur literally in ``corpus``; a term that shares a word with a stronger one is skipped."""
    chosen: list[str] = []
    for place in np.argsort(-centre):
        term = str(names[place])
        if centre[place] <= 0 or len(chosen) == _TERMS:
            break
        if term in corpus and not any(set(term.split()) & set(other.split()) for other in chosen):
            chosen.append(term)
    return chosen


def _theme(
    frame: pd.DataFrame,
    inside: Which,
    ours: Which,
    terms: list[str],
    n: int,
) -> Theme:
    mine = frame[inside & ours]
    size, before, n_before = len(mine), int((inside & ~ours).sum()), int((~ours).sum())
    dimension, value = _mostly(mine, frame[ours & ~inside])
    examples = [text for text, _ in Counter(_example(*row) for row in _words(mine)).most_common(_EXAMPLES)]
    return Theme(
        terms=tuple(terms),
        size=size,
        share=size / n,
        before=before,
        grown=n_before >= LEAST_TEXTS
        and size / n >= GROWN * before / n_before
        and Rate(successes=size, n=n).p_value(Rate(successes=before, n=n_before)) < 0.01,
        mostly=f"{slice_name(dimension, value)} ({(mine[dimension] == value).mean():.0%} of them)" if dimension else "",
        dimension=dimension,
        value=value,
        examples=tuple(examples),
        request_ids=tuple(str(name) for name in mine["request_id"].iloc[:_IDS]),
    )


def _mostly(mine: pd.DataFrame, others: pd.DataFrame) -> tuple[str, str]:
    best: tuple[float, str, str] = (0.0, "", "")
    for dimension in DIMENSIONS:
        for value, count in mine[dimension].value_counts().items():
            share = float(count) / len(mine)
            rest = float((others[dimension] == value).mean()) if len(others) else 0.0
            if share >= 0.5 and share >= 2 * rest and share - rest > best[0]:
                best = share - rest, dimension, str(value)
    return best[1], best[2]


def _example(comment: str, edited: str, shown: str) -> str:
    text = f"“{comment}”" if comment else ""
    if edited:
        added, removed = changed_words(shown, edited)
        if added:
            text += f" added “{' '.join(added)}”"
        if removed:
            text += f" removed “{' '.join(removed)}”"
    return one_line(text, _LONGEST_EXAMPLE)
