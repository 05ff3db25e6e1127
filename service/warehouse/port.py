"""What loaders, reports and dashboards ask of a warehouse, whichever engine it is."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from service.events import WarehouseEvent

if TYPE_CHECKING:  # neither is installed where only summaries are served
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """How many rows of a merge were new, changed a row, or were there already."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


class Warehouse(Protocol):
    """Tables of ``service.events`` and the views over them."""

    def migrate(self) -> None:
        """Create the tables and views that are missing; safe to repeat."""
        ...

    def merge(self, event: type[WarehouseEvent], rows: "pa.Table") -> Merged:
        """Insert ``rows`` (the event's columns), or replace rows with an equal ``event.key``; all or nothing.

        Of two rows with one key ``event.prefer`` says which stays, inside ``rows`` and against the table. A row that stays
        away and a row that is there already both count as unchanged, so the three counts add up to ``rows``.

        Raises:
            WarehouseError: columns are missing, unknown or of a wrong type, or a value is missing where there must be one.
        """
        ...

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """Run one SELECT in Redshift's dialect with ``:name`` parameters; changes nothing. Column names come in lower case.

        Raises:
            QueryRefused: no SELECT, or wrong, or one that this engine cannot answer as Redshift would; one line says why.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Several merges, all or nothing."""
        ...

    def close(self) -> None:
        """Let go of file or connection."""
        ...
