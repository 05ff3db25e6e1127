"""Finds copies: word n-grams for copied text, vectors for reworded stories (docs/decisions/0007)."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from eval.casecheck.files import CaseLine, CaseProblem
from figures.arrays import Floats
from service.core.statements.grounding.text import fold

PASSAGE_NGRAM, REFERENCE_NGRAM = 8, 4
# Measured 2026-11-21 on 300 cases, 1,623 texts: two stock IVR menus share 2 eight-word runs, no other pair more than 1.
PASSAGE_SHARED_RUNS = 3
PASSAGE_CONTAINMENT = 0.10
# No two references may share more than a quarter of their 4-grams. Independent second references of a case reach 0.21,
# references of different cases 0.08.
REFERENCE_CONTAINMENT = 0.25
IDENTICAL_FROM_CHARACTERS = 40

# Measured in decision 0007. Both bounds must be reached, because stock phrases are similar in letters alone, and two texts in
# the same foreign language are similar in meaning alone.
LETTERS_COSINE, MEANING_COSINE = 0.27, 0.64
MEANING_DIMENSIONS = 128
_WORDS_FOR_A_VECTOR = 30  # in shorter texts, a shared greeting dominates the vector
_HOLDS_DIGIT = re.compile(r"\S*\d\S*")  # a case that differs only in an amount or a date is still a copy

Grams = frozenset[tuple[str, ...]]


class SharedNgrams(NamedTuple):
    """Two texts by position, the number of distinct n-grams they share, and its share of the smaller set."""

    first: int
    second: int
    runs: int
    containment: float


def ngrams(text: str, size: int) -> Grams:
    """Return the distinct runs of ``size`` folded words in ``text``; a shorter text gives one run of all its words."""
    words = fold(text).split()
    if not words:
        return frozenset()
    return frozenset(tuple(words[at : at + size]) for at in range(max(1, len(words) - size + 1)))


def containment(first: Grams, second: Grams) -> float:
    """Return the size of the intersection over the size of the smaller set, 0 to 1; 0 when one is empty."""
    smaller = min(len(first), len(second))
    return len(first & second) / smaller if smaller else 0.0


def shared_ngrams(grams: Sequence[Grams]) -> list[SharedNgrams]:
    """Return every pair of texts that share at least one n-gram, found with an inverted index."""
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, of_text in enumerate(grams):
        for gram in of_text:
            holders[gram].append(number)
    counts: Counter[tuple[int, int]] = Counter()
    for numbers in holders.values():
        counts.update(combinations(numbers, 2))
    return [SharedNgrams(a, b, n, n / min(len(grams[a]), len(grams[b]))) for (a, b), n in sorted(counts.items())]


def copied_passages(lines: Sequence[CaseLine]) -> list[CaseProblem]:
    """Return a problem for each pair of cases with the same text, or with texts that share runs of eight words."""
    texts = [(line, passage) for line in lines for passage in line.passages]
    problems = []
    first: dict[str, int] = {}
    same: set[tuple[int, int]] = set()
    for number, (line, passage) in enumerate(texts):
        key = fold(passage.text)
        if len(key) < IDENTICAL_FROM_CHARACTERS:
            continue
        before = first.setdefault(key, number)
        other, its = texts[before]
        if other is not line:
            same.add((before, number))
            problems.append(
                line.problem(f"{passage.id} has the same text as {its.id} of {other.where}; rewrite it", also=other)
            )
    for pair in shared_ngrams([ngrams(passage.text, PASSAGE_NGRAM) for _, passage in texts]):
        (other, its), (line, passage) = texts[pair.first], texts[pair.second]
        if line is other or (pair.first, pair.second) in same:
            continue
        if pair.runs >= PASSAGE_SHARED_RUNS and pair.containment > PASSAGE_CONTAINMENT:
            problems.append(
                line.problem(
                    f"{passage.id} shares {pair.runs} runs of {PASSAGE_NGRAM} words with {its.id} of {other.where} "
                    f"({pair.containment:.0%} of the shorter); rewrite it",
                    also=other,
                )
            )
    return problems


def copied_references(lines: Sequence[CaseLine]) -> list[CaseProblem]:
    """Return a problem for each pair of references, of one case or two, that share more than a quarter of their 4-grams."""
    texts = [
        (line, number, text)
        for line in lines
        for number, text in enumerate(line.case.expectations.references, start=1)
        if len(text.split()) >= REFERENCE_NGRAM  # "No interactions found" is the right answer to every empty history
    ]
    problems = []
    for pair in shared_ngrams([ngrams(text, REFERENCE_NGRAM) for _, _, text in texts]):
        if pair.containment > REFERENCE_CONTAINMENT:
            (other, its, _), (line, number, _) = texts[pair.first], texts[pair.second]
            whose = "the same case" if other is line else other.where
            problems.append(
                line.problem(
                    f"reference {number} shares {pair.containment:.0%} of its 4-grams with reference {its} of {whose}; at "
                    f"most {REFERENCE_CONTAINMENT:.0%}: rewrite one of them",
                    also=other,
                )
            )
    return problems


def reworded_cases(lines: Sequence[CaseLine]) -> list[CaseProblem]:
    """Return a problem for each pair of cases similar in letters and in meaning: the same story with other words or names."""
    whole = [(line, "\n".join(passage.text for passage in line.passages)) for line in lines]
    whole = [(line, text) for line, text in whole if len(text.split()) >= _WORDS_FOR_A_VECTOR]
    if len(whole) < 3:
        return []
    letters, meaning = cosines([text for _, text in whole])
    near = np.triu((letters >= LETTERS_COSINE) & (meaning >= MEANING_COSINE), k=1)
    problems = []
    for first, second in np.argwhere(near).tolist():
        other, line = whole[first][0], whole[second][0]
        problems.append(
            line.problem(
                f"tells nearly the same story as {other.where} (cosine of letters {letters[first, second]:.2f}, of meaning "
                f"{meaning[first, second]:.2f}); write another",
                also=other,
            )
        )
    return problems


def cosines(texts: Sequence[str]) -> tuple[Floats, Floats]:
    """Return two matrices ``(n, n)`` of cosines between at least three ``texts``.

    The first compares TF-IDF vectors of 3 to 5 letters, the second latent semantic vectors (Deerwester et al. 1990) of
    word TF-IDF. Words that hold a digit are left out.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # a second to import, and only this command needs it

    bare = [_HOLDS_DIGIT.sub(" ", text).lower() for text in texts]
    letters = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5)).fit_transform(bare)
    try:
        # A word that occurs in one text only cannot make two texts similar.
        words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(bare)
    except ValueError:  # no word occurs in two texts
        return _products(letters), np.zeros((len(texts), len(texts)))
    # The leading eigenvectors of the texts' Gram matrix span the latent space: exact, and for a few hundred texts twenty times
    # faster than a truncated decomposition of the texts-by-words matrix.
    values, vectors = np.linalg.eigh(_products(words))
    placed = vectors[:, -MEANING_DIMENSIONS:] * np.sqrt(np.maximum(values[-MEANING_DIMENSIONS:], 0.0))
    lengths = np.linalg.norm(placed, axis=1, keepdims=True)
    placed = np.divide(placed, lengths, out=np.zeros_like(placed), where=lengths > 0)
    return _products(letters), placed @ placed.T


def _products(rows: Any) -> Floats:
    return np.asarray((rows @ rows.T).toarray())
