"""The columns of the frames: name, type, unit and meaning; docs/reference/frames.md lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from service.kit.frame.strict import parse_yaml, read_strict

if TYPE_CHECKING:
    import pandas as pd

ColumnType = Literal["text", "number", "integer", "boolean", "time"]
# What a missing value is: NaN in text and number, NA in integer and boolean, NaT in time.
_PANDAS: dict[ColumnType, str] = {
    "text": "str",
    "number": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "time": "datetime64[us, UTC]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameColumn:
    """One column of a frame. A name that ends in ``*`` stands for a family: one column for each name of a kind."""

    name: str
    type: ColumnType
    meaning: str
    unit: str = ""

    def is_of(self, name: str) -> bool:
        """Return whether this describes the column ``name``."""
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name


def _read() -> dict[str, tuple[FrameColumn, ...]]:
    _, frames = parse_yaml(read_strict(Path(__file__).with_suffix(".yaml")))
    return {
        frame: tuple(FrameColumn(name=name, **fields) for name, fields in columns.items())
        for frame, columns in frames.items()
    }


_COLUMNS = _read()
RUNS, CASES, TEXTS = _COLUMNS["runs"], _COLUMNS["cases"], _COLUMNS["texts"]
METRICS, RELEASES = _COLUMNS["metrics"], _COLUMNS["releases"]


def frame_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[FrameColumn]) -> "pd.DataFrame":
    """Return ``rows`` as a frame with ``columns``, in their order and with their types.

    A family gets the columns that any row has, sorted by name. A value that a row lacks is missing.
    """
    import pandas as pd

    present = sorted({name for row in rows for name in row})
    series: dict[str, pd.Series[Any]] = {}
    for column in columns:
        names = [name for name in present if column.is_of(name)] if column.name.endswith("*") else [column.name]
        for name in names:
            values = [_typed(row.get(name), column.type) for row in rows]
            series[name] = pd.Series(values, dtype=_PANDAS[column.type])
    return pd.DataFrame(series)


def _typed(value: Any, kind: ColumnType) -> Any:
    if value is None:
        return None
    if kind == "text":
        return str(value).encode("utf-8", "replace").decode("utf-8")  # an unpaired surrogate fits into no column
    if kind == "time":
        return datetime.fromisoformat(value)
    return float(value) if kind == "number" else value
