"""The type of a behaviour case: what is sent to the service, and which marks its answer is held to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.cases import Fact, Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourCase:
    """One request and what is expected: ``marks`` are scored, ``secrets`` are bare digits, ``note`` is what was planted."""

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
