"""Orders to score stored calls again, in DynamoDB beside their calls: sort key ``RESCORING#<id>`` under the tenant.

An order is changed by reading it, and writing it whole if nobody else wrote it meanwhile. It holds ids of calls and figures, and
nothing that a customer said. The index ``by_open`` holds the open orders of all tenants.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

from botocore.exceptions import ClientError
from pydantic import AwareDatetime, BaseModel, ConfigDict

from service.kit.aws.bounded import translated

RescoringState = Literal["waiting", "running", "done", "stopped", "cancelled"]
_OPEN_STATES: tuple[RescoringState, ...] = ("waiting", "running")
_SORT = "RESCORING#"
_BY_OPEN = "by_open"
# No tenant's id begins with "#": the same index holds unfinished calls by tenant.
_OPEN = "#rescorings"
# Later than every moment: whoever looks for calls that have not changed for a while must not find an order.
_NOT_A_CALL = "~"
_LOST = "ConditionalCheckFailedException"


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

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._store = f"table {table!r}"

    def add(self, order: RescoringOrder) -> RescoringOrder:
        """Write a new order; return the one that stands under its id, which may be older."""
        return order if self._put(order, was=0) else self.get(order.tenant, order.rescoring_id)

    def get(self, tenant: str, rescoring_id: str) -> RescoringOrder:
        """Return an order.

        Raises:
            OrderMissing: the tenant has no such order.
        """
        return self._read(tenant, rescoring_id)[0]

    def of(self, tenant: str) -> list[RescoringOrder]:
        """Return a tenant's orders, the newest first."""
        asked = {
            "KeyConditionExpression": "pk = :tenant AND begins_with(sk, :order)",
            "ExpressionAttributeValues": {":tenant": {"S": _partition(tenant)}, ":order": {"S": _SORT}},
            "ConsistentRead": True,
        }
        found = [_order_of(item) for item in self._query(asked)]
        return sorted(found, key=lambda order: (order.ordered_at, order.rescoring_id), reverse=True)

    def open_tenants(self) -> list[str]:
        """Return the tenants that have open orders."""
        asked = {
            "IndexName": _BY_OPEN,
            "KeyConditionExpression": "#open = :open",
            "ExpressionAttributeNames": {"#open": "open"},
            "ExpressionAttributeValues": {":open": {"S": _OPEN}},
        }
        return sorted({_order_of(item).tenant for item in self._query(asked)})

    def change(
        self, tenant: str, rescoring_id: str, what: Callable[[RescoringOrder], RescoringOrder]
    ) -> RescoringOrder:
        """Write what ``what`` makes of an order, and return it; it is called again when another writer was faster.

        Raises:
            OrderMissing: the tenant has no such order.
        """
        while True:
            order, edit = self._read(tenant, rescoring_id)
            made = what(order)
            if made == order or self._put(made, was=edit):
                return made

    def _read(self, tenant: str, rescoring_id: str) -> tuple[RescoringOrder, int]:
        with translated(self._store):
            found = self._client.get_item(
                TableName=self._table, Key=_key(tenant, rescoring_id), ConsistentRead=True
            ).get("Item")
        if found is None:
            raise OrderMissing(f"tenant {tenant!r} has no re-scoring {rescoring_id[:40]!r}")
        return _order_of(found), int(found["edit"]["N"])

    def _put(self, order: RescoringOrder, *, was: int) -> bool:
        item = {
            **_key(order.tenant, order.rescoring_id),
            "edit": {"N": str(was + 1)},
            "content": {"S": order.model_dump_json()},
            **({"open": {"S": _OPEN}, "updated_at": {"S": _NOT_A_CALL}} if order.is_open else {}),
        }
        condition = "edit = :was" if was else "attribute_not_exists(pk)"
        values = {"ExpressionAttributeValues": {":was": {"N": str(was)}}} if was else {}
        with translated(self._store):
            try:
                self._client.put_item(TableName=self._table, Item=item, ConditionExpression=condition, **values)
            except ClientError as err:
                if err.response.get("Error", {}).get("Code") != _LOST:
                    raise
                return False
        return True

    def _query(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with translated(self._store):
            for page in self._client.get_paginator("query").paginate(TableName=self._table, **asked):
                yield from page["Items"]


def _partition(tenant: str) -> str:
    return f"TENANT#{tenant}"


def _key(tenant: str, rescoring_id: str) -> dict[str, Any]:
    return {"pk": {"S": _partition(tenant)}, "sk": {"S": _SORT + rescoring_id}}


def _order_of(item: dict[str, Any]) -> RescoringOrder:
    return RescoringOrder.model_validate_json(item["content"]["S"])


def utc_day(moment: datetime) -> date:
    """Return the UTC day of a moment."""
    return moment.astimezone(UTC).date()
