"""The type of a behaviour case: the request to the service, and the marks by which its answer is scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.spine.cases import Fact, Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourCase:
    """One request and its expectations: ``marks`` are scored, ``secrets`` are bare digits, ``note`` is the planted text."""

    id: str
    kind: str
    strategy: str
    inputs: Mapping[str, Any]
    marks: tuple[str, ...]
    facts: tuple[Fact, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
    leaks: tuple[Forbidden, ...] = ()
    secrets: frozenset[str] = frozenset()
    note: str = ""
    canary: str = ""
