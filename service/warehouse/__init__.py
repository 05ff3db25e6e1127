"""The warehouse: one SQL in Redshift's dialect, run by Redshift or by an embedded DuckDB file."""

from service.warehouse.opening import open_warehouse
from service.warehouse.port import Merged, Warehouse

__all__ = ["Merged", "Warehouse", "open_warehouse"]
