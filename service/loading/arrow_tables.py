"""Builds rows and Arrow tables with the columns of an event class and the warehouse's types."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pyarrow as pa

from service.warehouse.events import WarehouseEvent

WarehouseRow = tuple[Any, ...]
WarehouseRows = list[tuple[type[WarehouseEvent], WarehouseRow]]
# USD with ten decimals, as in infra/warehouse.
MONEY = pa.decimal128(18, 10)
_TYPES: Mapping[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    bool: pa.bool_(),
    float: pa.float64(),
    datetime: pa.timestamp("us", tz="UTC"),
    Decimal: MONEY,
}


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
    """Return the Arrow schema of an event's rows, in the event's column order."""
    return pa.schema([_field(name, field.annotation) for name, field in event.model_fields.items()])


def table_of(event: type[WarehouseEvent], rows: Iterable[WarehouseRow]) -> pa.Table:
    """Return ``rows`` as one table; each row is a tuple in the event's column order."""
    schema = schema_of(event)
    columns = list(zip(*rows, strict=True))
    if not columns:
        return schema.empty_table()
    return pa.table(
        [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def _field(name: str, annotation: Any) -> pa.Field:
    kinds = set(get_args(annotation)) if get_origin(annotation) in (UnionType, Union) else {annotation}
    optional = NoneType in kinds
    (kind,) = kinds - {NoneType}
    return pa.field(name, _TYPES[str if get_origin(kind) is Literal else kind], nullable=optional)
