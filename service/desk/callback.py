"""One callback: what was promised, when it is rung next, and what each ring makes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from service.access.sealing import Sealer
from service.desk.opening import ReachableHours, next_open
from service.kit.aws.stores import CALLBACKS
from service.kit.records.conditions import at_most
from service.kit.records.items import Item
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordForm, RecordTable

KEPT_FOR = timedelta(days=7)  # a row's time to live, after the later of request and promise
# A dialer that does not work for days is tried until shortly before the row expires.
GIVEN_UP_AFTER = KEPT_FOR - timedelta(days=1)
RETRIED_AFTER = (timedelta(minutes=10), timedelta(minutes=30), timedelta(hours=2))
MOST_RINGS = len(RETRIED_AFTER) + 1
# Without an answer of the dialer nobody was rung, so it is tried again soon.
DIALER_RETRIED_AFTER = timedelta(minutes=2)

CallbackPriority = Literal["HIGH", "NORMAL"]


class CallbackStatus(StrEnum):
    """What has become of a callback; the first two are open."""

    PENDING = "PENDING"
    RINGING = "RINGING"
    CLOSED = "CLOSED"
    GIVEN_UP = "GIVEN_UP"


class RingOutcome(StrEnum):
    """How a ring ended. ``failed``: the dialer did not say how, so it is asked again under the same key."""

    REACHED = "reached"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    WRONG_NUMBER = "wrong_number"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A callback as it is stored; times are UTC.

    ``sealed_phone`` is the customer's number, sealed under the callback's id; None once the callback has ended. ``due_at`` is
    the end of the promised time, ``next_at`` when a worker looks at it next. ``rings`` counts the rings whose end is known.
    ``ring_key`` names one ring: a dialer rings once for all requests with the same key. ``version`` is that of the store.
    """

    callback_id: str
    contact_id: str
    sealed_phone: str | None = field(repr=False)
    requested_at: datetime
    due_at: datetime
    next_at: datetime
    queue_id: str = "general"
    priority: CallbackPriority = "NORMAL"
    status: CallbackStatus = CallbackStatus.PENDING
    rings: int = 0
    ring_key: str = ""
    first_rung_at: datetime | None = None
    taken_at: datetime | None = None
    taken_by: str | None = None
    ended_at: datetime | None = None
    reason: str = ""
    version: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the customer still waits for it."""
        return self.status in (CallbackStatus.PENDING, CallbackStatus.RINGING)

    @property
    def expires_at(self) -> datetime:
        """When the row may be deleted."""
        return max(self.requested_at, self.due_at, self.next_at) + KEPT_FOR

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the promise is broken so far: its time is over, and the customer was not rung within it."""
        return self.due_at < (self.first_rung_at or now)

    def taken(self, owner: str, now: datetime, lease: timedelta) -> "Callback":
        """Return the callback while ``owner`` rings it; another worker may take it after the lease."""
        return replace(
            self,
            status=CallbackStatus.RINGING,
            taken_by=owner,
            taken_at=now,
            next_at=now + lease,
            ring_key=self.ring_key or f"{self.callback_id}-{self.rings + 1}",
        )

    def after(self, outcome: RingOutcome, now: datetime, hours: ReachableHours) -> "Callback":
        """Return the callback after a ring: closed, given up, or waiting for the next ring within opening hours."""
        if outcome is RingOutcome.FAILED:
            if now >= self.due_at + GIVEN_UP_AFTER:
                return self._ended(CallbackStatus.GIVEN_UP, "the dialer did not work", now)
            return self._waiting(now + DIALER_RETRIED_AFTER, outcome, hours)
        rung = replace(
            self, rings=self.rings + 1, ring_key="", first_rung_at=self.first_rung_at or self.taken_at or now
        )
        if outcome is RingOutcome.REACHED:
            return rung._ended(CallbackStatus.CLOSED, outcome.value, now)
        if outcome is RingOutcome.WRONG_NUMBER:
            return rung._ended(CallbackStatus.GIVEN_UP, outcome.value, now)
        if rung.rings >= MOST_RINGS or now >= self.due_at + GIVEN_UP_AFTER:
            return rung._ended(CallbackStatus.GIVEN_UP, f"{outcome.value} after {rung.rings} rings", now)
        return rung._waiting(now + RETRIED_AFTER[rung.rings - 1], outcome, hours)

    def given_up(self, reason: str, now: datetime) -> "Callback":
        """Return the callback given up for ``reason``, without the number."""
        return self._ended(CallbackStatus.GIVEN_UP, reason, now)

    def _waiting(self, at: datetime, outcome: RingOutcome, hours: ReachableHours) -> "Callback":
        return replace(
            self,
            status=CallbackStatus.PENDING,
            next_at=next_open(hours, at),
            taken_by=None,
            taken_at=None,
            reason=outcome.value,
        )

    def _ended(self, status: CallbackStatus, reason: str, now: datetime) -> "Callback":
        return replace(self, status=status, sealed_phone=None, ended_at=now, reason=reason)


(_BY_OPEN,) = CALLBACKS.indexes
_TEXTS = ("contact_id", "queue_id", "priority", "status", "ring_key", "reason")
_TIMES = ("requested_at", "due_at", "next_at", "first_rung_at", "taken_at", "ended_at")
_OPTIONAL = {"sealed_phone": "customer_phone", "taken_by": "taken_by"}


class CallbackStore(RecordTable[Callback]):
    """Callbacks by id; ``scope`` keeps stages apart that share the table."""

    def __init__(self, rows: Rows, *, scope: str = "") -> None:
        super().__init__(rows, _FORM, scope=scope)

    def due(self, now: datetime, *, most: int) -> list[Callback]:
        """Return open callbacks that a worker should look at now, longest due first; may miss changes of the last second."""
        by_now = at_most(_BY_OPEN.sort, _text(now))
        return self.page(Query(partition="", index=_BY_OPEN, sort=by_now, most=most)).records

    def waiting(self) -> list[Callback]:
        """Return all open callbacks; may miss changes of the last second."""
        return list(self.records(Query(partition="", index=_BY_OPEN)))


def _item(callback: Callback) -> Item:
    item: Item = {name: str(getattr(callback, name)) for name in _TEXTS}
    item |= {name: _text(moment) for name in _TIMES if (moment := getattr(callback, name)) is not None}
    item |= {kept: text for name, kept in _OPTIONAL.items() if (text := getattr(callback, name)) is not None}
    return item | {"rings": callback.rings}


def _callback(item: Item) -> Callback:
    fields: dict[str, Any] = {name: item[name] for name in _TEXTS}
    fields |= {name: datetime.fromisoformat(item[name]) for name in _TIMES if name in item}
    fields |= {name: item.get(kept) for name, kept in _OPTIONAL.items()}
    fields |= {name: item[name] for name in (CALLBACKS.partition, "rings", "version")}
    return Callback(**fields | {"status": CallbackStatus(fields["status"])})


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")  # one width, so that texts sort by time


_FORM: RecordForm[Callback] = RecordForm(
    noun="callback",
    key=lambda callback: (callback.callback_id,),
    to_item=_item,
    from_item=_callback,
    expires=lambda callback: callback.expires_at,
    listed_in=lambda callback: "" if callback.is_open else None,
)


SEALED_AS = "omni-callback"  # the name of the KMS encryption context of sealed numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackBook:
    """Takes requests for callbacks. Blocking; raises ``StoreError`` if the store or the key does not answer."""

    store: CallbackStore
    sealer: Sealer
    now: Callable[[], datetime]

    def request(
        self,
        callback_id: str,
        phone: str,
        *,
        contact_id: str,
        promised: tuple[datetime, datetime],
        queue_id: str = "general",
        priority: CallbackPriority = "NORMAL",
    ) -> Callback:
        """Write down a callback to ``phone``, once for each id, and return it; ``promised`` is the time told to the customer."""
        now = self.now().astimezone(UTC)
        start, due = promised
        return self.store.add(
            Callback(
                callback_id=callback_id,
                contact_id=contact_id,
                sealed_phone=self.sealer.seal(phone.encode(), callback_id),
                requested_at=now,
                due_at=due.astimezone(UTC),
                next_at=start.astimezone(UTC),
                queue_id=queue_id,
                priority=priority,
            )
        )

    def move(self, callback_id: str, promised: tuple[datetime, datetime]) -> Callback | None:
        """Change the promised time of an open callback and return it; None if there is none. One that rings now is left as it is.

        Raises:
            RecordChanged: a worker takes it at the same time.
        """
        found = self.store.get(callback_id)
        if found is None or not found.is_open:
            return None
        start, due = (moment.astimezone(UTC) for moment in promised)
        if found.status is CallbackStatus.RINGING or found.due_at == due:
            return found
        return self.store.put(replace(found, next_at=start, due_at=due))
