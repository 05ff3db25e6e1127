"""Converts query results to pandas frames with the same column types for both engines."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def to_frame(table: "pa.Table") -> "pd.DataFrame":
    """Return ``table`` as a frame.

    Column types:
    - whole numbers: int64, or Int64 if a value is missing; booleans: bool, or boolean if a value is missing
    - decimals: float64
    - times: datetime64[us, UTC], or without a zone if the query removed it; a date becomes its midnight
    - missing texts are NaN, missing times NaT
    """
    import pandas as pd

    return pd.DataFrame({name: _series(column) for name, column in zip(table.column_names, table.columns, strict=True)})


def _series(column: "pa.ChunkedArray") -> Any:
    import pandas as pd
    import pyarrow as pa

    kind = column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if column.null_count and pa.types.is_integer(kind):
        return column.cast(pa.int64()).to_pandas(types_mapper=lambda _: pd.Int64Dtype())
    if pa.types.is_integer(kind):
        column = column.cast(pa.int64())
    if column.null_count and pa.types.is_boolean(kind):
        return column.to_pandas(types_mapper=lambda _: pd.BooleanDtype())
    return column.to_pandas(date_as_object=False)


def unique_names(names: list[str]) -> list[str]:
    """Return column names in lower case, as Redshift does; a repeated name gets its column number as a suffix."""
    found: list[str] = []
    for number, name in enumerate((name.lower() for name in names), 1):
        found.append(name if name not in found else f"{name}_{number}")
    return found
