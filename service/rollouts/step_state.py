"""What the tasks of a service remember of a rollout: the newest step that any of them saw, and whether it was stopped.

It is kept in the shared table and, as a copy, on each task's disk. A step that is newer always wins; a stop of the same step
is never taken back.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from service.kit.frame.errors import StoreError
from service.kit.frame.files import write_whole
from service.kit.records.shared_state import SharedState

_KEY = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """``stopped`` is the reason, ``at`` its time in seconds since 1970. Sequence 0: no step was seen yet.

    ``pair`` is the digest of the step's candidate; states that were written before it was kept have None.
    """

    sequence: int = 0
    pair: str | None = None
    stopped: str | None = None
    at: float | None = None

    def merged(self, other: "StepState") -> "StepState":
        """Return what both together know."""
        if self.sequence != other.sequence:
            return max(self, other, key=lambda state: state.sequence)
        return self if self.stopped or not other.stopped else other


_ADAPTER = TypeAdapter(StepState)
# An unreadable state may have held a stop: the step counts as stopped until there is a new one.
_DAMAGED_DISK = StepState(stopped="the rollout's state on disk was damaged")


def rollout_partition(task: str) -> str:
    """Return the partition of the shared state that holds the rollouts of ``task``."""
    return f"rollout/{task}"


def read_shared_step(task: str, shared: SharedState) -> StepState:
    """Return what the tasks of the service know of the rollouts of ``task``.

    Raises:
        StoreError: the shared state does not answer, or the item is damaged.
    """
    found = shared.get(rollout_partition(task), _KEY)
    return StepState() if found is None else _parsed(found.text, task, shared)


def read_step_on_disk(folder: Path) -> StepState:
    """Return the copy in a task's rollout folder; a damaged one counts as stopped, until a shared table says what is known."""
    try:
        return _ADAPTER.validate_json((folder / "state.json").read_bytes())
    except FileNotFoundError:
        return StepState()
    except (OSError, ValidationError):
        return _DAMAGED_DISK


class StepMemory:
    """Keeps the state of one task's rollouts on disk and in the shared table; ``shared`` None: on disk only."""

    def __init__(self, task: str, folder: Path, shared: SharedState | None) -> None:
        """Read the copy on disk; the shared table is first asked by ``synchronize``."""
        self._task, self._folder, self._shared = task, folder, shared
        self.present = self._on_disk()
        self.disk_error: str | None = None
        self.shared_error: str | None = None
        self._heard = shared is None
        self._from_disk = self.present.sequence

    def knows(self, sequence: int) -> bool:
        """Return whether a stop of step ``sequence`` would be known: a task whose disk is new has to ask the table first."""
        return self._heard or self._from_disk == sequence

    @property
    def in_doubt(self) -> bool:
        """Whether the copy on disk is damaged and the table, which knows of any stop, has not answered yet."""
        return not self._heard and self.present == _DAMAGED_DISK

    def place(self) -> str:
        """Return where the newest step is remembered, for messages."""
        on_disk = str(self._folder / "state.json")
        return on_disk if self._shared is None else f"{on_disk} and {_place(self._task, self._shared)}"

    def remember(self, state: StepState) -> None:
        """Add ``state`` to what is known, here and for the other tasks."""
        self._keep(self.present.merged(state))
        self.synchronize()

    def synchronize(self) -> None:
        """Learn what other processes know, and tell them what this one knows. Never raises; see the two errors."""
        on_disk = self._on_disk()
        damaged = on_disk == _DAMAGED_DISK
        known = self.present if damaged else self.present.merged(on_disk)
        if self._shared is not None:
            try:
                # A state without a step is the damage of one disk: it is told to nobody, and the table's answer mends it.
                told = known if known.sequence else StepState()
                text = self._shared.change(rollout_partition(self._task), _KEY, self._addition_to(told))
                shared = _parsed(text, self._task, self._shared) if text else StepState()
                known = told.merged(shared) if shared.sequence else told
                self._heard, self.shared_error = True, None
            except StoreError as err:
                self.shared_error = str(err)
        self._keep(known)

    def _addition_to(self, known: StepState) -> Callable[[str | None], str | None]:
        def decide(text: str | None) -> str | None:
            assert self._shared is not None
            there = _parsed(text, self._task, self._shared) if text else StepState()
            both = there.merged(known)
            return None if both == there else json.dumps(asdict(both))

        return decide

    def _keep(self, state: StepState) -> None:
        self.present = state
        if state.sequence == 0 or state == self._on_disk():
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / "state.json", json.dumps(asdict(state)), durable=True)
            self.disk_error = None
        except OSError as err:
            self.disk_error = f"the rollout folder {self._folder} cannot be written ({type(err).__name__})"

    def _on_disk(self) -> StepState:
        return read_step_on_disk(self._folder)


def _parsed(text: str | None, task: str, shared: SharedState) -> StepState:
    try:
        return _ADAPTER.validate_json(text or "")
    except ValidationError as err:
        raise StoreError(f"{_place(task, shared)} is damaged: delete it; the tasks write what they know again") from err


def _place(task: str, shared: SharedState) -> str:
    return shared.place(rollout_partition(task), _KEY)
