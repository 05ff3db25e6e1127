"""Keeps records on this machine's disk until the stores hold them: one file each, written atomically, bounded in size."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from service.answers_kept.answer_record import ServedRecord, read_served
from service.kit.frame.errors import ServiceError
from service.kit.frame.files import OWNER_ONLY, write_whole
from service.kit.telemetry.log import Event, log

_SUFFIX = ".json"
_ASIDE = "aside"
_MEASURE_EVERY_S = 1.0


class SpoolError(ServiceError):
    """The spool cannot take a record: the disk is full, the spool's size limit is reached, or the folder is not writable."""


class Spool:
    """One folder, which several processes may share. A file survives the end of the process, not of the machine.

    ``max_bytes`` bounds the folder as last measured plus what this process adds. Before it reports a full spool it measures
    again, at most once a second, because another process may have emptied it. Records that a store refuses permanently, and
    files that cannot be read, are moved to the folder ``aside`` for a person to inspect.
    """

    def __init__(self, folder: Path, *, max_bytes: int, wall_clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._bytes: int | None = None
        self._measured_at = -_MEASURE_EVERY_S

    def add(self, record: ServedRecord) -> Path:
        """Write the record's file, readable by its owner alone, and return its path.

        Raises:
            SpoolError: it could not be written; no part of it remains.
        """
        body = record.to_json().encode()
        path = self._folder / f"{record.generated_at.replace(':', '')}-{record.request_id}{_SUFFIX}"
        try:
            with self._lock:
                if self._bytes is None:
                    self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    self._bytes = self._measure()
                if (
                    self._bytes + len(body) > self._max_bytes
                    and time.monotonic() - self._measured_at >= _MEASURE_EVERY_S
                ):
                    self._bytes = self._measure()
                if self._bytes + len(body) > self._max_bytes:
                    raise SpoolError(f"spool {self._folder} is full: {self._bytes} of {self._max_bytes} bytes")
                self._bytes += len(body)
            try:
                # No fsync: it would cost each request milliseconds, and a container's disk is lost with its machine anyway.
                write_whole(str(path), body, mode=OWNER_ONLY)
            except OSError:
                self._forget(len(body))
                raise
        except OSError as err:
            raise SpoolError(f"spool {self._folder} takes no file: {err.strerror or type(err).__name__}") from err
        return path

    def remove(self, path: Path) -> None:
        """Delete a record's file if it still exists."""
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return
        self._forget(size)

    def waiting(self, *, older_than_s: float = 0.0) -> list[Path]:
        """Return the files written at least ``older_than_s`` ago, oldest answer first; deletes half-written ones."""
        if not self._folder.is_dir():
            return []
        latest = self._wall_clock() - older_than_s
        found = []
        for entry in os.scandir(self._folder):
            try:
                if not entry.is_file() or entry.stat().st_mtime > latest:
                    continue
            except FileNotFoundError:  # another process deleted it first
                continue
            if entry.name.endswith(_SUFFIX):
                found.append(Path(entry.path))
            elif entry.name.endswith(".tmp") and older_than_s > 0:
                Path(entry.path).unlink(missing_ok=True)  # its writer died before the file was complete
        with self._lock:
            self._bytes = self._measure()
        return sorted(found)

    def read(self, path: Path) -> ServedRecord | None:
        """Return the record of a file; None when it is gone, or damaged (it is then moved aside)."""
        try:
            return read_served(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            log(Event.SUMMARY_REFUSED, request_id=_id_of(path), error="DamagedSpoolFile")
            self.set_aside(path)
            return None

    def set_aside(self, path: Path) -> None:
        """Move a file that no store will take to the folder ``aside``."""
        aside = self._folder / _ASIDE
        aside.mkdir(mode=0o700, exist_ok=True)
        try:
            path.rename(aside / path.name)
        except FileNotFoundError:
            return

    def request_ids(self) -> tuple[set[str], set[str]]:
        """Return the request ids of the waiting files, and of those moved aside."""
        return _ids(self._folder), _ids(self._folder / _ASIDE)

    def _measure(self) -> int:
        self._measured_at = time.monotonic()
        total = 0
        for folder in (self._folder, self._folder / _ASIDE):
            for entry in os.scandir(folder) if folder.is_dir() else ():
                try:
                    total += entry.stat().st_size if entry.is_file() else 0
                except FileNotFoundError:
                    continue
        return total

    def _forget(self, size: int) -> None:
        with self._lock:
            self._bytes = max((self._bytes or 0) - size, 0)


def _ids(folder: Path) -> set[str]:
    return {_id_of(path) for path in folder.glob(f"*{_SUFFIX}")}


def _id_of(path: Path) -> str:
    """Return the request id in a file's name; a file that somebody else put there counts under its whole name."""
    _, found, rest = path.stem.partition("-req-")
    return f"req-{rest}" if found else path.stem
