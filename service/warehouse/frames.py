"""Results as pandas frames, with the same types from either engine."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def to_frame(table: "pa.Table") -> "pd.DataFrame":
    """Return ``table`` as a frame.

    Whole numbers are int64, or Int64 where one is missing, and truth values bool or boolean likewise; decimals are float64;
    times are datetime64[us, UTC], or without a zone where the query took it off; a day is its midnight. Missing texts and times
    are NaN and NaT.
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
    """Return column names as Redshift gives them, in lower case; the second of two equal ones gets its number."""
    found: list[str] = []
    for number, name in enumerate((name.lower() for name in names), 1):
        found.append(name if name not in found else f"{name}_{number}")
    return found
