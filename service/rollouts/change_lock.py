"""One change of production at a time: a deployment of code or a release of a pair holds one item of the shared table.

Whoever crashes while holding it loses it when it expires. The table's conditional write decides between two who come at once.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from service.kit.frame.display.inert import one_line
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.records.shared_state import SharedItem, SharedState, SharedStateChanged

_PARTITION, _KEY = "production-change", "holder"
_Moment = Annotated[float, Field(ge=0, lt=datetime.max.replace(tzinfo=UTC).timestamp())]
ChangeKind = Literal["deployment", "release"]


class ChangeHeld(ServiceError):
    """Somebody else is changing production; the message names who, why and until when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Who changes production, and why; ``since`` and ``expires`` are seconds since 1970."""

    kind: ChangeKind
    holder: str
    why: str
    since: _Moment
    expires: _Moment

    def __str__(self) -> str:
        """Return one line for an operator."""
        since, until = _moment(self.since), _moment(self.expires)
        return f"a {self.kind} by {one_line(self.holder)} ({one_line(self.why)}), since {since}, until {until} at most"


_ADAPTER = TypeAdapter(Change)


class ChangeLock:
    """The lock of one stage. Every method raises ``StoreError`` when the table does not answer."""

    def __init__(self, shared: SharedState, *, now: Callable[[], float] = time.time) -> None:
        self._shared, self._now = shared, now

    def present(self) -> Change | None:
        """Return the change that runs, or None."""
        return self._read()[1]

    def begin(self, kind: ChangeKind, holder: str, why: str, *, for_s: float) -> Change:
        """Take the lock for ``for_s`` seconds at most; a deployment that holds it already prolongs it.

        Raises:
            ChangeHeld: somebody else holds it.
        """
        item, before = self._read()
        ours = before is not None and (before.kind, before.holder, kind) == ("deployment", holder, "deployment")
        if before is not None and not ours:
            raise ChangeHeld(f"production is being changed: {before}")
        now = self._now()
        since = before.since if before is not None else now
        change = Change(kind=kind, holder=holder, why=why, since=since, expires=now + for_s)
        version = 0 if item is None else item.version
        try:
            self._shared.put(_PARTITION, _KEY, json.dumps(asdict(change)), expected=version, expires_at=change.expires)
        except SharedStateChanged as err:
            winner = self.present()
            raise ChangeHeld(f"production is being changed: {winner or 'somebody came first; try again'}") from err
        return change

    def end(self, change: Change) -> None:
        """Give the lock back.

        Raises:
            ChangeHeld: it has expired, and maybe somebody else holds it now.
        """
        item, before = self._read()
        if item is None or before is None or (before.holder, before.since) != (change.holder, change.since):
            raise ChangeHeld(f"{change.holder} no longer holds the lock: {before or 'it has expired'}")
        with suppress(SharedStateChanged):  # it expired between the two calls
            self._shared.delete(_PARTITION, _KEY, expected=item.version)

    @contextmanager
    def held(
        self, kind: ChangeKind, holder: str, why: str, *, for_s: float, patience_s: float = 0.0
    ) -> Iterator[Change]:
        """Hold the lock during a ``with`` block; wait up to ``patience_s`` seconds for a release, never for a deployment."""
        change = self._begun(kind, holder, why, for_s, patience_s)
        try:
            yield change
        finally:
            with suppress(ServiceError):  # what was done is done; the lock expires by itself
                self.end(change)

    def _begun(self, kind: ChangeKind, holder: str, why: str, for_s: float, patience_s: float) -> Change:
        until = time.monotonic() + patience_s
        while True:
            try:
                return self.begin(kind, holder, why, for_s=for_s)
            except ChangeHeld:
                there = self.present()
                if (there is not None and there.kind == "deployment") or time.monotonic() >= until:
                    raise
            time.sleep(0.5)

    def _read(self) -> tuple[SharedItem | None, Change | None]:
        item = self._shared.get(_PARTITION, _KEY)
        if item is None:
            return None, None
        try:
            return item, _ADAPTER.validate_json(item.text or "")
        except ValidationError as err:
            place = self._shared.place(_PARTITION, _KEY)
            raise StoreError(f"nobody can tell who changes production: {place} is damaged; delete it") from err


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
