"""Nightly compaction: the results of a tenant's day, one small JSON each, become one Parquet file per table.

The JSON stays, because people and the API read it. A day is written again when its results have changed (a late call, a call that
was scored again, or one that was erased), or when the tables have gained a column. A manifest remembers of what a day was made.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from pydantic import ValidationError

from service.answers_kept.archive import Listed
from service.calls.exports.weekly import parquet_of
from service.calls.keys import compact_key, day_prefix, manifest_key
from service.calls.result import CallResult, rows_of
from service.calls.store.objects import TenantResults
from service.warehouse.events import CallCriterionEvent, CallEvent
from service.warehouse.rows import to_table

# Results are kept for 30 days: a day that is looked at for the last time still has all of them.
LOOK_BACK_DAYS = 28
_TABLES = (CallEvent.table, CallCriterionEvent.table)


@dataclass(slots=True)
class Compacted:
    """What a run did for a tenant: days written, days whose results are all gone, objects read, keys that cannot be read."""

    tenant: str
    written: list[date] = field(default_factory=list)
    removed: list[date] = field(default_factory=list)
    unchanged: int = 0
    objects: int = 0
    unreadable: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        said = (
            f"{self.tenant}: {self.objects} results in {len(self.written)} days compacted, {self.unchanged} days unchanged, "
            f"{len(self.removed)} days removed"
        )
        return [said, *(f"  unreadable, left out: {key}" for key in self.unreadable)]


def compact(results: TenantResults, today: date, *, look_back: int = LOOK_BACK_DAYS) -> Compacted:
    """Bring the tenant's compacted days up to date; the last day is yesterday. Safe to repeat and to interrupt.

    Raises:
        StoreError: S3 does not answer; the days that were written stay.
    """
    made = Compacted(tenant=results.tenant)
    text = results.read(manifest_key(results.tenant))
    known: dict[str, str] = {} if text is None else json.loads(text)
    days = [today - timedelta(days=number) for number in range(look_back, 0, -1)]
    kept = {day.isoformat(): known[day.isoformat()] for day in days if day.isoformat() in known}
    for day in days:
        found = list(results.listed(day_prefix(results.tenant, day)))
        digest = _digest(found)
        if digest == kept.get(day.isoformat()):
            made.unchanged += 1
        elif found:
            _write(results, day, found, made)
            kept[day.isoformat()] = digest
        elif day.isoformat() in kept:
            for table in _TABLES:
                results.delete(compact_key(results.tenant, table, day))
            del kept[day.isoformat()]
            made.removed.append(day)
    # Last, so that a run that was interrupted is repeated. Days that are too old leave the list; their files go by age.
    if kept != known:
        results.put(manifest_key(results.tenant), json.dumps(kept, indent=1, sort_keys=True))
    return made


def _write(results: TenantResults, day: date, found: Sequence[Listed], made: Compacted) -> None:
    calls: list[CallEvent] = []
    criteria: list[CallCriterionEvent] = []
    for one in found:
        text = results.read(one.key)
        if text is None:  # it was erased since it was listed; the next run sees another list
            continue
        try:
            row, own = rows_of(CallResult.model_validate_json(text), one.key)
        except ValidationError:
            made.unreadable.append(one.key)
            continue
        calls.append(row)
        criteria += own
    tables = {
        CallEvent.table: to_table(CallEvent, calls),
        CallCriterionEvent.table: to_table(CallCriterionEvent, criteria),
    }
    for name, table in tables.items():
        body = parquet_of(table)
        results.put_bytes(compact_key(results.tenant, name, day), body, "application/vnd.apache.parquet")
    made.written.append(day)
    made.objects += len(calls)


def _columns() -> list[str]:
    return [f"{event.table} {name}" for event in (CallEvent, CallCriterionEvent) for name in event.model_fields]


def _digest(found: Sequence[Listed]) -> str:
    text = "\n".join([*_columns(), *sorted(f"{one.key}\t{one.etag}" for one in found)])
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
