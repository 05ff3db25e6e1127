"""Refuses a definition that looks past the moment of its rows.

What became known later must not change a row. So the definition runs over the events that were known at some moments, and over
all events; up to each moment both must give the same rows.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.features.definitions import KEYS, FeatureView
from service.features.history import SOURCE, history
from service.kit.frame.errors import ConfigurationError
from service.warehouse.events import CustomerEvent
from service.warehouse.port import Warehouse

if TYPE_CHECKING:
    import pandas as pd

_BEGIN = datetime(2023, 1, 2, tzinfo=UTC)
_PROBED = 24  # moments
_LATE_DAYS = (0, 0, 3, 0, 45, 0, 0, 400)  # how long each event of the probe took to become known, in turn


class FeatureLeak(ConfigurationError):
    """A definition's rows depend on what became known after their moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Made-up events that show a leak: dense, some known late, with every column that a definition may read."""

    customers: int = 4
    events: int = 40  # of each

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield events, the same each time."""
        for person in range(self.customers):
            for number in range(self.events):
                seed = person * 31 + number * 17
                at = _BEGIN + timedelta(days=number * 29 + seed % 7, hours=seed % 24)
                kind = ("customer", "service", "payment", "service")[(number + person) % 4]
                yield {
                    "tenant": f"probe-{person % 2}",
                    "event_id": f"e-{person}-{number}",
                    "customer": f"c-{person // 2}",
                    "event_type": kind,
                    "occurred_at": at,
                    "known_at": at + timedelta(days=_LATE_DAYS[(seed + number) % len(_LATE_DAYS)]),
                    "service": "boiler service" if kind == "service" else None,
                    "satisfaction": 1 + seed % 5 if kind == "service" and seed % 6 else None,
                    "amount": Decimal(seed % 90) if kind != "customer" else None,
                    "home_kind": ("house", "flat")[seed % 2] if kind == "customer" else None,
                    "home_garden": seed % 3 == 0 if kind == "customer" else None,
                    "home_built": 1900 + seed % 100 if kind == "customer" else None,
                    "content": "",
                    "loaded_at": at,
                    "schema_version": 1,
                    "source": "probe",
                }


def refuse_leaks(views: Sequence[FeatureView]) -> None:
    """Try ``views`` on made-up events.

    Raises:
        FeatureLeak: a view looks past the moment of its rows.
        ConfigurationError: a view's SQL is wrong.
    """
    with _probed() as warehouse:
        for view in views:
            refuse_leak(warehouse, view, probed=_PROBED)


def refuse_leak(warehouse: Warehouse, view: FeatureView, *, probed: int) -> None:
    """Try a view at up to ``probed`` moments at which ``warehouse`` learned something. Raises: see ``refuse_leaks``."""
    ends = warehouse.query(f"SELECT DISTINCT known_at FROM {SOURCE} ORDER BY known_at")["known_at"]  # noqa: S608
    if not len(ends):
        return
    moments = [ends.iloc[number * len(ends) // probed].to_pydatetime() for number in range(1, probed)]
    whole = history(warehouse, view, ends.iloc[-1].to_pydatetime()).rows
    for moment in dict.fromkeys(moments):
        then = history(warehouse, view, moment).rows
        now = whole[whole["moment"] <= moment].reset_index(drop=True)
        if changed := _changed(then, now, view):
            raise FeatureLeak(
                f"{view.id} looks past the moment of its rows: what became known after {moment:%Y-%m-%d %H:%M} changes "
                f"{changed} in rows from before; count only events with known_at <= the row's moment"
            )


def _changed(then: "pd.DataFrame", now: "pd.DataFrame", view: FeatureView) -> str:
    """Return which columns differ between two sorted frames; "" if none does."""
    keys = list(KEYS)
    if len(then) != len(now) or not then[keys].equals(now[keys].astype(then[keys].dtypes.to_dict())):
        return "which rows there are"
    return ", ".join(name for name in view.columns if not _same(then[name], now[name]))


def _same(first: "pd.Series[Any]", second: "pd.Series[Any]") -> bool:
    missing = first.isna()
    if not missing.equals(second.isna()):
        return False
    return bool((first[~missing].to_numpy() == second[~missing].to_numpy()).all())


@contextmanager
def _probed() -> Iterator[Warehouse]:
    from service.warehouse.duck import DuckWarehouse
    from service.warehouse.rows import to_table

    with tempfile.TemporaryDirectory(prefix="omni-probe-") as folder:
        warehouse = DuckWarehouse(Path(folder) / "probe.duckdb", memory_mb=256, threads=1)
        try:
            warehouse.migrate()
            warehouse.merge(CustomerEvent, to_table(CustomerEvent, Probe().rows()))
            yield warehouse
        finally:
            warehouse.close()
