"""Chooses the pair of each request during a rollout, counts both sides, and stops a bad candidate automatically.

The workers of one machine share a folder: each writes its own counts there, adds up the counts of all, and on finding a reason to
stop writes it there for the others. Machines do not share it: each decides by its own traffic.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from service.errors import ConfigurationError, RegistryError
from service.files import write_whole
from service.release.rollout import Rollout, RolloutCandidate
from service.rollouts.live_counts import LiveCounts, Observation, RolloutSide, StopRule, reason_to_stop, summed
from service.served import PairSource, ServedPair
from service.settings import Settings
from service.telemetry.log import Event, log

_MINUTE_S = 60
# Only the last hour counts, so that many good hours do not hide a fault that begins late.
_WINDOW_MINUTES = 60
# An unreadable state file may have held a stop: the step counts as stopped until there is a new one.
_DAMAGED = {"stopped": "the rollout's state on disk was damaged"}


FetchCandidate = Callable[[], RolloutCandidate | None]


class RolloutControl:
    """One task's rollout in one process; ``folder`` is shared with the other workers, ``wall`` is seconds since 1970."""

    def __init__(
        self,
        production: PairSource,
        fetch: FetchCandidate,
        folder: Path,
        *,
        every_s: float = 5.0,
        rule: StopRule | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Read the shared state (the newest step seen, and any stop); asks the registry only after ``start``."""
        self._production, self._fetch, self._folder = production, fetch, folder
        self._every_s, self._rule, self._wall = every_s, rule or StopRule(), wall
        self._worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._candidate: RolloutCandidate | None = None
        self._error: str | None = None
        self._lock = threading.Lock()
        self._minutes: dict[int, dict[RolloutSide, LiveCounts]] = {}
        self._wake = threading.Event()
        self._stopped = False
        self._state: dict[str, Any] = self._read_state()

    def choose(self, unit: str | None) -> ServedPair:
        """Return the pair that answers ``unit``: production's for None, and whenever no rollout is running.

        Raises:
            RegistryError: there is no production pair.
        """
        production = self._production.current()
        candidate = self._running(production)
        if candidate is None or unit is None or not candidate.rollout.serves(unit):
            return production
        return candidate.served

    def shadow(self, unit: str | None) -> RolloutCandidate | None:
        """Return the candidate that should also answer ``unit`` as a shadow, or None."""
        candidate = self._running(self._production.current())
        return candidate if candidate is not None and unit is not None and candidate.rollout.shadows(unit) else None

    def observe(self, pair_digest: str, seen: Observation) -> None:
        """Count a request that the pair with this digest answered or failed to answer."""
        if (counts := self._counts(pair_digest)) is not None:
            with self._lock:
                counts.add(seen)

    def rate(self, pair_digest: str, *, helpful: bool, changed: bool = False) -> None:
        """Count an agent's feedback on an answer of the pair with this digest; ``changed``: it was the opposite before."""
        if (counts := self._counts(pair_digest)) is not None:
            with self._lock:
                counts.rate(helpful=helpful, changed=changed)

    def status(self) -> dict[str, Any]:
        """Return the rollout's state for operators: step, share, reason of a stop, and the counts of both sides."""
        candidate, stopped = self._candidate, self._state.get("stopped")
        return {
            "rollout": None if candidate is None else candidate.rollout.sequence,
            "pair": None if candidate is None else candidate.rollout.pair_name,
            "percent": 0 if candidate is None or stopped else candidate.rollout.percent,
            "stopped": stopped,
            "last_error": self._error,
            "sides": {} if candidate is None else {s: c.to_json() for s, c in self.sides(candidate.rollout).items()},
        }

    @property
    def candidate(self) -> ServedPair | None:
        """The candidate of the running or stopped rollout, or None."""
        return None if self._candidate is None else self._candidate.served

    def start(self) -> None:
        """Start checking the registry and the counts in the background."""
        threading.Thread(target=self._loop, name="rollout", daemon=True).start()

    def stop(self) -> None:
        """Stop the background checks."""
        self._stopped = True
        self._wake.set()

    def tick(self) -> None:
        """Ask the registry once, share this worker's counts, and stop the rollout if the rule says so. Never raises."""
        try:
            self._take(self._fetch())
            self._error = None
        except (RegistryError, ConfigurationError, OSError) as err:
            self._error = str(err)  # the running step continues; a step that does not verify never starts
        candidate = self._candidate
        if candidate is None:
            return
        try:
            self._share(candidate.rollout)
            self._state = self._read_state()
            if self._state.get("stopped"):
                return
            reason = reason_to_stop(self.sides(candidate.rollout), self._rule, alone=candidate.rollout.percent == 100)
            if reason is not None:
                log(
                    Event.ROLLOUT_STOPPED,
                    pair=candidate.rollout.pair_name,
                    step=candidate.rollout.sequence,
                    reason=reason,
                )
                self._write_state({"sequence": candidate.rollout.sequence, "stopped": reason, "at": self._wall()})
        except OSError as err:
            self._error = (
                f"the rollout folder {self._folder} cannot be used ({type(err).__name__}); stops are not shared"
            )

    def sides(self, rollout: Rollout) -> dict[RolloutSide, LiveCounts]:
        """Return both sides' counts of the last hour, summed over all workers that share the folder."""
        oldest = int(self._wall() // _MINUTE_S) - _WINDOW_MINUTES
        found: dict[RolloutSide, list[LiveCounts]] = {"candidate": [], "production": []}
        for path in self._folder.glob(f"counts-{rollout.sequence}-*.json"):
            try:
                for minute, sides in json.loads(path.read_text(encoding="utf-8")).items():
                    if int(minute) > oldest:
                        for side, parts in found.items():
                            parts.append(LiveCounts.from_json(sides[side]))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # an unreadable file of a worker is missing data, and missing data never stops a rollout
        return {side: summed(parts) for side, parts in found.items()}

    def _running(self, production: ServedPair) -> RolloutCandidate | None:
        candidate = self._candidate
        if candidate is None or candidate.rollout.production_digest != production.pair.digest:
            return None
        if self._state.get("stopped") or _replaced(candidate.rollout, production):
            return None
        return candidate

    def _counts(self, pair_digest: str) -> LiveCounts | None:
        candidate = self._candidate
        if candidate is None:
            return None
        rollout = candidate.rollout
        side: RolloutSide
        if pair_digest == rollout.pair_digest:
            side = "candidate"
        elif pair_digest == rollout.production_digest:
            side = "production"
        else:
            return None
        minute = int(self._wall() // _MINUTE_S)
        with self._lock:
            sides = self._minutes.setdefault(minute, {"candidate": LiveCounts(), "production": LiveCounts()})
        return sides[side]

    def _take(self, found: RolloutCandidate | None) -> None:
        if found is None:
            self._candidate = None
            return
        self._state = self._read_state()  # another worker may have seen this step, and stopped it
        if "sequence" not in self._state and self._state:
            self._write_state({"sequence": found.rollout.sequence, **self._state})
        last = int(self._state.get("sequence", 0))
        if found.rollout.sequence < last:
            raise RegistryError(
                f"the alias points at rollout step {found.rollout.sequence}, older than step {last}, which was seen before; "
                "use `omni rollout` again"
            )
        if self._candidate is None or found.rollout.sequence != self._candidate.rollout.sequence:
            with self._lock:
                self._minutes.clear()  # a new step starts with its own counts
        if found.rollout.sequence > last:
            self._write_state({"sequence": found.rollout.sequence})
            for old in self._folder.glob("counts-*.json"):
                if not old.name.startswith(f"counts-{found.rollout.sequence}-"):
                    old.unlink(missing_ok=True)
        ended = found.rollout.percent == 0 and found.rollout.shadow_percent == 0
        self._candidate = None if ended else found

    def _share(self, rollout: Rollout) -> None:
        oldest = int(self._wall() // _MINUTE_S) - _WINDOW_MINUTES
        with self._lock:
            self._minutes = {minute: sides for minute, sides in self._minutes.items() if minute > oldest}
            content = {
                str(minute): {side: counts.to_json() for side, counts in sides.items()}
                for minute, sides in self._minutes.items()
            }
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / f"counts-{rollout.sequence}-{self._worker}.json", json.dumps(content))

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads((self._folder / "state.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            return dict(_DAMAGED)
        return state if isinstance(state, dict) else dict(_DAMAGED)

    def _write_state(self, state: dict[str, Any]) -> None:
        self._state = state
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / "state.json", json.dumps(state), durable=True)
        except OSError as err:
            self._error = f"the rollout folder {self._folder} cannot be written ({type(err).__name__})"

    def _loop(self) -> None:
        while not self._stopped:
            self.tick()
            self._wake.wait(self._every_s)
            self._wake.clear()


def _replaced(rollout: Rollout, production: ServedPair) -> bool:
    """Return whether a release followed on the step: a pair that is rolled back must not come back by its old rollout.

    After promotion and rollback of the candidate, the pair in production is again the one that the step was made beside.
    """
    return bool(production.released_at) and rollout.moment < datetime.fromisoformat(production.released_at)


def build_rollouts(settings: Settings, sources: Mapping[str, PairSource]) -> dict[str, RolloutControl]:
    """Return each task's rollout control on top of its production pair source; contacts nothing."""
    from service.release.registry import (
        CandidateReader,  # imports mlflow, which tests with fakes must not load
    )

    return {
        name: RolloutControl(
            source,
            CandidateReader(name, settings),
            settings.state_dir / "rollout" / name,
            every_s=settings.registry.refresh_s,
        )
        for name, source in sources.items()
    }
