"""Takes events of customers in: reads and checks a batch, merges what is good, and puts the rest into quarantine.

Whoever is interrupted repeats the batch: events that are there already change nothing. Quarantined events are kept as they came,
one object each, so that one customer's can be erased; what is no JSON is not kept, because nobody could tell whose it is.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from service.answers_kept.archive import Archive
from service.answers_kept.record import utc_text
from service.kit.delivery.dead_letters import DeadLetter, DeadLetters
from service.kit.records.tombstones import Tombstones, nobody_erased
from service.kit.telemetry.fields import account_hash
from service.loading.checks import broken_rows
from service.loading.customers.quality import QualityReport
from service.loading.customers.record import (
    MOST_BYTES,
    ArrivedEvent,
    BadEvent,
    CustomerRecord,
    QuarantineReason,
    event_row,
    read_event,
    version_in,
)
from service.loading.queries import within
from service.warehouse.events import CustomerEvent
from service.warehouse.port import Warehouse
from service.warehouse.rows import to_table

QUARANTINE_PREFIX = "omni-channel/customer-quarantine/"
QUALITY_PREFIX = "omni-channel/customer-quality/"
BATCH_EVENTS = 5_000
_AT_ONCE = 500
_UNKEPT = frozenset({QuarantineReason.NOT_JSON, QuarantineReason.TOO_LARGE})
_LETTER_BYTES = 4 * MOST_BYTES  # a record with its escapes

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    arrived: ArrivedEvent
    reason: QuarantineReason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerIntake:
    """Takes batches in. It opens the warehouse for each batch and closes it afterwards, so that readers get their turn."""

    archive: Archive
    open_warehouse: Callable[[], Warehouse]
    tombstones: Tombstones = field(default_factory=nobody_erased)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def take(self, batch: Sequence[ArrivedEvent], source: str) -> QualityReport:
        """Take a batch in and keep its quality report in the bucket; ``source`` names it there.

        Raises:
            StoreError: bucket or notes of erased customers do not answer; nothing of the batch is lost, repeat it.
            WarehouseError: the warehouse cannot take it; repeat the batch.
        """
        report, _ = self._take(batch, source)
        return report

    def replay(self, reason: QuarantineReason | None = None) -> Iterator[QualityReport]:
        """Take quarantined events in again, all or those with one reason; those that load leave the quarantine."""
        letters = self.letters()
        waiting = [one for one in letters.waiting(reason) if one.reason not in _UNKEPT]
        for start in range(0, len(waiting), BATCH_EVENTS):
            part = waiting[start : start + BATCH_EVENTS]
            batch = [arrived for one in part if (arrived := self._again(one)) is not None]
            report, outcomes = self._take(batch, f"replay of {len(batch)} events")
            letters.replayed(part, outcomes)
            yield report

    def letters(self) -> DeadLetters:
        """Return the quarantine."""
        return DeadLetters(
            prefix=QUARANTINE_PREFIX,
            suffix=".json",
            write=self.archive.put_json,
            keys=lambda prefix: (item.key for page in self.archive.listed(prefix) for item in page),
            delete=self.archive.erase,
        )

    def _take(self, batch: Sequence[ArrivedEvent], source: str) -> tuple[QualityReport, dict[str, str | None]]:
        now = self.now()
        report = QualityReport(source=source, at=now, events=len(batch))
        report.versions.update(version_in(one.body) for one in batch)
        read, refused = _read(batch)
        erased = [one for one in read if self._is_erased(one[1])]
        report.erased = len(erased)
        gone = {arrived.source for arrived, _ in erased}
        kept = [one for one in read if one[0].source not in gone]
        with closing(self.open_warehouse()) as warehouse:
            rows = _checked(kept, now, refused)
            rows = _without_unknown(warehouse, rows, refused, {arrived.source: arrived for arrived, _ in kept})
            rows, report.repeated = _without_known(warehouse, rows, refused, {one.source: one for one, _ in kept})
            self._quarantine(refused, now)
            warehouse.merge(CustomerEvent, to_table(CustomerEvent, rows))
        report.loaded = len(rows)
        loaded = {row["source"] for row in rows}
        report.undated = sum(arrived.source in loaded and record.recorded_at is None for arrived, record in kept)
        report.quarantined.update(one.reason.value for one in refused)
        report.describe(rows)
        self.archive.put_json(f"{QUALITY_PREFIX}{utc_text(now)}-{_file_name(source)}.json", report.to_json())
        outcomes: dict[str, str | None] = {_file_name(one.source): None for one in batch}
        return report, outcomes | {_file_name(one.arrived.source): one.reason.value for one in refused}

    def _is_erased(self, record: CustomerRecord) -> bool:
        # What happened before the erasure does not come back, whenever it was written down.
        return self.tombstones.covers([account_hash(record.customer_id)], record.occurred_at)

    def _quarantine(self, refused: Iterable[_Refused], now: datetime) -> None:
        letters = self.letters()
        for one in refused:
            about = {"source": one.arrived.source}
            if one.reason not in _UNKEPT:
                about["record"] = one.arrived.body.decode(errors="replace")
            if one.arrived.arrived_at is not None:
                about["arrived_at"] = one.arrived.arrived_at.isoformat()
            letters.bury(_file_name(one.arrived.source), one.reason.value, one.detail, now, about)

    def _again(self, letter: DeadLetter) -> ArrivedEvent | None:
        stored = self.archive.read(letter.key, most_bytes=_LETTER_BYTES)
        if stored is None or stored.body is None:
            return None
        content = json.loads(stored.body)
        # An event that came through the stream counts from now on: until now nobody could read it in the warehouse.
        arrived_at = self.now() if "arrived_at" in content else None
        return ArrivedEvent(source=content["source"], body=content["record"].encode(), arrived_at=arrived_at)


def batches(lines: Iterable[ArrivedEvent]) -> Iterator[list[ArrivedEvent]]:
    """Yield ``lines`` in batches."""
    rest = iter(lines)
    while part := list(islice(rest, BATCH_EVENTS)):
        yield part


def _read(batch: Sequence[ArrivedEvent]) -> tuple[list[tuple[ArrivedEvent, CustomerRecord]], list[_Refused]]:
    good: list[tuple[ArrivedEvent, CustomerRecord]] = []
    refused: list[_Refused] = []
    for one in batch:
        try:
            good.append((one, read_event(one.body)))
        except BadEvent as err:
            refused.append(_Refused(arrived=one, reason=err.reason, detail=err.detail))
    return good, refused


def _checked(read: Sequence[tuple[ArrivedEvent, CustomerRecord]], now: datetime, refused: list[_Refused]) -> list[_Row]:
    """Return the rows that pass the checks of ``service.loading.checks``; add the others to ``refused``."""
    rows: list[_Row] = []
    by_row: list[ArrivedEvent] = []
    for arrived, record in read:
        row = event_row(record, arrived, now)
        if why := _cannot_be(row):
            refused.append(_Refused(arrived=arrived, reason=QuarantineReason.CHECK, detail=why))
        else:
            rows.append(row)
            by_row.append(arrived)
    broken = broken_rows(CustomerEvent, to_table(CustomerEvent, rows), now)
    for number, why in broken.items():
        refused.append(_Refused(arrived=by_row[number], reason=QuarantineReason.CHECK, detail=why))
    return [row for number, row in enumerate(rows) if number not in broken]


def _cannot_be(row: _Row) -> str:
    """Return why a row does not even fit its column, or ""."""
    for name in ("satisfaction", "home_built"):
        if row[name] is not None and not -(2**31) <= row[name] < 2**31:
            return f"{name}: out of range"
    amount = row["amount"]
    if amount is not None and (abs(amount) >= 10**8 or amount.as_tuple().exponent < -12):
        return "amount: out of range, or more than twelve decimals"
    return ""


def _without_unknown(
    warehouse: Warehouse, rows: list[_Row], refused: list[_Refused], arrived: Mapping[str, ArrivedEvent]
) -> list[_Row]:
    """Return the rows of customers who are known, from the warehouse or from this batch."""
    known = {_person(row) for row in rows if row["event_type"] == "customer"}
    asked = sorted({row["customer"] for row in rows if _person(row) not in known})
    for names, parameters in _parts(asked):
        sql = (
            "SELECT DISTINCT tenant, customer FROM omni_customer_events WHERE event_type = 'customer' "  # noqa: S608
            f"AND customer IN {names}"
        )
        found = warehouse.query(sql, parameters)
        known |= set(zip(found["tenant"], found["customer"], strict=True))
    detail = "no event of type customer has come of this customer; replay it when one has"
    for row in rows:
        if _person(row) not in known:
            one = arrived[row["source"]]
            refused.append(_Refused(arrived=one, reason=QuarantineReason.UNKNOWN_CUSTOMER, detail=detail))
    return [row for row in rows if _person(row) in known]


def _without_known(
    warehouse: Warehouse, rows: list[_Row], refused: list[_Refused], arrived: Mapping[str, ArrivedEvent]
) -> tuple[list[_Row], int]:
    """Return the rows that are new, and how many are there already with the same content; another content is refused."""
    there: dict[tuple[str, str], str] = {}
    for names, parameters in _parts(sorted({row["event_id"] for row in rows})):
        sql = f"SELECT tenant, event_id, content FROM omni_customer_events WHERE event_id IN {names}"  # noqa: S608
        found = warehouse.query(sql, parameters)
        there |= dict(zip(zip(found["tenant"], found["event_id"], strict=True), found["content"], strict=True))
    fresh: list[_Row] = []
    repeated = 0
    for row in rows:
        content = there.setdefault((row["tenant"], row["event_id"]), "")
        if not content:
            there[(row["tenant"], row["event_id"])] = row["content"]
            fresh.append(row)
        elif content == row["content"]:
            repeated += 1
        else:
            detail = "another event with this event_id is there; a correction is a new event with its own id"
            one = arrived[row["source"]]
            refused.append(_Refused(arrived=one, reason=QuarantineReason.CONFLICT, detail=detail))
    return fresh, repeated


def _person(row: _Row) -> tuple[str, str]:
    return row["tenant"], row["customer"]


def _parts(values: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for start in range(0, len(values), _AT_ONCE):
        yield within(values[start : start + _AT_ONCE])


def _file_name(source: str) -> str:
    """Return a source as the last part of a key."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in source)[-200:]
