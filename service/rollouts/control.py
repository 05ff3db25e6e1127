"""Chooses the pair of each request during a rollout, counts both sides, and stops a bad candidate automatically.

All tasks of a service share counts, the newest step seen and a stop, in the shared table
(``service.kit.records.shared_state``). A task that cannot reach it goes on with what it knows and adds its counts later.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from service.core.release.ledger_copy import signed_step
from service.core.release.rollout import Rollout, RolloutCandidate
from service.core.release.served import PairSource, ServedPair
from service.core.unit.pair import Pair
from service.kit.frame.errors import ConfigurationError, RegistryError, ToolsDiffer
from service.kit.records.shared_state import SharedState
from service.kit.records.shared_watch import SharedWatch
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log
from service.rollouts.live_counts import LiveCounts, Observation, RolloutSide, StopRule, reason_to_stop
from service.rollouts.shared_counts import SharedCounts
from service.rollouts.step_state import SignedStep, StepMemory, rollout_partition

# How often a running rollout's counts are sent to the other tasks and judged.
_SHARE_EVERY_S = 2.0


FetchCandidate = Callable[[], RolloutCandidate | None]


class RolloutControl:
    """One task's rollout in one process; ``folder`` belongs to all processes of this disk, ``wall`` is seconds since 1970."""

    def __init__(
        self,
        task: str,
        production: PairSource,
        fetch: FetchCandidate,
        folder: Path,
        *,
        signed: SignedStep,
        shared: SharedState | None = None,
        every_s: float = 5.0,
        rule: StopRule | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Read the copy on disk (the newest step seen, and any stop); asks registry and table only after ``start``.

        ``signed`` says which numbers of steps, found on disk or in the table, are of this task and stage.
        """
        self._production, self._fetch, self._folder = production, fetch, folder
        self._every_s, self._rule, self._wall = every_s, rule or StopRule(), wall
        self._memory = StepMemory(task, folder, shared, signed)
        writer = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._counts = SharedCounts(rollout_partition(task), folder, shared, writer=writer, wall=wall)
        self._candidate: RolloutCandidate | None = None
        self._error: str | None = None
        self._wake = threading.Event()
        self._stopped = False

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
        if (side := self._side(pair_digest)) is not None:
            self._counts.count(side, lambda counts: counts.add(seen))

    def rate(self, pair_digest: str, *, helpful: bool, changed: bool = False) -> None:
        """Count an agent's feedback on an answer of the pair with this digest; ``changed``: it was the opposite before."""
        if (side := self._side(pair_digest)) is not None:
            self._counts.count(side, lambda counts: counts.rate(helpful=helpful, changed=changed))

    def status(self) -> dict[str, Any]:
        """Return the rollout's state for operators: step, share, reason of a stop, and the counts of both sides.

        ``shared_error`` says why this task decides by its own counts alone; None: it has those of all tasks.
        """
        candidate = self._candidate
        stopped = None if candidate is None else self._memory.stop_of(candidate.rollout)
        shown = 0 if candidate is None or stopped or self._is_older(candidate) else candidate.rollout.percent
        return {
            "rollout": None if candidate is None else candidate.rollout.sequence,
            "pair": None if candidate is None else candidate.rollout.pair_name,
            "percent": shown,
            "stopped": stopped,
            "last_error": self._error or self._memory.disk_error,
            "shared_error": self._memory.shared_error or self._counts.error,
            "sides": {} if candidate is None else {side: counts.to_json() for side, counts in self.sides().items()},
        }

    @property
    def candidate(self) -> ServedPair | None:
        """The candidate of the running or stopped rollout, or None."""
        return None if self._candidate is None else self._candidate.served

    def start(self) -> None:
        """Start checking the registry and the counts in the background."""
        threading.Thread(target=self._loop, name="rollout", daemon=True).start()

    def wake(self) -> None:
        """Look at the registry and the shared table now: another task or a release command has changed something."""
        self._wake.set()

    def stop(self) -> None:
        """Stop the background checks."""
        self._stopped = True
        self._wake.set()

    def tick(self, *, look: bool = True) -> None:
        """Share this process's counts with all others, and stop the rollout if the rule says so. Never raises.

        ``look`` asks the registry and the shared table for a newer step, or a stop, first.
        """
        if look:
            self._memory.synchronize(self._candidate)  # first, as a registry that hangs must not delay a stop
            try:
                self._take(self._fetch())
                self._error = None
            except ToolsDiffer as err:
                self._candidate, self._error = None, str(err)
            except (RegistryError, ConfigurationError, OSError) as err:
                self._error = str(err)  # the running step continues; a step that does not verify never starts
        candidate = self._candidate
        if candidate is None:
            return
        try:
            self._counts.share()
        except OSError as err:
            self._error = f"the rollout folder {self._folder} cannot be used ({type(err).__name__})"
        if self._memory.stop_of(candidate.rollout):
            return
        alone = candidate.rollout.percent == 100
        reason = reason_to_stop(self.sides(), self._rule, alone=alone)
        if reason is None:
            # By its own counts as well: those of the others are what somebody wrote into the table.
            own = reason_to_stop(self._counts.own_sides(), self._rule, alone=alone)
            reason = own and f"{own}, by this task's own counts"
        if reason is not None:
            step = candidate.rollout.sequence
            log(Event.ROLLOUT_STOPPED, pair=candidate.rollout.pair_name, step=step, reason=reason)
            self._memory.stop(candidate, reason, self._wall())

    def sides(self) -> Mapping[RolloutSide, LiveCounts]:
        """Return both sides' counts of the last hour, summed over all tasks, as of the last tick."""
        return self._counts.sides()

    def _running(self, production: ServedPair) -> RolloutCandidate | None:
        candidate = self._candidate
        if candidate is None or candidate.rollout.production_digest != production.pair.digest:
            return None
        if self._memory.stop_of(candidate.rollout) or not self._memory.knows(candidate.rollout):
            return None
        if self._is_older(candidate):
            return None
        return None if _replaced(candidate.rollout, production) else candidate

    def _is_older(self, candidate: RolloutCandidate) -> bool:
        return candidate.rollout.sequence < self._memory.newest

    def _side(self, pair_digest: str) -> RolloutSide | None:
        candidate = self._candidate
        if candidate is None:
            return None
        if pair_digest == candidate.rollout.pair_digest:
            return "candidate"
        return "production" if pair_digest == candidate.rollout.production_digest else None

    def _take(self, found: RolloutCandidate | None) -> None:
        if found is None:
            self._candidate = None
            return
        step = found.rollout.sequence
        if self._candidate is None or self._candidate.rollout != found.rollout:
            self._memory.synchronize(found)
        if self._is_older(found):
            raise RegistryError(
                f"the alias points at rollout step {step}, older than step {self._memory.newest}, which was seen before; "
                f"use `omni rollout` again, or, after the registry began anew, delete {self._memory.place()}"
            )
        self._memory.take(found)
        if self._candidate is None or step != self._candidate.rollout.sequence:
            self._counts.begin(step)
        ended = found.rollout.percent == 0 and found.rollout.shadow_percent == 0
        self._candidate = None if ended else found

    def _loop(self) -> None:
        look_at = 0.0
        while not self._stopped:
            look = self._wake.is_set() or time.monotonic() >= look_at
            self._wake.clear()
            if look:
                look_at = time.monotonic() + self._every_s
            try:
                self.tick(look=look)
            except Exception as err:  # table and folder may hold anything; the thread must survive it
                self._error = f"the rollout cannot be judged ({type(err).__name__}: {err!s:.200})"
            pause = max(look_at - time.monotonic(), 0.0)
            self._wake.wait(pause if self._candidate is None else min(pause, _SHARE_EVERY_S))


def _replaced(rollout: Rollout, production: ServedPair) -> bool:
    """Return whether a release followed on the step: a pair that is rolled back must not come back by its old rollout.

    After promotion and rollback of the candidate, the pair in production is again the one that the step was made beside.
    """
    return bool(production.released_at) and rollout.moment < datetime.fromisoformat(production.released_at)


def fitting(fetch: FetchCandidate, fits: Callable[[Pair], None]) -> FetchCandidate:
    """Return ``fetch`` with a comparison of the candidate's tools with those that are there; ``fits`` raises ``ToolsDiffer``."""

    def fetched() -> RolloutCandidate | None:
        found = fetch()
        if found is not None:
            fits(found.served.pair)
        return found

    return fetched


def build_rollouts(
    settings: Settings,
    sources: Mapping[str, PairSource],
    shared: SharedState | None,
    watch: SharedWatch,
    fits: Mapping[str, Callable[[Pair], None]],
) -> dict[str, RolloutControl]:
    """Return each task's rollout control on top of its production pair source; contacts nothing.

    ``fits`` compares a candidate's tools with those of its task, by task.
    """
    from service.core.release.registry import (
        CandidateReader,  # imports mlflow, which tests with fakes must not load
    )

    made = {
        name: RolloutControl(
            name,
            source,
            fitting(CandidateReader(name, settings), fits[name]),
            settings.state_dir / "rollout" / name,
            signed=partial(signed_step, name, settings),
            shared=shared,
            every_s=settings.registry.refresh_s,
        )
        for name, source in sources.items()
    }
    for name, control in made.items():
        watch.on_change(rollout_partition(name), control.wake)
    return made
