"""One result of ``omni verify``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditItem:
    """One checked item; ``problem`` says what is wrong and what to do, None if the item verifies."""

    name: str
    detail: str
    problem: str | None = None
