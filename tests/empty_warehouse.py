"""An empty warehouse with all tables, made once per process and copied for each test."""

import tempfile
from functools import cache
from pathlib import Path

from service.warehouse.duck import DuckWarehouse


@cache
def _made():
    with tempfile.TemporaryDirectory() as folder:
        warehouse = DuckWarehouse(Path(folder) / "empty.duckdb")
        warehouse.migrate()
        warehouse.close()
        return warehouse.path.read_bytes()


def empty_warehouse(path):
    """Put an empty warehouse at ``path``, open it and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_made())
    return DuckWarehouse(path)
