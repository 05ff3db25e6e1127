"""Where audit records are kept: objects in the bucket, which the warehouse loads, and a table of what guards found."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from service.audit.auditor import AuditStore
from service.audit.record import AuditRecord, KeptFinding, time_text
from service.kit.aws.bounded import patiently
from service.kit.aws.stores import FINDINGS, TableIndex
from service.kit.delivery.shape import DeliveryOutcome, Shape
from service.kit.delivery.spool import Spool, SpoolError
from service.kit.frame.errors import StoreError
from service.kit.records.conditions import at_least
from service.kit.records.items import Item
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordForm, RecordTable
from service.kit.telemetry.log import Event, log

FINDINGS_KEPT = timedelta(days=90)
_KIND, _DAY = FINDINGS.indexes
_PATIENCE_S = 5.0


class JsonObjects(Protocol):
    """Writes objects of a bucket, such as ``service.answers_kept.archive.Archive``."""

    def put_json(self, key: str, text: str) -> object:
        """Write ``text`` as object ``key`` unless the object exists."""


class AuditObjects:
    """Puts each record into the bucket as one object."""

    name = "bucket"

    def __init__(self, archive: JsonObjects) -> None:
        self._archive = archive

    def put(self, record: AuditRecord) -> None:
        """See ``AuditStore.put``."""
        patiently(partial(self._archive.put_json, record.object_key, record.model_dump_json()), timeout_s=_PATIENCE_S)


class FindingTable:
    """Puts each finding into one DynamoDB table, from which it goes after 90 days."""

    name = "findings"

    def __init__(self, rows: Rows) -> None:
        self._table = RecordTable(rows, _FORM)

    def put(self, record: AuditRecord) -> None:
        """See ``AuditStore.put``."""
        for found in record.findings:
            self._table.put(found)

    def of_kind(self, kind: str, since: datetime) -> list[dict[str, str]]:
        """Return the findings of one kind from ``since`` on, oldest first."""
        return self._queried(_KIND, kind, since)

    def of_day(self, day: str, since: datetime) -> list[dict[str, str]]:
        """Return the findings of one day (UTC) from ``since`` on, oldest first."""
        return self._queried(_DAY, day, since)

    def _queried(self, index: TableIndex, value: str, since: datetime) -> list[dict[str, str]]:
        since_then = at_least(FINDINGS.sort, time_text(since))
        found = self._table.rows.query(Query(partition=value, index=index, sort=since_then))
        return [{name: str(value) for name, value in item.items()} for item in found]


def _item(found: KeptFinding) -> Item:
    texts = {name: str(value) for name, value in found.model_dump(mode="json").items() if value is not None}
    return {**texts, _DAY.partition: time_text(found.timestamp)[:10]}


_FORM: RecordForm[KeptFinding] = RecordForm(
    noun="finding",
    key=lambda found: (found.log_id, time_text(found.timestamp)),
    to_item=_item,
    from_item=KeptFinding.model_validate,
    version="",
    expires=lambda found: found.timestamp + FINDINGS_KEPT,
)


_MOST_BYTES = 100_000_000  # the log has the events of any further record
_AT_ONCE = 100
_PAUSE_S = 10.0


def _tell(told: DeliveryOutcome, audit_id: str, why: str) -> None:
    log(Event.AUDIT_UNKEPT, request_id=audit_id, reason=why or told.value)


RECORDS: Shape[AuditRecord] = Shape(
    id_of=lambda record: record.audit_id,
    to_json=AuditRecord.model_dump_json,
    read=AuditRecord.model_validate_json,
    stem_of=lambda record: record.audit_id,
    id_in=lambda stem: stem,
    tell=_tell,
)


class Spooled:
    """A store in front of which records wait. Several processes may share ``folder``: a record written twice exists once."""

    def __init__(self, store: AuditStore, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` is in seconds."""
        self.name = store.name
        self._store = store
        self._spool = Spool(folder, RECORDS, max_bytes=_MOST_BYTES)
        self._clock = clock
        self._not_before = 0.0
        self._replaying = threading.Lock()

    def put(self, record: AuditRecord) -> None:
        """See ``AuditStore.put``; a record that the store did not take waits on disk, and the error is raised all the same."""
        try:
            self._store.put(record)
        except Exception:
            try:
                self._spool.add(record)
            except SpoolError as err:
                _tell(DeliveryOutcome.UNSPOOLED, record.audit_id, str(err))
            raise
        self.replay()

    def replay(self) -> int:
        """Write what waits, some of it, unless that was tried a moment ago; return how many records are written now."""
        if self._clock() < self._not_before or not self._replaying.acquire(blocking=False):
            return 0
        done = 0
        try:
            waiting = self._spool.waiting()
            for path in waiting[:_AT_ONCE]:
                if (record := self._spool.read(path)) is not None:
                    try:
                        self._store.put(record)
                    except StoreError:
                        self._spool.put_behind(path)
                        raise
                    self._spool.remove(path)
                    done += 1
            if done == len(waiting):
                self._not_before = self._clock() + _PAUSE_S
        except (StoreError, OSError):  # it fails again, or the disk does: the files stay
            self._not_before = self._clock() + _PAUSE_S
        finally:
            self._replaying.release()
        return done
