"""Counts a customer's features event by event: slow, and written without the SQL of ``service.features``, to compare it with."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

_YEAR = timedelta(days=365)


def features_by_hand(events: Sequence[Mapping[str, Any]], at: datetime) -> dict[str, Any]:
    """Return the features that were known of one customer at a moment; those that nobody could know are left out or None.

    Args:
        events: all events of one customer, rows of ``omni_customer_events``.
        at: aware.
    """
    known = [row for row in events if row["known_at"] <= at]
    services = [row for row in known if row["event_type"] == "service"]
    found: dict[str, Any] = {}
    if services:
        last = [row for row in services if row["occurred_at"] > at - _YEAR]
        before = [row for row in services if at - 2 * _YEAR < row["occurred_at"] <= at - _YEAR]
        now, then = _mean(last), _mean(before)
        found |= {
            "total_services": len(services),
            "services_last_year": len(last),
            "average_satisfaction": _mean(services),
        }
        found["satisfaction_trend"] = None if now is None or then is None else now - then
    paid = [row["amount"] for row in known if row["amount"] is not None]
    if paid:
        found["lifetime_value"] = float(sum(paid))
    homes = [row for row in known if row["home_kind"] is not None]
    if homes:
        home = max(homes, key=lambda row: (row["known_at"], row["occurred_at"], row["event_id"]))
        found |= {name: home[name] for name in ("home_kind", "home_garden", "home_built")}
    return found


def _mean(services: Sequence[Mapping[str, Any]]) -> float | None:
    marks = [row["satisfaction"] for row in services if row["satisfaction"] is not None]
    return sum(marks) / len(marks) if marks else None
