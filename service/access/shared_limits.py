"""Lets the rate limits and hedge budgets of all tasks act as one, without a round trip in any request.

Each task writes every two seconds what it has admitted of each client, and charges what the others have written to its own
buckets. So a client may, for two beats, get from each task what it gets from one; it then waits until that is paid. In any L
seconds n tasks admit at most ``rate * L + n * (burst + 4 s * rate)``, and a client that keeps to its rate is not refused. A task
that hears nothing of the others keeps to its equal part.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.access.throttle import ClientUse, Throttle
from service.core.llm.reliability import Reliability
from service.kit.frame.strict import parse_json
from service.kit.records.shared_state import SharedState
from service.kit.telemetry.fields import account_key_mark

BEAT_S = 2.0
_IDLE_BEATS = 5  # without new requests a task writes at every fifth beat only
# A task that has not written for two idle beats and a bit is gone.
_GONE_S = 25.0
_DEAF_S = 3 * BEAT_S
_PARTITION = "tasks"
_MOST_COUNTED = 10**9  # more requests than a task admits in its life


@dataclass(slots=True)
class _Other:
    number: int
    heard_at: float
    uses: Mapping[str, ClientUse]


class SharedLimits:
    """One thread per process. ``shared`` or ``throttle`` None: there is nothing to share; ``clock`` is monotonic."""

    def __init__(
        self,
        shared: SharedState | None,
        throttle: Throttle | None,
        reliability: Reliability,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._shared, self._throttle, self._reliability = shared, throttle, reliability
        self._clock, self._wall = clock, wall
        self._id = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._others: dict[str, _Other] = {}
        self._beats = self._idle = 0
        self._written: Mapping[str, ClientUse] | None = None
        self._heard_at = clock()
        self._deaf = True
        self._wake = threading.Event()
        self._stopped = False

    @property
    def tasks(self) -> int:
        """How many tasks serve now, this one included, as far as is known."""
        return 1 + len(self._alive())

    def start(self) -> None:
        """Start in the background."""
        if self._shared is not None:
            threading.Thread(target=self._loop, name="shared-limits", daemon=True).start()

    def stop(self) -> None:
        """Stop the background thread."""
        self._stopped = True
        self._wake.set()

    def beat(self) -> None:
        """Write what this task has admitted, and charge what the others have. Never raises."""
        assert self._shared is not None
        now = self._clock()
        try:
            self._write(self._shared)
            self._read(self._shared, now)
            self._heard_at, self._deaf = now, False
        except (
            Exception
        ):  # also what is no StoreError, such as a proxy's page for an answer: the thread must survive it
            # The watch logs an outage of the table; here the task only becomes careful.
            if now - self._heard_at > _DEAF_S and not self._deaf:
                self._deaf = True
                if self._throttle is not None:
                    self._throttle.be_alone(self.tasks)
        for budgets in (self._reliability.hedges, self._reliability.retries):
            budgets.tasks = self.tasks

    def _write(self, shared: SharedState) -> None:
        uses = {} if self._throttle is None else self._throttle.uses()
        if uses == self._written and self._idle + 1 < _IDLE_BEATS:
            self._idle += 1
            return
        self._beats += 1
        clients = {name: [use.admitted, use.in_flight] for name, use in uses.items()}
        content = {"n": self._beats, "clients": clients, "account_key": account_key_mark()}
        shared.put_quietly(_PARTITION, self._id, json.dumps(content), expires_at=self._wall() + 4 * _GONE_S)
        self._written, self._idle = uses, 0

    def _read(self, shared: SharedState, now: float) -> None:
        admitted: dict[str, int] = {}
        found: dict[str, _Other] = {}
        for item in shared.items(_PARTITION):
            if item.key == self._id:
                continue
            number, uses = _parsed(item.text)
            before = self._others.get(item.key)
            if before is not None and number == before.number:
                found[item.key] = before
                continue
            found[item.key] = _Other(number, now, uses)
            # What a task had admitted before this one heard it, or while it was deaf and kept to its part, is not charged.
            if before is not None and not self._deaf:
                for name, use in uses.items():
                    new = use.admitted - before.uses.get(name, ClientUse()).admitted
                    admitted[name] = admitted.get(name, 0) + max(new, 0)
        self._others = found
        if self._throttle is not None:
            self._throttle.charge(self._elsewhere(admitted))

    def _alive(self) -> list[_Other]:
        # By this process's clock: an item's own time would be another machine's.
        return [other for other in self._others.values() if self._clock() - other.heard_at <= _GONE_S]

    def _elsewhere(self, admitted: Mapping[str, int]) -> dict[str, ClientUse]:
        in_flight: dict[str, int] = {}
        for other in self._alive():
            for name, use in other.uses.items():
                in_flight[name] = in_flight.get(name, 0) + use.in_flight
        names = in_flight.keys() | admitted.keys()
        return {name: ClientUse(admitted.get(name, 0), in_flight.get(name, 0)) for name in names}

    def _loop(self) -> None:
        while not self._stopped:
            self.beat()
            self._wake.wait(BEAT_S)


def account_keys_in_use(shared: SharedState) -> set[str]:
    """Return the ``account_key_mark`` of all tasks that serve now: none, one, or by mistake several."""
    found = set()
    for item in shared.items(_PARTITION):
        try:
            mark = parse_json(item.text or "").get("account_key")
        except (ValueError, AttributeError):
            continue
        found |= {mark} if isinstance(mark, str) else set()
    return found


def _parsed(text: str | None) -> tuple[int, dict[str, ClientUse]]:
    try:
        raw = parse_json(text or "")
        return int(raw["n"]), {name: ClientUse(_count(use[0]), _count(use[1])) for name, use in raw["clients"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return 0, {}  # of another version of the service: it counts as a task that admits nothing


def _count(value: Any) -> int:
    # A negative number would let a client have more than its limits.
    return min(max(int(value), 0), _MOST_COUNTED)
