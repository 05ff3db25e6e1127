"""The interface of a warehouse for loaders, reports and dashboards, independent of the engine."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from service.warehouse.events import WarehouseEvent

if TYPE_CHECKING:  # neither is installed with a service that only serves summaries
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """How many rows of a merge were new, replaced a row, or changed nothing."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


class Warehouse(Protocol):
    """Tables of ``service.warehouse.events`` and the views over them."""

    def migrate(self) -> None:
        """Create missing tables and views; safe to repeat."""
        ...

    def merge(self, event: type[WarehouseEvent], rows: "pa.Table") -> Merged:
        """Insert ``rows`` (the event's columns), or replace rows with an equal ``event.key``; all or nothing.

        Of two rows with the same key, ``event.prefer`` decides which stays, within ``rows`` and against the table. A row that
        loses and a row that equals the stored one both count as unchanged, so the three counts add up to ``rows``.

        Raises:
            WarehouseError: a column is missing, unknown or of a wrong type, or a required value is missing.
        """
        ...

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """Run one SELECT in Redshift's dialect with ``:name`` parameters, read-only; column names are in lower case.

        Raises:
            QueryRefused: it is not one SELECT, it is wrong, or this engine cannot give Redshift's result; one line says why.
        """
        ...

    def remove(self, event: type[WarehouseEvent], column: str, values: Sequence[str]) -> None:
        """Delete the rows whose ``column`` has one of ``values``, at most 1,000 of them; rows that are gone are ignored.

        Raises:
            WarehouseError: the event has no such column, or the engine failed.
        """
        ...

    def reclaim(self) -> None:
        """Free the space of deleted rows, so that their content is nowhere any more."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Run the merges inside this context all or nothing."""
        ...

    def close(self) -> None:
        """Release the file or connection."""
        ...
