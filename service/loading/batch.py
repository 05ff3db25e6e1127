"""Prepares a batch of objects: checked rows per table, and for each object whether it is loaded or dead and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from service.core.redaction.texts import PersonalText, TextRedactor
from service.loading.arrow_tables import WarehouseRow, WarehouseRows, table_of
from service.loading.checks import broken_rows
from service.loading.objects import BadObject, DeadReason, Fetched, ObjectKind, Record, read_object
from service.loading.rows import personal_texts, warehouse_rows
from service.warehouse.events import EVENTS, InteractionEvent, SummaryEvent, WarehouseEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """An object that is not loaded; ``detail`` names fields and rules, but quotes no value."""

    key: str
    etag: str
    kind: ObjectKind
    reason: DeadReason
    detail: str
    row_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """An object whose rows are loaded. ``own_key`` follows from its record; an object with another ``key`` is a copy.

    ``withheld`` is why texts of it could not be redacted and are not in its rows, or "".
    """

    key: str
    etag: str
    kind: ObjectKind
    own_key: str
    row_count: int
    withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A prepared batch, which can be pickled between processes. ``good`` is in the order of the objects."""

    tables: Mapping[type[WarehouseEvent], pa.Table]
    good: tuple[Good, ...]
    dead: tuple[Dead, ...]


IsErased = Callable[[Record], bool]


def joined(batches: Sequence[Prepared]) -> Prepared:
    """Return several batches as one, so that they share a transaction and collisions across them are found."""
    return Prepared(
        tables={event: pa.concat_tables([batch.tables[event] for batch in batches]) for event in EVENTS},
        good=tuple(one for batch in batches for one in batch.good),
        dead=tuple(one for batch in batches for one in batch.dead),
    )


@dataclass(slots=True)
class _Rows:
    """The rows of a batch by event, and in parallel the number of the object that each row came from."""

    rows: dict[type[WarehouseEvent], list[WarehouseRow]] = field(
        default_factory=lambda: {event: [] for event in EVENTS}
    )
    owners: dict[type[WarehouseEvent], list[int]] = field(default_factory=lambda: {event: [] for event in EVENTS})

    def add(self, owner: int, rows: WarehouseRows) -> None:
        for event, row in rows:
            self.rows[event].append(row)
            self.owners[event].append(owner)


def prepare(
    items: Iterable[Fetched], now: datetime, redactor: TextRedactor, *, is_erased: IsErased = lambda record: False
) -> Prepared:
    """Read, redact, transform and check ``items``. An object is loaded with all of its rows or with none.

    A text that cannot be redacted is withheld; its row is loaded without it. ``is_erased`` tells of a record whether its customer
    was erased after it was made: its object is dead.

    Raises:
        FinderBroken: no text can be redacted at all.
        StoreError: a remote redactor does not answer; nothing may be loaded yet.
    """
    found = _Rows()
    good: list[Good | None] = []
    dead: list[Dead] = []
    read: list[tuple[Fetched, Record, list[PersonalText]]] = []
    for item in items:
        try:
            record = read_object(item)
            if is_erased(record):
                raise BadObject(DeadReason.ERASED, "its customer was erased")
        except BadObject as err:
            dead.append(_dead(item.key, item.etag, item.said_kind, err.reason, err.detail))
        else:
            # Without its body, which a batch of many objects need not keep.
            read.append((replace(item, body=b""), record, personal_texts(record)))
    redacted = iter(redactor.redact([text for _, _, texts in read for text in texts]))
    for item, record, texts in read:
        mine = [next(redacted) for _ in texts]
        try:
            rows = warehouse_rows(record, [one.text for one in mine])
        except BadObject as err:
            dead.append(_dead(item.key, item.etag, item.said_kind, err.reason, err.detail))
            continue
        found.add(len(good), rows)
        why = "; ".join(dict.fromkeys(one.withheld for one in mine if one.withheld))
        own = record.object_key
        good.append(
            Good(key=item.key, etag=item.etag, kind=item.said_kind, own_key=own, row_count=len(rows), withheld=why)
        )
    tables = {event: table_of(event, rows) for event, rows in found.rows.items()}
    broken: dict[int, str] = {}
    for event, table in tables.items():
        listed = _listed(found) if event is SummaryEvent else None
        for row, why in broken_rows(event, table, now, interactions=listed).items():
            owner = found.owners[event][row]
            broken[owner] = f"{broken[owner]}; {why}" if owner in broken else why
    for owner, why in broken.items():
        one = good[owner]
        assert one is not None
        dead.append(_dead(one.key, one.etag, one.kind, DeadReason.CHECK, why))
        good[owner] = None
    if broken:
        lost = pa.array(list(broken), type=pa.int64())
        for event, table in tables.items():
            owners = pa.array(found.owners[event], type=pa.int64())
            tables[event] = table.filter(pc.invert(pc.is_in(owners, value_set=lost)))
    return Prepared(tables=tables, good=tuple(one for one in good if one is not None), dead=tuple(dead))


def _listed(found: _Rows) -> pa.Array:
    """Return for each summary row how many interactions its record listed."""
    counts: dict[int, int] = {}
    for owner in found.owners[InteractionEvent]:
        counts[owner] = counts.get(owner, 0) + 1
    return pa.array([counts.get(owner, 0) for owner in found.owners[SummaryEvent]], type=pa.int64())


def _dead(key: str, etag: str, kind: ObjectKind, reason: DeadReason, detail: str) -> Dead:
    return Dead(key=key, etag=etag, kind=kind, reason=reason, detail=detail)
