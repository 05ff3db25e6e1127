"""The port to an index of passages, and how two rankings become one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

MOST_RESULTS = 100
MOST_QUERY_CHARACTERS = 2_000  # what stands behind them is not read
# Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion outperforms Condorcet", section 3.
RANK_CONSTANT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPassage:
    """A passage that a search found. A rank counts from 1; None: the passage is not among the first of that ranking.

    ``score`` orders the results of one search and means nothing beside another search's.
    """

    passage_id: str
    document_id: str
    version: str
    title: str
    headings: tuple[str, ...]
    text: str
    score: float
    word_rank: int | None
    meaning_rank: int | None


class Search(Protocol):
    """Finds passages by words and by meaning in an index that does not change. May be called from several threads."""

    @property
    def digest(self) -> str:
        """The index's digest (``service.core.knowledge.index_digest``): what an attestation names."""

    def search(
        self, query: str, *, limit: int = 10, where: Mapping[str, str] | None = None
    ) -> tuple[FoundPassage, ...]:
        """Return at most ``limit`` passages, the best first; none for a query without a word.

        The first 2,000 characters of ``query`` are read; ``limit`` is 1 to 100. ``where``: only of documents with these metadata.

        Raises:
            KnowledgeError: the index cannot be read.
            ValueError: ``limit`` is out of range.
        """


@dataclass(frozen=True, slots=True)
class FusedRank:
    """A key with its place in each of the two rankings, and the score of both together."""

    key: int
    score: float
    word_rank: int | None
    meaning_rank: int | None


def fuse(by_words: Sequence[int], by_meaning: Sequence[int], *, constant: int = RANK_CONSTANT) -> list[FusedRank]:
    """Join two rankings of keys by the sum of their reciprocal ranks, the best first; equals in the order of their keys.

    A ranking gives its key at rank r (from 1) 1 / (constant + r).
    """
    words = {key: rank for rank, key in enumerate(by_words, 1)}
    meaning = {key: rank for rank, key in enumerate(by_meaning, 1)}
    fused = [
        FusedRank(
            key,
            sum(1 / (constant + ranks[key]) for ranks in (words, meaning) if key in ranks),
            words.get(key),
            meaning.get(key),
        )
        for key in words.keys() | meaning.keys()
    ]
    return sorted(fused, key=lambda one: (-one.score, one.key))


def readable_query(query: str) -> str:
    """Return what a search reads of ``query``: bounded, on one line, and every character one that can be written."""
    cut = query[:MOST_QUERY_CHARACTERS].encode("utf-8", "replace").decode()
    return " ".join("".join(char if char.isprintable() else " " for char in cut).split())
