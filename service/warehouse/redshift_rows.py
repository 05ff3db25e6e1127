"""Converts values to and from the JSON of Redshift's Data API."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from service.kit.frame.errors import QueryRefused
from service.warehouse.frames import unique_names

if TYPE_CHECKING:
    import pyarrow as pa


def parameter_text(name: str, value: Any) -> str:
    """Return a query parameter as the text that the Data API expects.

    Raises:
        QueryRefused: the value is None, an empty text or of another type: the Data API accepts none of these.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, str) and value:
        return value
    raise QueryRefused(
        f"parameter :{name}: Redshift's Data API takes non-empty texts, numbers and times, but neither None nor ''"
    )


def table_of(columns: Sequence[Mapping[str, Any]], records: Sequence[Sequence[Mapping[str, Any]]]) -> "pa.Table":
    """Return a result of the Data API as an arrow table."""
    import pyarrow as pa

    kinds: Mapping[str, tuple[pa.DataType, Callable[[Any], Any]]] = {
        "bool": (pa.bool_(), bool),
        "int2": (pa.int64(), int),
        "int4": (pa.int64(), int),
        "int8": (pa.int64(), int),
        "float4": (pa.float64(), float),
        "float8": (pa.float64(), float),
        "numeric": (pa.float64(), float),
        "date": (pa.date32(), date.fromisoformat),
        "timestamp": (pa.timestamp("us"), datetime.fromisoformat),
        "timestamptz": (pa.timestamp("us", tz="UTC"), datetime.fromisoformat),
    }
    arrays = []
    for number, column in enumerate(columns):
        kind, read = kinds.get(column["typeName"], (pa.string(), str))
        arrays.append(pa.array([_value(record[number], read) for record in records], kind))
    return pa.Table.from_arrays(arrays, names=unique_names([column["name"] for column in columns]))


def _value(field: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
    if field.get("isNull"):
        return None
    return read(next(value for name, value in field.items() if name != "isNull"))
