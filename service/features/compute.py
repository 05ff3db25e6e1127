"""Computes a version of a view for all customers and writes it to the table that serves it.

A run is about one moment, so an interrupted one goes on where it stopped, with the same moment. Only one process at a time writes
a version; versions stand beside each other.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from service.features.definitions import FeatureView
from service.features.history import FeatureValues, values_at
from service.features.online import FORM, FeatureRow, served
from service.kit.aws.stores import FEATURES
from service.kit.frame.errors import ConfigurationError
from service.kit.records.conditions import Changes
from service.kit.records.items import Item
from service.kit.records.lease import Lease, LeaseFields
from service.kit.records.rows import Rows, Write, key_attributes
from service.kit.records.tombstones import Tombstones, nobody_erased
from service.warehouse.port import Warehouse

_TOGETHER = 100  # DynamoDB's bound of a transaction
_NOTED_EVERY = 10  # transactions
_HELD_S = 120.0
_RUNS = "runs"  # no customer's partition: those hold a slash
_LEASE = LeaseFields()


def _nothing(done: int, of: int) -> None:
    del done, of


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRun:
    """The last run of a version: the moment that it is about, whether it ended, and how far it came."""

    view: str
    as_of: datetime
    rows: int
    finished: bool


@dataclass(slots=True, kw_only=True)
class Computed:
    """What a run did. ``problems`` counts values that were left out, by feature and reason; ``erased`` rows were not written."""

    view: str
    as_of: datetime
    written: int = 0
    resumed_after: int = 0
    erased: int = 0
    problems: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureWriter:
    """Writes computed features. ``scope`` keeps stages apart; ``report`` hears how many rows are done, and of how many."""

    warehouse: Warehouse
    rows: Rows
    scope: str
    tombstones: Tombstones = field(default_factory=nobody_erased)
    report: Callable[[int, int], None] = _nothing
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.time

    def compute(self, view: FeatureView, *, as_of: datetime | None = None) -> Computed:
        """Compute and write a view's values at ``as_of``, by default now; go on with an unfinished run of today instead.

        Raises:
            ConfigurationError: another process is writing this version, or the definition is wrong.
            StoreError: the table does not answer; run it again, it goes on.
        """
        owner = uuid.uuid4().hex
        lease = Lease(self.rows, _run_key(self.scope, view.id), _LEASE, now=self.clock)
        if not lease.take(owner, for_s=_HELD_S):
            raise ConfigurationError(f"another process is computing {view.id}: wait for it to end")
        try:
            return self._compute(view, as_of, owner, lease)
        finally:
            lease.release(owner)

    def _compute(self, view: FeatureView, as_of: datetime | None, owner: str, lease: Lease) -> Computed:
        moment, done = self._begin(view, as_of)
        result = Computed(view=view.id, as_of=moment, resumed_after=done)
        values = values_at(self.warehouse, view, moment)
        result.problems.update(
            {f"{problem.column}: {problem.reason}": len(problem.rows) for problem in values.problems}
        )
        rows = feature_rows(values, view, moment)
        for number, start in enumerate(range(done, len(rows), _TOGETHER), 1):
            part = rows[start : start + _TOGETHER]
            self._write(part, result)
            done += len(part)
            self.report(done, len(rows))
            if number % _NOTED_EVERY == 0:
                self._note(view.id, {"done": done}, owner)
                lease.renew(owner, for_s=_HELD_S)
        self._note(view.id, {"done": len(rows), "finished": True}, owner)
        return result

    def _begin(self, view: FeatureView, as_of: datetime | None) -> tuple[datetime, int]:
        """Return the moment of the run and how many rows are written already."""
        last, now = last_run(self.rows, view, scope=self.scope), self.now()
        goes_on = last is not None and not last.finished and now - last.as_of < timedelta(hours=view.fresh_hours)
        if last is not None and goes_on and as_of in (None, last.as_of):
            return last.as_of, last.rows
        moment = as_of or now
        if moment > now:
            raise ConfigurationError(f"{moment:%Y-%m-%d %H:%M} is in the future: nobody knows yet what happens by then")
        sets: Item = {"as_of": moment.isoformat(), "done": 0, "finished": False}
        self.rows.update(_run_key(self.scope, view.id), Changes(sets=sets))
        return moment, 0

    def _write(self, part: Sequence[FeatureRow], result: Computed) -> None:
        kept = [row for row in part if not self.tombstones.covers([row.person], row.as_of)]
        result.erased += len(part) - len(kept)
        if kept:
            self.rows.together([Write(item=self._item(row)) for row in kept])
        result.written += len(kept)

    def _item(self, row: FeatureRow) -> Item:
        customer, view = FORM.key(row)
        expires = FORM.expires(row)
        assert expires is not None
        item = FORM.to_item(row) | {FEATURES.expires: int(expires.timestamp())}
        return item | key_attributes(FEATURES, (scoped(self.scope, customer), view))

    def _note(self, view: str, sets: Item, owner: str) -> None:
        self.rows.update(_run_key(self.scope, view), Changes(sets=sets), when=_LEASE.held(owner))


def last_run(rows: Rows, view: FeatureView, *, scope: str) -> FeatureRun | None:
    """Return the last run of a version, or None."""
    found = rows.get(_run_key(scope, view.id))
    if found is None or "as_of" not in found:
        return None
    moment = datetime.fromisoformat(found["as_of"])
    return FeatureRun(view=view.id, as_of=moment, rows=found.get("done", 0), finished=bool(found.get("finished")))


def _run_key(scope: str, view: str) -> tuple[str, str]:
    return scoped(scope, _RUNS), view


def scoped(scope: str, partition: str) -> str:
    """Return a partition with the stage in front, as ``RecordTable`` writes it."""
    return f"{scope}/{partition}" if scope else partition


def feature_rows(values: FeatureValues, view: FeatureView, as_of: datetime) -> list[FeatureRow]:
    """Return computed values as rows, in the order of tenant and customer."""
    wrong: dict[int, dict[str, str]] = {}
    for problem in values.problems:
        for position in problem.rows:
            wrong.setdefault(position, {})[problem.column] = problem.reason
    found = [
        FeatureRow(
            tenant=record["tenant"],
            person=record["customer"],
            view=view.id,
            moment=record["moment"].to_pydatetime(),
            as_of=as_of,
            values={name: served(record[name], column.kind) for name, column in view.columns.items()},
            problems=wrong.get(position, {}),
        )
        for position, record in enumerate(_records(values))
    ]
    return sorted(found, key=lambda row: (row.tenant, row.person))


def _records(values: FeatureValues) -> Iterator[Mapping[str, Any]]:
    names = list(values.rows.columns)
    for row in values.rows.itertuples(index=False, name=None):
        yield dict(zip(names, row, strict=True))
