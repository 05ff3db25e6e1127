"""Turns labelled claims into the numbered items that a judge answers: two sentences each, of which at most one is stated."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from eval.labels.claims.labels import ClaimRow, Dimension

MOST_ITEMS = 12  # in one question


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimItem:
    """A true statement beside one false counterpart of it; ``dimension`` says in what they differ."""

    claim: ClaimRow
    dimension: Dimension

    @property
    def statement(self) -> str:
        """The true sentence."""
        return self.claim.statement

    @property
    def contrast(self) -> str:
        """The false sentence."""
        return self.claim.contrasts[self.dimension]

    def pair(self, *, swapped: bool) -> tuple[str, str]:
        """Return the sentences as A and B.

        Which of them is A depends on the item, so that a question's true sentences do not share one letter; ``swapped`` turns
        the order round.
        """
        odd = hashlib.sha256(f"{self.claim.id}/{self.dimension}".encode()).digest()[0] % 2 == 1
        return (self.contrast, self.statement) if odd != swapped else (self.statement, self.contrast)


def items_of(rows: Sequence[ClaimRow]) -> tuple[ClaimItem, ...]:
    """Return an item per contrast: the first contrast of every row, then the second ones, and so on.

    A statement that stood in one question with several counterparts would show itself as the true one.
    """
    items = [
        (place, ClaimItem(claim=row, dimension=dimension))
        for row in rows
        for place, dimension in enumerate(row.contrasts)
    ]
    return tuple(item for _, item in sorted(items, key=lambda one: one[0]))


def batches(items: Sequence[ClaimItem]) -> list[tuple[ClaimItem, ...]]:
    """Return ``items`` in order, in the fewest questions that hold them, of nearly equal size."""
    if not items:
        return []
    count = math.ceil(len(items) / MOST_ITEMS)
    size = math.ceil(len(items) / count)
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


def items_text(batch: Sequence[ClaimItem], *, swapped: bool) -> str:
    """Return a question's items as text, numbered from 1."""
    lines = []
    for number, item in enumerate(batch, start=1):
        first, second = item.pair(swapped=swapped)
        lines.append(f"{number}.\nA: {first}\nB: {second}")
    return "\n".join(lines)
