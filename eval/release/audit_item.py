"""One thing that ``omni verify`` looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditItem:
    """One thing that was checked; ``problem`` None means that it holds, and otherwise says what is wrong and what to do."""

    name: str
    detail: str
    problem: str | None = None
