"""Features as they are served: a row for each customer and version of a view, read by one query."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from service.features.definitions import FeatureKind, FeatureView, FeatureViews
from service.kit.aws.stores import FEATURES
from service.kit.records.items import Item
from service.kit.records.rows import EventLoopRows, Query, Rows
from service.kit.records.table import EventLoopRecordTable, RecordForm, RecordTable
from service.kit.telemetry.fields import account_hash

# A version that nobody computes any more goes by itself.
KEPT_FOR = timedelta(days=30)
FeatureValue = int | float | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow:
    """One customer's values of one version of a view.

    ``person`` is the customer's keyed hash, ``view`` an id such as ``services@1``. The values are those that were known at
    ``as_of``, and have not changed since ``moment``. ``problems`` says why a value was left out.
    """

    tenant: str
    person: str
    view: str
    moment: datetime
    as_of: datetime
    values: Mapping[str, FeatureValue]
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFeatures:
    """What is served about one customer.

    Attributes:
        values: by feature; one that nobody can know yet is None.
        versions: the ids of the views that they come from.
        stale: features that were computed longer ago than their view allows, with their age in hours. They are in ``values``.
        missing: views without a row of this customer; their features are not in ``values``.
        problems: features that were left out because the computed value cannot be, with the reason.
    """

    values: Mapping[str, FeatureValue]
    versions: tuple[str, ...]
    stale: Mapping[str, float]
    missing: tuple[str, ...]
    problems: Mapping[str, str]


def _key(row: FeatureRow) -> tuple[str, ...]:
    return partition_of(row.tenant, row.person), row.view


def _to_item(row: FeatureRow) -> Item:
    return {
        "tenant": row.tenant,
        "person": row.person,
        "moment": row.moment.isoformat(),
        "as_of": row.as_of.isoformat(),
        "values": {name: stored(value) for name, value in row.values.items()},
        "problems": dict(row.problems),
    }


def _from_item(item: Item) -> FeatureRow:
    return FeatureRow(
        tenant=item["tenant"],
        person=item["person"],
        view=item[FEATURES.sort],
        moment=datetime.fromisoformat(item["moment"]),
        as_of=datetime.fromisoformat(item["as_of"]),
        values=item["values"],
        problems=item["problems"],
    )


FORM: RecordForm[FeatureRow] = RecordForm(
    noun="features",
    key=_key,
    to_item=_to_item,
    from_item=_from_item,
    version="",
    expires=lambda row: row.as_of + KEPT_FOR,
)


def partition_of(tenant: str, person: str) -> str:
    """Return the partition of a customer; ``person`` is the keyed hash."""
    return f"{tenant}/{person}"


def stored(value: FeatureValue) -> Any:
    """Return a value for DynamoDB, which has no floats: the shortest decimal that reads back as the same float."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def served(value: Any, kind: FeatureKind) -> FeatureValue:
    """Return a value that was read, or computed in a frame, as its feature's kind; None if it is missing."""
    if value is None or str(value) == "<NA>" or value != value:
        return None
    if kind == "decimal":
        number = float(value)
        return number if math.isfinite(number) else None
    if kind == "whole":
        return int(value)
    return bool(value) if kind == "flag" else str(value)


def customer_features(rows: Iterable[FeatureRow], views: Sequence[FeatureView], now: datetime) -> CustomerFeatures:
    """Return what ``views`` say of one customer, from all rows of the customer."""
    found = {row.view: row for row in rows}
    values: dict[str, FeatureValue] = {}
    stale: dict[str, float] = {}
    problems: dict[str, str] = {}
    for view in views:
        row = found.get(view.id)
        if row is None:
            continue
        values |= {name: served(row.values.get(name), column.kind) for name, column in view.columns.items()}
        problems |= row.problems
        hours = (now - row.as_of) / timedelta(hours=1)
        if hours > view.fresh_hours:
            stale |= dict.fromkeys(view.columns, round(hours, 1))
    return CustomerFeatures(
        values=values,
        versions=tuple(view.id for view in views if view.id in found),
        stale=stale,
        missing=tuple(view.id for view in views if view.id not in found),
        problems=problems,
    )


class OnlineFeatures:
    """Reads features on the event loop, for requests. ``scope`` keeps stages apart that share the table."""

    def __init__(self, rows: EventLoopRows, views: FeatureViews, *, scope: str) -> None:
        self._table = EventLoopRecordTable(rows, FORM, scope=scope)
        self._served = views.served()

    async def of(self, tenant: str, customer_id: str, now: datetime | None = None) -> CustomerFeatures:
        """Return the served features of a customer. Raises ``StoreError``: the table does not answer."""
        query = Query(partition=partition_of(tenant, account_hash(customer_id)))
        return customer_features(await self._table.records(query), self._served, now or datetime.now(UTC))


def read_features(
    rows: Rows, views: Sequence[FeatureView], tenant: str, customer_id: str, now: datetime, *, scope: str
) -> CustomerFeatures:
    """Return what ``OnlineFeatures.of`` does, of the given versions; blocking."""
    query = Query(partition=partition_of(tenant, account_hash(customer_id)))
    return customer_features(RecordTable(rows, FORM, scope=scope).records(query), views, now)
