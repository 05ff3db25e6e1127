"""What keeps the schedule's state: records that change by compare-and-set, and objects by name."""

from dataclasses import dataclass
from typing import Literal, Protocol

RecordKind = Literal["run", "delivery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """One record: ``body`` is JSON, ``version`` grows with each write."""

    body: str
    version: int


class Records(Protocol):
    """Records by kind and name, shared by every process that opens the same place. Blocking."""

    def read(self, kind: RecordKind, name: str) -> KeptRecord | None:
        """Return the record as last written, or None."""

    def write(self, kind: RecordKind, name: str, body: str, *, replaces: KeptRecord | None) -> bool:
        """Write the record if it is still ``replaces`` (None: if there is none); return whether it was written."""

    def all(self, kind: RecordKind) -> dict[str, KeptRecord]:
        """Return all records of ``kind`` by name, in the order of their names; what is no record has an empty body."""

    def place(self, kind: RecordKind, name: str) -> str:
        """Return where the record stands, for messages that tell somebody to delete it."""


class Objects(Protocol):
    """Contents by name, of up to some megabytes. Blocking."""

    def put(self, name: str, content: bytes) -> None:
        """Write or replace the content whole."""

    def get(self, name: str) -> bytes | None:
        """Return the content, or None."""

    def delete(self, name: str) -> None:
        """Delete the content if it exists."""
