"""Keeps callbacks, with a version against two writers, and an index of those that are open."""

from datetime import UTC, datetime
from typing import Any

from service.desk.callback import Callback, CallbackStatus
from service.kit.aws.stores import CALLBACKS
from service.kit.records.conditions import at_most
from service.kit.records.items import Item
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordForm, RecordTable

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
