"""A place as the eraser sees it: it finds a customer's records, and deletes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.places import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecord:
    """One record of a customer: ``at`` is where it is in its place, ``content`` what it holds (plain values, None: not text)."""

    at: str
    content: Any


class SearchedPlace(Protocol):
    """Blocking; methods raise ``ServiceError`` if the place does not answer."""

    name: str
    place: Place
    is_there: bool  # whether there was anything to search when ``find`` was called last

    def find(self, ids: CustomerIds) -> Iterator[FoundRecord]:
        """Yield the records that are a customer's."""
        ...

    def delete(self, found: Sequence[FoundRecord]) -> None:
        """Delete records that ``find`` yielded; those that are gone are ignored."""
        ...
