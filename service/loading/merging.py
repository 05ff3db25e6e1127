"""Merges a prepared batch into the warehouse in one transaction, and copies the newest verdict into each summary's row."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from service.loading.arrow_tables import schema_of, table_of
from service.loading.batch import Dead, Good, Prepared
from service.loading.checks import CLOCK_SKEW
from service.loading.objects import DeadReason
from service.loading.queries import load_rows, within
from service.warehouse.events import EVENTS, FeedbackEvent, LoadEvent, SummaryEvent
from service.warehouse.port import Warehouse

# A query lists at most this many times; beyond it, reading the whole range between the first and the last is cheaper.
_MOST_LISTED = 1000
_VERDICTS_AT_ONCE = 50_000
_LONGEST_REASON = 1000

Bury = Callable[[Sequence[Dead]], None]


@dataclass(slots=True)
class LoadTally:
    """Counts of a load.

    Objects: ``loaded`` (of which ``copies`` have a key that is not their record's, and ``withheld`` lack a text that could not be
    redacted), ``known`` (handled before), ``foreign`` (not events) and ``dead`` by reason. Rows: ``rows`` written and
    ``repeated`` (stored already). ``verdicts`` counts summaries that received a verdict.
    """

    loaded: int = 0
    copies: int = 0
    known: int = 0
    foreign: int = 0
    repeated: int = 0
    rows: int = 0
    verdicts: int = 0
    withheld: int = 0
    dead: Counter[str] = field(default_factory=Counter)

    def add(self, other: "LoadTally") -> None:
        """Add another tally's counts to this one."""
        for name in ("loaded", "copies", "known", "foreign", "repeated", "rows", "verdicts", "withheld"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.dead.update(other.dead)

    @property
    def objects(self) -> int:
        """The number of objects examined."""
        return self.loaded + self.known + self.foreign + self.dead.total()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """A batch after its collisions are resolved.

    ``summaries`` are the rows to load, ``losers`` the batch's objects that lost by key, ``displaced`` the stored rows that lost.
    """

    summaries: pa.Table
    losers: Mapping[str, Dead]
    displaced: tuple[Dead, ...]


def merge_batch(warehouse: Warehouse, batch: Prepared, now: datetime, *, bury: Bury, record: bool = True) -> LoadTally:
    """Load a batch, all or nothing.

    Args:
        warehouse: open for writing.
        batch: its rows and objects.
        now: aware time, stored as ``loaded_at``.
        bury: writes dead letters; called before the transaction, so it must be safe to repeat.
        record: write a row of ``omni_loads`` per object; False for a bulk file, which has one row for all its objects.

    Raises:
        WarehouseError: the warehouse refused the batch; its tables are unchanged.
    """
    settled = _settle(warehouse, batch)
    dead = (*batch.dead, *settled.losers.values(), *settled.displaced)
    bury(dead)
    good = [one for one in batch.good if one.key not in settled.losers]
    tally = LoadTally(
        loaded=len(good),
        copies=sum(one.key != one.own_key for one in good) if record else 0,
        withheld=sum(bool(one.withheld) for one in good),
        dead=Counter(one.reason.value for one in dead),
    )
    with warehouse.transaction():
        # Interactions belong to the request, so they are loaded even if its summary lost a collision.
        for event in sorted(EVENTS, key=lambda one: one is SummaryEvent):
            rows = settled.summaries if event is SummaryEvent else batch.tables[event]
            if rows.num_rows:
                merged = warehouse.merge(event, rows)
                tally.rows += merged.inserted + merged.updated
                tally.repeated += merged.unchanged
        loads = [*(_loaded(one, now) for one in good if record), *(_buried(one, now) for one in dead)]
        if loads:
            warehouse.merge(LoadEvent, table_of(LoadEvent, loads))
    return tally


def oldest_moment(batch: Prepared) -> datetime | None:
    """Return the earliest time of a verdict that can concern this batch; None if the batch has no summary and no verdict."""
    times = [
        found
        for event, column in ((SummaryEvent, "generation_timestamp"), (FeedbackEvent, "feedback_timestamp"))
        if (found := pc.min(batch.tables[event][column]).as_py()) is not None
    ]
    return min(times) - CLOCK_SKEW if times else None


def join_verdicts(warehouse: Warehouse, since: datetime | None = None) -> int:
    """Copy the newest verdict on each summary into its row if it is not there yet; return how many rows changed.

    It compares all feedback given since ``since`` (None: all feedback) with the stored summaries. So the order of arrival does
    not matter, and the next loader completes what a killed one left.
    """
    changed = 0
    while True:
        stale = warehouse.query(
            _STALE + ("" if since is None else _SINCE) + _ORDERED, {"since": since} if since else None
        )
        if stale.empty:
            return changed
        with warehouse.transaction():
            warehouse.merge(SummaryEvent, _summaries(stale))
        changed += len(stale)
        if len(stale) < _VERDICTS_AT_ONCE:
            return changed


_KEPT = [name for name in SummaryEvent.model_fields if name not in ("helpful_feedback", "feedback_timestamp")]
# Read as text, because a query returns a DECIMAL as a float.
_COLUMNS = ", ".join(
    "CAST(s.cost_usd AS VARCHAR(40)) AS cost_usd" if name == "cost_usd" else f"s.{name}" for name in _KEPT
)
_STALE = f"""
WITH newest AS (
    SELECT request_id, helpful_feedback, feedback_timestamp,
           ROW_NUMBER() OVER (PARTITION BY request_id ORDER BY feedback_timestamp DESC, feedback_id DESC) AS place
    FROM omni_feedback
)
SELECT {_COLUMNS}, f.helpful_feedback, f.feedback_timestamp
FROM omni_summaries s
JOIN newest f ON f.request_id = s.request_id AND f.place = 1
WHERE (s.feedback_timestamp IS NULL OR s.feedback_timestamp < f.feedback_timestamp
       OR (s.feedback_timestamp = f.feedback_timestamp AND s.helpful_feedback <> f.helpful_feedback))
"""  # noqa: S608 - names of our own columns
_SINCE = " AND f.feedback_timestamp >= :since"
_ORDERED = f" ORDER BY s.generation_timestamp, s.request_id LIMIT {_VERDICTS_AT_ONCE}"


def _summaries(frame: pd.DataFrame) -> pa.Table:
    schema = schema_of(SummaryEvent)
    columns = []
    for name in schema.names:
        values: Any = frame[name]
        if name == "cost_usd":
            values = [None if pd.isna(text) else Decimal(text) for text in values]
        elif isinstance(values.dtype, pd.DatetimeTZDtype):
            # pandas 3.1 warns about pyarrow 25's conversion of a column with a time zone.
            values = values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
            columns.append(pc.assume_timezone(pa.array(values, type=pa.timestamp("us"), from_pandas=True), "UTC"))
            continue
        columns.append(pa.array(values, type=schema.field(name).type, from_pandas=True))
    return pa.table(columns, schema=schema)


def _settle(warehouse: Warehouse, batch: Prepared) -> _Settled:
    """Resolve rows that share a key with another request: the greatest request id stays, in whatever order they arrive."""
    table = batch.tables[SummaryEvent]
    untouched = _Settled(summaries=table, losers={}, displaced=())
    if table.num_rows == 0:
        return untouched
    key = list(SummaryEvent.key)
    mine = table.select([*key, "request_id", "source_key"]).to_pandas()
    there = _present(warehouse, mine["generation_timestamp"])
    there = there.merge(mine[key].drop_duplicates(), on=key)
    both = pd.concat([there, mine[[*key, "request_id", "source_key"]]], ignore_index=True)
    winners = both.groupby(key, sort=False)["request_id"].transform("max")
    lost = both["request_id"] != winners
    if not lost.any():
        return untouched
    lost_there, lost_mine = lost[: len(there)], lost[len(there) :].to_numpy()
    owners = [one for one in batch.good if one.kind in ("summary", "answer")]
    losers = {
        one.key: _collided(one.key, one.etag, one.row_count)
        for one, is_lost in zip(owners, lost_mine, strict=True)
        if is_lost
    }
    displaced = _displaced(warehouse, list(there.loc[lost_there, "source_key"]))
    return _Settled(summaries=table.filter(pa.array(~lost_mine)), losers=losers, displaced=displaced)


def _present(warehouse: Warehouse, times: "pd.Series[Any]") -> pd.DataFrame:
    select = "SELECT contact_id, generation_timestamp, request_id, source_key FROM omni_summaries WHERE generation_timestamp "
    asked = times.drop_duplicates()
    if len(asked) <= _MOST_LISTED:
        names, parameters = within([moment.to_pydatetime() for moment in asked])
        found = warehouse.query(select + "IN " + names, parameters)
    else:
        ends = {"first": asked.min().to_pydatetime(), "last": asked.max().to_pydatetime()}
        found = warehouse.query(select + "BETWEEN :first AND :last", ends)
    found["generation_timestamp"] = pd.to_datetime(found["generation_timestamp"], utc=True).astype(times.dtype)
    return found


def _displaced(warehouse: Warehouse, source_keys: list[str]) -> tuple[Dead, ...]:
    if not source_keys:
        return ()
    return tuple(_collided(*row) for row in load_rows(warehouse, source_keys))


def _collided(key: str, etag: str, row_count: int) -> Dead:
    detail = "another request of this contact has the same millisecond and a greater request id, which is kept"
    return Dead(
        key=key, etag=etag, kind="summary", reason=DeadReason.COLLISION, detail=detail, row_count=max(row_count - 1, 0)
    )


def _loaded(one: Good, now: datetime) -> tuple[Any, ...]:
    outcome = "loaded" if one.key == one.own_key else "duplicate"
    reason = f"withheld: {one.withheld}"[:_LONGEST_REASON] if one.withheld else None
    return (one.key, one.etag, one.kind, outcome, reason, one.row_count, now)


def _buried(one: Dead, now: datetime) -> tuple[Any, ...]:
    return (one.key, one.etag, one.kind, "dead", f"{one.reason}: {one.detail}"[:_LONGEST_REASON], one.row_count, now)
