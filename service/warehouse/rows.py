"""Converts events to pyarrow tables with the warehouse's column types, for merging and for Redshift's COPY files."""

import types
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from service.kit.frame.errors import WarehouseError
from service.warehouse.events import WarehouseEvent

if TYPE_CHECKING:
    import pyarrow as pa

# For the column cost_usd: 12 places hold one token of the cheapest model's cached input (8.75e-9 USD) without rounding.
DECIMAL_DIGITS, DECIMAL_PLACES = 20, 12


def arrow_schema(event: type[WarehouseEvent]) -> "pa.Schema":
    """Return the event's columns in order, with the types and nullability declared in ``infra/warehouse/``."""
    import pyarrow as pa

    return pa.schema([_field(name, field.annotation) for name, field in event.model_fields.items()])


def to_table(event: type[WarehouseEvent], rows: Iterable[WarehouseEvent | Mapping[str, Any]]) -> "pa.Table":
    """Return ``rows`` as the event's table, in the same order.

    Raises:
        WarehouseError: a row has an unknown column, or a value of the wrong type; the message quotes no value.
    """
    import pyarrow as pa

    schema = arrow_schema(event)
    plain = [dict(row) for row in rows]
    unknown = sorted({name for row in plain for name in row} - set(schema.names))
    if unknown:
        raise WarehouseError(f"{event.table} has no column {', '.join(unknown)}")
    arrays = []
    for field in schema:
        try:
            arrays.append(pa.array([row.get(field.name) for row in plain], field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            raise WarehouseError(f"{event.table}.{field.name}: a value is not {field.type}") from None
    return pa.Table.from_arrays(arrays, schema=pa.schema([pa.field(field.name, field.type) for field in schema]))


def without_doubles(event: type[WarehouseEvent], rows: "pa.Table") -> "pa.Table":
    """Return one row per key, in the original order: the row preferred by ``event.prefer``, and of equal ones the last."""
    frame = rows.select([*event.key, *event.prefer]).to_pandas()
    if event.prefer:
        frame = frame.sort_values(list(event.prefer), na_position="first", kind="stable")
    kept = frame.drop_duplicates(list(event.key), keep="last").index.sort_values()
    return rows if len(kept) == rows.num_rows else rows.take(kept.to_numpy())


def _field(name: str, annotation: Any) -> "pa.Field":
    import pyarrow as pa

    nullable = get_origin(annotation) in (Union, types.UnionType)
    inner = next(part for part in get_args(annotation) if part is not type(None)) if nullable else annotation
    if get_origin(inner) is Literal:
        inner = type(get_args(inner)[0])
    kind = {
        str: pa.string(),
        bool: pa.bool_(),
        int: pa.int32(),
        float: pa.float64(),
        Decimal: pa.decimal128(DECIMAL_DIGITS, DECIMAL_PLACES),
        datetime: pa.timestamp("us", tz="UTC"),
    }[inner]
    return pa.field(name, kind, nullable=nullable)
