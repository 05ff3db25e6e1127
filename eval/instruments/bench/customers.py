"""Made-up events of customers, from a seed: for measurements of features, and for their tests."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from service.warehouse.events import CustomerEvent

_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def event(
    customer: str,
    number: int,
    kind: str,
    at: datetime,
    *,
    tenant: str = "acme",
    late: timedelta = timedelta(0),
    loaded: datetime | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a row of ``omni_customer_events`` that became known ``late`` after it happened; ``more`` are further columns."""
    row: dict[str, Any] = dict.fromkeys(CustomerEvent.model_fields)
    row |= {"tenant": tenant, "customer": customer, "event_id": f"{customer}-{number}", "event_type": kind}
    row |= {"occurred_at": at, "known_at": at + late, "loaded_at": loaded or at + late}
    return row | {"content": "x", "schema_version": 1, "source": "test"} | more


def random_events(
    customers: int, *, seed: int, until: datetime = datetime(2026, 11, 1, tzinfo=UTC)
) -> Iterator[dict[str, Any]]:
    """Yield one to twelve events for each of ``customers`` of three tenants; one in ten became known 1 to 60 days later."""
    chance = random.Random(seed)
    span = (until - _BEGIN) // timedelta(minutes=1)
    for number in range(customers):
        customer, tenant = f"{number:08x}", f"tenant-{number % 3}"
        for which in range(chance.randint(1, 12)):
            kind = "customer" if which == 0 else chance.choice(("service", "service", "payment"))
            at = _BEGIN + timedelta(minutes=chance.randrange(span))
            late = timedelta(days=chance.randint(1, 60)) if chance.random() < 0.1 else timedelta(0)
            more: dict[str, Any] = {}
            if kind == "customer":
                more = {"home_kind": chance.choice(("house", "flat")), "home_garden": chance.random() < 0.5}
                more["home_built"] = chance.choice((None, 1900 + chance.randrange(120)))
            elif kind == "service":
                more = {"service": "boiler service", "satisfaction": chance.choice((None, 1, 2, 3, 4, 5))}
            if kind == "payment" or (kind == "service" and chance.random() < 0.5):
                more["amount"] = Decimal(chance.randrange(30_000)) / 100
            yield event(customer, which, kind, at, tenant=tenant, late=late, **more)
