"""What the tasks of a service remember of a rollout: the newest step that any of them saw, and which steps were stopped.

Both are kept in the shared table and, as a copy, on each task's disk. The number of a step is known from its signed envelope
only. A stop is an item of its own, which no number replaces: a task that knows of it writes it again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from service.core.release.rollout import Rollout, RolloutCandidate
from service.kit.frame.errors import StoreError
from service.kit.frame.files import write_whole
from service.kit.records.shared_state import SharedState

_KEY = "step"

SignedStep = Callable[[str], int]  # returns the number in a step's envelope; 0 if it does not verify


class StepDamaged(StoreError):
    """The item of the newest step cannot be read; ``stops`` has the stop that was found beside it, as in ``StepState``."""

    stops: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """The newest step that was seen: ``envelope`` proves its number, which ``sequence`` and ``pair`` (a digest) only repeat.

    ``stopped`` is why this step was stopped, ``at`` when, in seconds since 1970. ``stops`` has the reason of every stop that is
    known, by ``stop_key``. ``damaged``: the copy on disk cannot be read, and may have held a stop.
    """

    sequence: int = 0
    pair: str | None = None
    stopped: str | None = None
    at: float | None = None
    envelope: str | None = None
    stops: Mapping[str, str] = field(default_factory=dict)
    damaged: bool = False

    def number(self, signed: SignedStep) -> int:
        """Return the number of the newest step as far as ``signed`` proves it, else 0."""
        return 0 if self.envelope is None else signed(self.envelope)

    def stop_of(self, rollout: Rollout) -> str | None:
        """Return why this step was stopped, or None."""
        # Services that run during an update may still write a stop beside the number, and only there.
        same = self.sequence == rollout.sequence and self.pair in (None, rollout.pair_digest)
        return self.stops.get(stop_key(rollout)) or (self.stopped if same else None)


_ADAPTER = TypeAdapter(StepState)
_DAMAGED_DISK = "the rollout's state on disk was damaged"


def rollout_partition(task: str) -> str:
    """Return the partition of the shared state that holds the rollouts of ``task``."""
    return f"rollout/{task}"


def stop_key(rollout: Rollout) -> str:
    """Return the key of the item that says that this step was stopped."""
    return f"stop/{rollout.sequence:06d}/{rollout.pair_digest}"


def read_shared_step(task: str, shared: SharedState, rollout: Rollout | None = None) -> StepState:
    """Return what the tasks of the service know of the rollouts of ``task``, and of a stop of ``rollout``.

    Raises:
        StepDamaged: the item of the newest step is damaged.
        StoreError: the shared state does not answer.
    """
    partition = rollout_partition(task)
    stop = None if rollout is None else shared.get(partition, stop_key(rollout))
    stops = {} if rollout is None or stop is None else {stop_key(rollout): _reason(stop.text)}
    found = shared.get(partition, _KEY)
    try:
        return replace(StepState() if found is None else _parsed(found.text, task, shared), stops=stops)
    except StepDamaged as err:
        err.stops = stops
        raise


def read_step_on_disk(folder: Path) -> StepState:
    """Return the copy in a task's rollout folder."""
    try:
        return _ADAPTER.validate_json((folder / "state.json").read_bytes())
    except FileNotFoundError:
        return StepState()
    except (OSError, ValidationError):
        return StepState(damaged=True)


class StepMemory:
    """Keeps the state of one task's rollouts on disk and in the shared table; ``shared`` None: on disk only.

    ``newest`` is the number of the newest step that any task has seen, as of the last ``synchronize``; 0: none.
    """

    def __init__(self, task: str, folder: Path, shared: SharedState | None, signed: SignedStep) -> None:
        """Read the copy on disk; the shared table is first asked by ``synchronize``."""
        self._task, self._folder, self._shared, self._signed = task, folder, shared, signed
        self._disk = self._before = read_step_on_disk(folder)
        self._table = StepState()
        self._stops: dict[str, str] = {}
        self._heard = shared is None
        self.newest = self._disk.number(signed)
        self.disk_error: str | None = None
        self.shared_error: str | None = None

    def stop_of(self, rollout: Rollout) -> str | None:
        """Return why this step was stopped, or None."""
        return self._stops.get(stop_key(rollout))

    def knows(self, rollout: Rollout) -> bool:
        """Return whether a stop of this step would be known: a task whose disk is new has to ask the table first."""
        before = (self._before.sequence, self._before.pair)
        return self._heard or before == (rollout.sequence, rollout.pair_digest)

    def place(self) -> str:
        """Return where the newest step is remembered, for messages."""
        on_disk = str(self._folder / "state.json")
        return on_disk if self._shared is None else f"{_place(self._task, self._shared)} and {on_disk}"

    def take(self, found: RolloutCandidate) -> None:
        """Remember a verified step that is not older than the newest one."""
        if not self._heard and self._disk.damaged:
            return  # the table, which knows of any stop, has not answered yet
        if self._disk.damaged and self._shared is None:
            self._stops[stop_key(found.rollout)] = _DAMAGED_DISK
        self._keep(found)

    def stop(self, found: RolloutCandidate, reason: str, at: float) -> None:
        """Remember that this step was stopped, here and for the other tasks; ``at`` is seconds since 1970."""
        self._stops[stop_key(found.rollout)] = reason
        self._keep(found, at)

    def synchronize(self, found: RolloutCandidate | None) -> None:
        """Learn what other processes know, above all of a stop of this step, and tell them. Never raises; see the two errors."""
        on_disk = read_step_on_disk(self._folder)
        if not on_disk.damaged or self._disk.damaged:
            self._disk = on_disk
        rollout = None if found is None else found.rollout
        if self._shared is not None:
            try:
                self._table = read_shared_step(self._task, self._shared, rollout)
                self._heard, self.shared_error = True, None
            except StoreError as err:
                self.shared_error = str(err)
                if isinstance(err, StepDamaged):
                    self._table = replace(self._table, stops=err.stops)
        self.newest = max(self._disk.number(self._signed), self._table.number(self._signed))
        if found is None:
            return
        for state in (self._disk, self._table):
            if (reason := state.stop_of(found.rollout)) is not None:
                self._stops.setdefault(stop_key(found.rollout), reason)
        if self.stop_of(found.rollout) or on_disk.damaged != self._disk.damaged:
            self._keep(found)

    def _keep(self, found: RolloutCandidate, at: float | None = None) -> None:
        """Write the step and its stop, if any, where they are missing."""
        rollout, stopped = found.rollout, self.stop_of(found.rollout)
        step = StepState(
            sequence=rollout.sequence, pair=rollout.pair_digest, stopped=stopped, at=at, envelope=found.envelope
        )
        self._write(step, {**self._disk.stops, **self._stops})
        if self._shared is None:
            return
        partition, text = rollout_partition(self._task), json.dumps(asdict(step))
        try:
            if stopped and stop_key(rollout) not in self._table.stops:
                self._shared.change(partition, stop_key(rollout), lambda there: None if there else text)
            self._shared.change(partition, _KEY, lambda there: self._instead(there, step, text))
            self.shared_error = None
        except StoreError as err:
            self.shared_error = str(err)

    def _instead(self, there: str | None, step: StepState, text: str) -> str | None:
        """Return the text to write for the newest step; None: what is there does."""
        assert self._shared is not None
        known = _parsed(there, self._task, self._shared) if there else StepState()
        number = known.number(self._signed)
        told = number > step.sequence or (number == step.sequence and (bool(known.stopped) or not step.stopped))
        return None if told else text

    def _write(self, step: StepState, stops: Mapping[str, str]) -> None:
        newest = self._disk if self._disk.number(self._signed) > step.sequence else step
        state = replace(newest, at=newest.at or self._disk.at, stops=stops)
        if state == self._disk:
            return
        self._disk = state
        self.newest = max(self.newest, state.number(self._signed))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / "state.json", json.dumps(asdict(state)), durable=True)
            self.disk_error = None
        except OSError as err:
            self.disk_error = f"the rollout folder {self._folder} cannot be written ({type(err).__name__})"


def _reason(text: str | None) -> str:
    """Return the reason of a stop; an item that cannot be read is a stop all the same."""
    try:
        return _ADAPTER.validate_json(text or "").stopped or "stopped"
    except ValidationError:
        return "stopped; the reason cannot be read"


def _parsed(text: str | None, task: str, shared: SharedState) -> StepState:
    try:
        return _ADAPTER.validate_json(text or "")
    except ValidationError as err:
        raise StepDamaged(
            f"{_place(task, shared)} is damaged: delete it; the tasks write what they know again"
        ) from err


def _place(task: str, shared: SharedState) -> str:
    return shared.place(rollout_partition(task), _KEY)
