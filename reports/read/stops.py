"""Reads from the table that all tasks of a service share which rollouts stopped by themselves, when, and why."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedState, open_shared_state
from service.kit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStop:
    """A step of a rollout that stopped by itself; ``at`` is None where the item does not say when."""

    sequence: int
    pair_digest: str
    reason: str
    at: datetime | None


def stops_of(task: str, shared: SharedState) -> tuple[RolloutStop, ...]:
    """Return every stop that the table knows of, the oldest step first.

    Raises:
        StoreError: the table does not answer.
    """
    found = []
    for item in shared.items(
        f"rollout/{task}", first="stop/", last="stop/~"
    ):  # service/rollouts/step_state.py writes them
        _, sequence, digest = item.key.split("/", 2)
        try:
            written = json.loads(item.text or "{}")
        except ValueError:
            written = {}
        at = written.get("at")
        found.append(
            RolloutStop(
                sequence=int(sequence),
                pair_digest=digest,
                reason=str(written.get("stopped") or "the reason cannot be read"),
                at=datetime.fromtimestamp(float(at), UTC) if isinstance(at, int | float) else None,
            )
        )
    return tuple(found)


def read_stops(settings: Settings, tasks: Sequence[str]) -> dict[str, tuple[RolloutStop, ...]]:
    """Return the stops by task; a task is missing where the table does not answer, or there is none."""
    shared = open_shared_state(settings)
    found = dict[str, tuple[RolloutStop, ...]]()
    for task in tasks if shared is not None else ():
        assert shared is not None
        try:
            found[task] = stops_of(task, shared)
        except StoreError:
            return found
    return found
