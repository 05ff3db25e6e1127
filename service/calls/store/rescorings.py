"""Orders to score stored calls again, in DynamoDB beside their calls: sort key ``RESCORING#<id>`` under the tenant.

An order is changed by reading it, and writing it whole if nobody else wrote it meanwhile. It holds ids of calls and figures, and
nothing that a customer said. The index ``by_open`` holds the open orders of all tenants.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.core.unit.tenant import Tenant
from service.kit.aws.stores import CALLS
from service.kit.records.conditions import begins
from service.kit.records.items import Item, Key
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordChanged, RecordForm, RecordTable

RescoringState = Literal["waiting", "running", "done", "stopped", "cancelled"]
_OPEN_STATES: tuple[RescoringState, ...] = ("waiting", "running")
_SORT = "RESCORING#"
# No tenant's id begins with "#": the same index holds unfinished calls by tenant.
_OPEN = "#rescorings"
# Later than every moment: whoever looks for calls that have not changed for a while must not find an order.
_NOT_A_CALL = "~"


class OrderMissing(Exception):
    """The tenant has no such order."""


class UnansweredCall(BaseModel):
    """A call of an order that the model did not answer about, ``tries`` times, last at ``at``; it is tried again later."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    tries: int
    at: AwareDatetime


class RescoringOrder(BaseModel):
    """One order. ``total`` is the number of its calls; ``done`` of them have a new scorecard, ``failed`` got no usable answer.

    ``gone`` ones are no longer kept. ``used`` and ``used_usd`` are what this order asked of the model. ``after`` is the last call
    that is settled or ``unanswered``, ``asking`` the one that the model is asked about, ``answered_at`` when the model last
    answered. ``owner`` works on it until ``leased_until``.
    """

    model_config = ConfigDict(frozen=True)  # what a newer version writes beside this is left alone

    tenant: str
    rescoring_id: str
    form_id: str
    form_version: int
    from_day: date | None
    to_day: date | None
    most_calls: int
    most_usd: Decimal
    state: RescoringState = "waiting"
    why: str = ""
    ordered_by: str
    ordered_at: AwareDatetime
    updated_at: AwareDatetime
    total: int
    usd_per_call: Decimal | None
    done: int = 0
    failed: int = 0
    gone: int = 0
    used: int = 0
    used_usd: Decimal = Decimal(0)
    dearest_usd: Decimal = Decimal(0)
    after: tuple[AwareDatetime, str] | None = None
    asking: str | None = None
    unanswered: tuple[UnansweredCall, ...] = ()
    answered_at: AwareDatetime | None = None
    owner: str = ""
    leased_until: AwareDatetime | None = None
    version: int = Field(default=0, exclude=True)  # the item's number of writes

    @property
    def is_open(self) -> bool:
        """Whether there is still something to do."""
        return self.state in _OPEN_STATES

    @property
    def left(self) -> int:
        """The number of calls that are not settled."""
        return max(0, self.total - self.done - self.failed - self.gone)


class RescoringOrders:
    """Reads and writes orders. Blocking; every method raises ``StoreError`` when DynamoDB does not answer."""

    def __init__(self, rows: Rows) -> None:
        self._table = RecordTable(rows, _FORM)

    def add(self, order: RescoringOrder) -> RescoringOrder:
        """Write a new order and return ``order`` itself, or the one that stands under its id already."""
        try:
            self._table.put_new(order)
        except RecordChanged:
            return self.get(order.tenant, order.rescoring_id)
        return order

    def get(self, tenant: str, rescoring_id: str) -> RescoringOrder:
        """Return an order."""
        return _there(self._table.get(*_key(tenant, rescoring_id)), tenant, rescoring_id)

    def of(self, tenant: str) -> list[RescoringOrder]:
        """Return a tenant's orders, the newest first."""
        found = self._table.records(Query(partition=Tenant(tenant).partition, sort=begins("sk", _SORT)))
        return sorted(found, key=lambda order: (order.ordered_at, order.rescoring_id), reverse=True)

    def open_tenants(self) -> list[str]:
        """Return the tenants that have open orders."""
        found = self._table.records(Query(partition=_OPEN, index=CALLS.indexes[0]))
        return sorted({order.tenant for order in found})

    def change(
        self, tenant: str, rescoring_id: str, what: Callable[[RescoringOrder], RescoringOrder]
    ) -> RescoringOrder:
        """Write what ``what`` makes of an order, and return it; it is called again when another writer was faster."""

        def decide(found: RescoringOrder | None) -> RescoringOrder:
            return what(_there(found, tenant, rescoring_id))

        return _there(self._table.change(decide, *_key(tenant, rescoring_id)), tenant, rescoring_id)


def _there(found: RescoringOrder | None, tenant: str, rescoring_id: str) -> RescoringOrder:
    if found is None:
        raise OrderMissing(f"tenant {tenant!r} has no re-scoring {rescoring_id[:40]!r}")
    return found


def _key(tenant: str, rescoring_id: str) -> Key:
    return Tenant(tenant).partition, _SORT + rescoring_id


def _order_of(item: Item) -> RescoringOrder:
    order = RescoringOrder.model_validate_json(item["content"])
    return order.model_copy(update={"version": item["edit"]})


_FORM: RecordForm[RescoringOrder] = RecordForm(
    noun="re-scoring",
    key=lambda order: _key(order.tenant, order.rescoring_id),
    to_item=lambda order: {"content": order.model_dump_json()} | ({"updated_at": _NOT_A_CALL} if order.is_open else {}),
    from_item=_order_of,
    version="edit",
    listed_in=lambda order: _OPEN if order.is_open else None,
)


def utc_day(moment: datetime) -> date:
    """Return the UTC day of a moment."""
    return moment.astimezone(UTC).date()
