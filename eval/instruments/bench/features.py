"""``omni bench features``: are features in history, at a case's time and as served equal, and how fast is a read?

Made-up customers with one to twelve events each go through the warehouse's file and a local AWS of its own, over the wire. A
second count over the same events, in Python and event by event, says what each case knew.
"""

import asyncio
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.instruments.bench.customers import random_events
from eval.instruments.bench.naive_features import features_by_hand
from service.features.build import feature_table
from service.features.compare import compare
from service.features.compute import FeatureWriter
from service.features.definitions import FeatureViews, read_views
from service.features.history import as_known, history
from service.features.online import OnlineFeatures, served
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.aws.stores import FEATURES
from service.kit.frame.display.terminal import say
from service.kit.records.dynamo import DynamoEventLoopRows
from service.kit.records.rows import Rows
from service.kit.settings import Settings
from service.kit.telemetry.fields import account_hash
from service.local import aws
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import CustomerEvent
from service.warehouse.port import Warehouse
from service.warehouse.rows import to_table

if TYPE_CHECKING:
    import pandas as pd

_SEED = 20261125
_NOW = datetime(2026, 11, 20, tzinfo=UTC)
_DAY = timedelta(days=1)
_SCOPE = "bench"
_READS, _IN_FLIGHT = 5_000, 50
_MERGED_AT_ONCE = 200_000
# A mean may be rounded the other way in the last place.
_TOLERANCE = 1.5e-6


def main(customers: int, among: int, keep: Path | None = None) -> int:
    """Print the comparison and the times; return 1 if two values differ, else 0."""
    with tempfile.TemporaryDirectory(prefix="omni-bench-") as folder, _local_aws(Path(folder)) as settings:
        differ = _compared(settings, Path(folder), customers, keep)
        if among:
            _timed(settings, Path(folder), among)
    say("all equal" if not differ else f"{differ} values differ")
    return 1 if differ else 0


def _compared(settings: Settings, folder: Path, customers: int, keep: Path | None) -> int:
    events = list(random_events(customers, seed=_SEED))
    with closing(_filled(folder / "compared.duckdb", events)) as warehouse:
        cases = _cases(events, customers)
        differ, known = _differing_from_hand(warehouse, events, cases)
        say(f"{customers} cases, {len(events)} events: history differs from a count by hand in {differ} values")
        rows = feature_table(settings)
        for view in read_views().served():
            _writer(warehouse, rows).compute(view)
            found = compare(warehouse, rows, view, _NOW, scope=_SCOPE)
            say(
                f"{view.id}: {found.offline} in the warehouse, {found.online} served, {found.equal} equal to the last bit"
            )
            differ += sum(found.differences.values())
        if keep is not None:
            _kept(keep, warehouse, cases, known)
    return differ


def _differing_from_hand(
    warehouse: Warehouse, events: Sequence[Mapping[str, Any]], cases: "pd.DataFrame"
) -> "tuple[int, pd.DataFrame]":
    """Return how many values of cases differ from a count event by event, and the cases with their features."""
    of: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in events:
        of.setdefault((row["tenant"], row["customer"]), []).append(row)
    asked = zip(cases["tenant"], cases["customer"], cases["as_of"], strict=True)
    expected = [features_by_hand(of[(tenant, customer)], at) for tenant, customer, at in asked]
    differ, known = 0, cases
    for view in read_views().served():
        found = as_known(history(warehouse, view, _NOW).rows, cases, list(view.columns))
        for name, column in view.columns.items():
            known = known.assign(**{name: found[name]})
            for got, wanted in zip(found[name], expected, strict=True):
                differ += not _equal(served(got, column.kind), wanted.get(name))
    return differ, known


def _equal(got: object, wanted: object) -> bool:
    if isinstance(got, float) and isinstance(wanted, float):
        return abs(got - wanted) <= _TOLERANCE
    return got == wanted


def _cases(events: Sequence[Mapping[str, Any]], customers: int) -> "pd.DataFrame":
    """Return one case for each customer, at a random time of three years; some are before anything was known."""
    import pandas as pd

    chance = random.Random(_SEED + 1)
    people = sorted({(row["tenant"], row["customer"]) for row in events})[:customers]
    rows = [(*person, _NOW - chance.randrange(1100 * 24) * _DAY / 24) for person in people]
    return pd.DataFrame(rows, columns=["tenant", "customer", "as_of"])


def _kept(folder: Path, warehouse: Warehouse, cases: "pd.DataFrame", known: "pd.DataFrame") -> None:
    """Write the cases, what we say of them, and the history of each view, as a reference reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    cases.to_parquet(folder / "cases.parquet")
    known.to_parquet(folder / "known.parquet")
    for view in read_views().served():
        history(warehouse, view, _NOW).rows.to_parquet(folder / f"{view.view}.parquet")
    say(f"cases and histories are in {folder}")


def _timed(settings: Settings, folder: Path, among: int) -> None:
    """Serve ``among`` customers and read features of random ones, ``_IN_FLIGHT`` at once."""
    began = time.perf_counter()
    named = (row | {"customer": account_hash(row["customer"])} for row in random_events(among, seed=_SEED + 2))
    views = read_views()
    with closing(_filled(folder / "timed.duckdb", named)) as warehouse:
        say(f"{among} customers in the warehouse after {time.perf_counter() - began:.0f} s")
        began = time.perf_counter()
        for view in views.served():
            written = _writer(warehouse, feature_table(settings)).compute(view).written
            say(f"{view.id}: {written} rows served after {time.perf_counter() - began:.0f} s")
    times_ms, missing = asyncio.run(_reads(settings, views, among))
    p50, p95 = statistics.median(times_ms), float(np.quantile(times_ms, 0.95))
    say(
        f"{len(times_ms)} reads of all features among {among} customers, {_IN_FLIGHT} in flight: "
        f"p50 {p50:.1f} ms, p95 {p95:.1f} ms; {missing} without any"
    )
    alone_ms, _ = asyncio.run(_reads(settings, views, among, in_flight=1, reads=_READS // 10))
    p50, p95 = statistics.median(alone_ms), float(np.quantile(alone_ms, 0.95))
    say(
        f"{len(alone_ms)} reads, one at a time: p50 {p50:.1f} ms, p95 {p95:.1f} ms (the local AWS is one Python process)"
    )


async def _reads(
    settings: Settings, views: FeatureViews, among: int, in_flight: int = _IN_FLIGHT, reads: int = _READS
) -> tuple[list[float], int]:
    """Return the time of each read in ms, and how many found nothing."""
    chance = random.Random(_SEED)
    asked = iter([chance.randrange(among) for _ in range(reads)])
    times: list[float] = []
    missing = 0
    async with DynamoQueries.beside(client("dynamodb", settings), settings) as queries:
        rows = DynamoEventLoopRows(queries, FEATURES, settings.stores.features_table, timeout_s=30.0)
        online = OnlineFeatures(rows, views, scope=_SCOPE)

        async def read_some() -> None:
            nonlocal missing
            for number in asked:
                began = time.perf_counter()
                found = await online.of(f"tenant-{number % 3}", f"{number:08x}", _NOW)
                times.append(1000 * (time.perf_counter() - began))
                missing += not found.values

        await online.of("tenant-0", "warm-up", _NOW)
        await asyncio.gather(*(read_some() for _ in range(in_flight)))
    return times, missing


def _filled(path: Path, events: "Iterator[Mapping[str, Any]] | Sequence[Mapping[str, Any]]") -> DuckWarehouse:
    warehouse = DuckWarehouse(path)
    warehouse.migrate()
    part: list[Mapping[str, Any]] = []
    for row in events:
        part.append(row)
        if len(part) == _MERGED_AT_ONCE:
            warehouse.merge(CustomerEvent, to_table(CustomerEvent, part))
            part = []
    warehouse.merge(CustomerEvent, to_table(CustomerEvent, part))
    return warehouse


def _writer(warehouse: Warehouse, rows: Rows) -> FeatureWriter:
    return FeatureWriter(warehouse=warehouse, rows=rows, scope=_SCOPE, now=lambda: _NOW, report=_progress)


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty() or done % 20_000 == 0:
        say(f"{done} of {of}", file=sys.stderr, end="\r" if sys.stderr.isatty() else "\n", flush=True)


@contextmanager
def _local_aws(folder: Path) -> Iterator[Settings]:
    """Start a local AWS that keeps its state in ``folder``, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(state_dir=folder, local_aws_port=port, store_timeout_s=30.0)
    aws.start(settings)
    try:
        yield settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    finally:
        aws.ministack(settings).stop()
