"""Reconciles bucket and warehouse per hour: objects = loaded + copies + dead + waiting, and each loaded object has a row."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.answers_kept.answer_record import ANSWER_FEEDBACK_PREFIX
from service.answers_kept.archive import Archive, Listed
from service.answers_kept.record import FEEDBACK_PREFIX, RELEASES_PREFIX, time_partition, utc_text
from service.audit.record import AUDIT_PREFIX
from service.loading.objects import PREFIXES, hourly_prefixes
from service.warehouse.events import AuditEvent, FeedbackEvent, SummaryEvent, WarehouseEvent
from service.warehouse.port import Warehouse

# A younger object may still be on its way through the queue.
GRACE = timedelta(minutes=15)
_SHOWN = 10
_EVENT_OF: Mapping[str, type[WarehouseEvent]] = {
    FEEDBACK_PREFIX: FeedbackEvent,
    ANSWER_FEEDBACK_PREFIX: FeedbackEvent,
    AUDIT_PREFIX: AuditEvent,
}
_HOUR_LENGTH = len("year=2026/month=11/day=21/hour=12/")


@dataclass(slots=True)
class Hour:
    """One hour of one prefix. ``rows`` counts its rows in the warehouse; ``missing`` lists objects that were never handled."""

    objects: int = 0
    loaded: int = 0
    copies: int = 0
    dead: int = 0
    waiting: int = 0
    rows: int = 0
    missing: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Whether every object is accounted for and every loaded object has a row.

        More rows than objects are fine: rows of bulk files have no object, and objects expire before rows.
        """
        accounted = self.loaded + self.copies + self.dead + self.waiting
        return not self.missing and accounted == self.objects and self.loaded <= self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketBalance:
    """The reconciliation of a bucket: ``hours`` by folder, request ids with several rows, and dead objects by reason."""

    hours: dict[str, Hour]
    doubled: tuple[str, ...]
    dead: Counter[str]

    @property
    def balanced(self) -> bool:
        """Whether every hour is balanced and no request has two rows."""
        return all(hour.balanced for hour in self.hours.values()) and not self.doubled

    def lines(self) -> list[str]:
        """Return printable lines: the sums, then each unbalanced hour and each request with several rows."""
        names = ("objects", "loaded", "copies", "dead", "waiting", "rows")
        lines = [f"{sum(getattr(hour, name) for hour in self.hours.values()):>9}  {name}" for name in names]
        lines += [f"{count:>9}  dead: {reason}" for reason, count in sorted(self.dead.items())]
        for folder, hour in sorted(self.hours.items()):
            if not hour.balanced:
                counts = ", ".join(f"{getattr(hour, name)} {name}" for name in names)
                lines.append(f"{folder}: {counts}, {len(hour.missing)} missing")
                lines += [f"  missing: {key}" for key in hour.missing[:_SHOWN]]
                if len(hour.missing) > _SHOWN:
                    lines.append(f"  and {len(hour.missing) - _SHOWN} more")
        if self.doubled:
            more = f" and {len(self.doubled) - _SHOWN} more" if len(self.doubled) > _SHOWN else ""
            lines.append(f"more than one row for: {', '.join(self.doubled[:_SHOWN])}{more}")
        lines.append(
            "balanced" if self.balanced else "NOT balanced: `omni load-events --since TIME` loads what is missing"
        )
        return lines


def balance(archive: Archive, warehouse: Warehouse, *, since: datetime | None, now: datetime) -> BucketBalance:
    """Compare bucket and warehouse from the hour of ``since`` on (None: everything)."""
    hours: dict[str, Hour] = {}
    dead: Counter[str] = Counter()
    prefixes = hourly_prefixes(archive)
    for prefix in prefixes:
        start = "" if since is None else time_partition(prefix, utc_text(since))
        for page in archive.listed(prefix, after=start):
            _count_page(warehouse, page, hours, dead, now)
    for folder, rows in _rows(warehouse, prefixes, since):
        hours.setdefault(folder, Hour()).rows += rows
    for folder, hour in hours.items():
        if folder.startswith(RELEASES_PREFIX):
            hour.rows = hour.loaded  # a release's row does not name its object, so its rows cannot be counted per hour
    doubled = warehouse.query(
        f"SELECT request_id FROM {SummaryEvent.table} GROUP BY request_id HAVING COUNT(*) > 1 ORDER BY request_id"  # noqa: S608
    )
    return BucketBalance(hours=hours, doubled=tuple(doubled["request_id"]), dead=dead)


def _count_page(
    warehouse: Warehouse, page: list[Listed], hours: dict[str, Hour], dead: Counter[str], now: datetime
) -> None:
    if not page:
        return
    ends = {"first": page[0].key, "last": page[-1].key}  # a page is sorted by key
    rows = warehouse.query(
        "SELECT object_key, etag, outcome, reason FROM omni_loads WHERE object_key BETWEEN :first AND :last", ends
    )
    known = {(row.object_key, row.etag): (row.outcome, row.reason) for row in rows.itertuples(index=False)}
    for item in page:
        hour = hours.setdefault(_folder(item.key), Hour())
        hour.objects += 1
        outcome, reason = known.get((item.key, item.etag), (None, None))
        if outcome == "loaded":
            hour.loaded += 1
        elif outcome == "duplicate":
            hour.copies += 1
        elif outcome == "dead":
            hour.dead += 1
            dead[str(reason).partition(":")[0]] += 1
        elif now - item.modified < GRACE:
            hour.waiting += 1
        else:
            hour.missing.append(item.key)


def _folder(key: str) -> str:
    prefix, found, rest = key.partition("/year=")
    if found:
        return f"{prefix}/{(found[1:] + rest)[:_HOUR_LENGTH]}"
    return next(prefix for prefix in PREFIXES if key.startswith(prefix))


def _rows(warehouse: Warehouse, prefixes: list[str], since: datetime | None) -> Iterator[tuple[str, int]]:
    for prefix in prefixes:
        if prefix == RELEASES_PREFIX:
            continue
        event = _EVENT_OF.get(prefix, SummaryEvent)
        start = prefix if since is None else time_partition(prefix, utc_text(since))
        length = len(prefix) + _HOUR_LENGTH
        found = warehouse.query(
            f"SELECT SUBSTRING(source_key, 1, {length}) AS folder, COUNT(*) AS n FROM {event.table} "  # noqa: S608
            f"WHERE source_key >= :start AND SUBSTRING(source_key, 1, {len(prefix)}) = :prefix "
            f"GROUP BY SUBSTRING(source_key, 1, {length}) ORDER BY 1",
            {"start": start, "prefix": prefix},
        )
        yield from zip(found["folder"], (int(n) for n in found["n"]), strict=True)
