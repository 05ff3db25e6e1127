"""Prints the result of a query: as a table for a person, as CSV or JSON for a program."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from service.kit.frame.display.inert import csv_cell
from service.kit.frame.display.terminal import open_console, say
from service.kit.settings import Settings
from service.warehouse.opening import open_warehouse

if TYPE_CHECKING:
    import pandas as pd

# A table for a person shows at most this many rows.
_MOST_ROWS = 200
_PIPE_WIDTH = 180


def answer(
    settings: Settings, sql: str, *, form: Literal["table", "csv", "json"], parameters: Mapping[str, Any] | None = None
) -> None:
    """Print the result of ``sql`` with its ``parameters``, with times in UTC. JSON is a list with one object per row.

    Raises:
        WarehouseError: there is no warehouse, or it is busy.
        QueryRefused: the SQL is wrong, or this engine cannot give Redshift's result; the message is one line.
    """
    warehouse = open_warehouse(settings, read_only=True)
    try:
        frame = warehouse.query(sql, parameters)
    finally:
        warehouse.close()
    if form == "csv":
        say(frame.map(csv_cell).rename(columns=csv_cell).to_csv(index=False), end="")
    elif form == "json":
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        say(json.dumps(rows, indent=2, ensure_ascii=False, default=str))
    else:
        print_table(frame)


def print_table(frame: "pd.DataFrame") -> None:
    """Print a frame as a table for a person."""
    from rich.box import SIMPLE
    from rich.table import Table

    # A pipe has no width, and rich's default of 80 columns would break words.
    console = open_console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    table = Table(box=SIMPLE, header_style="bold")
    for name in frame.columns:
        number = frame[name].dtype.kind in "iuf"
        table.add_column(str(name), justify="right" if number else "left", overflow="fold")
    for row in frame.head(_MOST_ROWS).itertuples(index=False):
        table.add_row(*(shown(value) for value in row))
    console.print(table)
    rows = "1 row" if len(frame) == 1 else f"{len(frame)} rows"
    say(rows if len(frame) <= _MOST_ROWS else f"the first {_MOST_ROWS} of {rows}; --csv prints all")


def shown(value: Any) -> str:
    """Return one value as text for a table; "" for a missing one."""
    import pandas as pd

    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, pd.Timestamp):
        return (
            value.strftime("%Y-%m-%d")
            if value == value.normalize() and value.tz is None
            else f"{value:%Y-%m-%d %H:%M:%S}"
        )
    return str(value)
