"""The port of what looks for personal details that patterns miss: Presidio on this machine, Amazon Comprehend in AWS."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.core.redaction.entities import EntitySpan
from service.core.redaction.free_text import RedactionFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedText:
    """A text that the patterns have been over; ``asked`` is what it answers in a dialogue, or ""."""

    text: str
    asked: str = ""


class FinderBroken(RedactionFailed):
    """The finder itself does not work: no text can be looked at, whatever it holds."""


class EntityFinder(Protocol):
    """Looks for personal details. Blocking; may be used by several threads."""

    @property
    def by(self) -> str:
        """Name and version, for the records of what was redacted."""

    @property
    def languages(self) -> frozenset[str]:
        """The languages that it reads, as "en"."""

    def find(self, passages: Sequence[AskedText]) -> list[list[EntitySpan]]:
        """Return the details of each passage, in their order.

        Raises:
            RedactionFailed: a passage could not be looked at to its end; nothing is known about any of them.
            FinderBroken: none can be.
            StoreError: a remote finder does not answer; try again later.
        """
