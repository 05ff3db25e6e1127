"""Builds rows and Arrow tables with the columns of an event class and the warehouse's types."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import pyarrow as pa

from service.warehouse.events import WarehouseEvent
from service.warehouse.rows import arrow_schema

WarehouseRow = tuple[Any, ...]
WarehouseRows = list[tuple[type[WarehouseEvent], WarehouseRow]]


@cache
def _columns(event: type[WarehouseEvent]) -> tuple[str, ...]:
    return tuple(event.model_fields)


def row_of(event: type[WarehouseEvent], record: Any, **given: Any) -> WarehouseRow:
    """Return a row in the event's column order: ``given`` columns, and ``record``'s fields of the same names for the others.

    The source is the record's own key instead of the object's, so that a copy under another name gives the same row.
    """
    return tuple(
        given[name] if name in given else getattr(record, "object_key" if name == "source_key" else name)
        for name in _columns(event)
    )


@cache
def schema_of(event: type[WarehouseEvent]) -> pa.Schema:
    """Return the Arrow schema of an event's rows, in the event's column order; a number too large for its column has room."""
    return pa.schema(
        [field.with_type(pa.int64()) if pa.types.is_integer(field.type) else field for field in arrow_schema(event)]
    )


def table_of(event: type[WarehouseEvent], rows: Iterable[WarehouseRow]) -> pa.Table:
    """Return ``rows`` as one table; each row is a tuple in the event's column order."""
    schema = schema_of(event)
    columns = list(zip(*rows, strict=True))
    if not columns:
        return schema.empty_table()
    return pa.table(
        [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )
