"""Keeps audit records on disk while a store does not take them, and writes them when it does again."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from service.audit.auditor import AuditStore
from service.audit.record import AuditRecord
from service.kit.delivery.shape import DeliveryOutcome, Shape
from service.kit.delivery.spool import Spool, SpoolError
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log

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
