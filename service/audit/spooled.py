"""Keeps audit records on disk while a store does not take them, and writes them when it does again."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from service.audit.auditor import AuditStore
from service.audit.record import AuditRecord
from service.kit.frame.errors import StoreError
from service.kit.frame.files import write_whole

_MOST_WAITING = 10_000  # files, about 100 MB; the log has the events of any further record
_AT_ONCE = 100
_PAUSE_S = 10.0


class Spooled:
    """A store in front of which records wait. Several processes may share ``folder``: a record written twice exists once."""

    def __init__(self, store: AuditStore, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` is in seconds."""
        self.name = store.name
        self._store = store
        self._folder = folder
        self._clock = clock
        self._not_before = 0.0
        self._replaying = threading.Lock()

    def put(self, record: AuditRecord) -> None:
        """See ``AuditStore.put``; a record that the store did not take waits on disk, and the error is raised all the same."""
        try:
            self._store.put(record)
        except Exception:
            self._hold(record)
            raise
        self.replay()

    def replay(self) -> int:
        """Write what waits, some of it, unless that was tried a moment ago; return how many records are written now."""
        if self._clock() < self._not_before or not self._replaying.acquire(blocking=False):
            return 0
        try:
            waiting = sorted(islice(self._folder.glob("*.json"), _MOST_WAITING), key=_age)
            done = 0
            for path in waiting[:_AT_ONCE]:
                done += self._written(path)
            if done == len(waiting):
                self._not_before = self._clock() + _PAUSE_S
            return done
        except (StoreError, OSError):  # it fails again, or the disk does: the files stay
            self._not_before = self._clock() + _PAUSE_S
            return 0
        finally:
            self._replaying.release()

    def _written(self, path: Path) -> bool:
        try:
            record = AuditRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:  # another process has written it
            return False
        except ValidationError:
            path.rename(path.with_suffix(".unreadable"))
            return False
        try:
            self._store.put(record)
        except StoreError:
            # A record that the store never takes, such as one too large for it, goes behind the others.
            now = time.time_ns()  # finer than the file system's own clock
            with suppress(OSError):
                os.utime(path, ns=(now, now))
            raise
        path.unlink(missing_ok=True)
        return True

    def _hold(self, record: AuditRecord) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sum(1 for _ in self._folder.glob("*.json")) < _MOST_WAITING:
            write_whole(self._folder / f"{record.audit_id}.json", record.model_dump_json(), mode=0o600)


def _age(path: Path) -> tuple[int, str]:
    """Sort the longest waiting first; another process may have written the file meanwhile."""
    try:
        return path.stat().st_mtime_ns, path.name
    except FileNotFoundError:
        return 0, path.name
