"""``warehouse``: one question in Redshift's dialect."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.settings import Settings


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    warehouse = add("warehouse", help="ask the warehouse one SELECT in Redshift's dialect")
    warehouse.add_argument("sql", help="for example: SELECT day, pair, p95_ms FROM v_performance ORDER BY day")
    warehouse.add_argument("--csv", action="store_true", help="all rows as CSV")
    warehouse.set_defaults(run=_warehouse)


def _warehouse(settings: "Settings", options: argparse.Namespace) -> int:
    from service.warehouse.console import answer

    answer(settings, options.sql, csv=options.csv)
    return 0
