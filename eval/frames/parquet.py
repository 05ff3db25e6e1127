"""Writes a run's frames as Parquet files whose columns carry their unit and meaning."""

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from eval.frames.columns import CASES, METRICS, RUNS, TEXTS, FrameColumn
from eval.frames.evaluations import cases, metrics, run_pairs
from eval.spine.errors import ResultsError
from service.kit.frame.files import write_whole
from service.kit.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


def write_run(run_id: str, folder: Path, settings: Settings, *, texts: bool = False) -> list[Path]:
    """Write ``runs.parquet``, ``cases.parquet`` and ``metrics.parquet`` of one run into ``folder`` and return their paths.

    All three are made before the first is written, and each is replaced atomically.
    """
    files = {
        "runs": parquet_of(run_pairs(run_id, settings), RUNS),
        "cases": parquet_of(cases(run_id, settings, texts=texts), (*CASES, *TEXTS)),
        "metrics": parquet_of(metrics(run_id, settings), METRICS),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / f"{name}.parquet", content)
    except OSError as err:
        raise ResultsError(f"cannot write into {folder} ({err.strerror}); name another folder with --out") from err
    return [folder / f"{name}.parquet" for name in files]


def parquet_of(frame: "pd.DataFrame", columns: Sequence[FrameColumn]) -> bytes:
    """Return ``frame`` as a Parquet file; each field's metadata hold the ``unit`` and ``meaning`` of its column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with warnings.catch_warnings():
        # pyarrow 25 reads columns of times in a way that pandas 3.1 deprecates.
        warnings.filterwarnings("ignore", "Series.values returning an ndarray that drops timezone", DeprecationWarning)
        table = pa.Table.from_pandas(frame, preserve_index=False)
    described = [
        field.with_metadata({"unit": column.unit, "meaning": column.meaning})
        for field in table.schema
        for column in columns
        if column.is_of(field.name)
    ]
    buffer = BytesIO()
    pq.write_table(table.cast(pa.schema(described, metadata=table.schema.metadata)), buffer)
    return buffer.getvalue()
