"""Keeps items on this machine's disk until their stores hold them: one file each, written atomically, bounded in size."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic

from service.kit.delivery.shape import DeliveryOutcome, Item, Shape
from service.kit.frame.errors import ServiceError
from service.kit.frame.files import OWNER_ONLY, write_whole

_SUFFIX = ".json"
_ASIDE = "aside"
_MEASURE_EVERY_S = 1.0


class SpoolError(ServiceError):
    """The spool cannot take an item: the disk is full, the spool's size limit is reached, or the folder is not writable."""


class Spool(Generic[Item]):
    """One folder, which several processes may share. A file survives the end of the process, not of the machine.

    ``max_bytes`` bounds the folder as last measured plus what this process adds. Before it reports a full spool it measures
    again, at most once a second, because another process may have emptied it. Items that a store refuses permanently, and
    files that cannot be read, are moved to the folder ``aside`` for a person to inspect.
    """

    def __init__(
        self, folder: Path, shape: Shape[Item], *, max_bytes: int, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.shape = shape
        self._folder = folder
        self._max_bytes = max_bytes
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._bytes: int | None = None
        self._measured_at = -_MEASURE_EVERY_S

    def add(self, item: Item) -> Path:
        """Write the item's file, readable by its owner alone, and return its path.

        Raises:
            SpoolError: it could not be written; no part of it remains.
        """
        body = self.shape.to_json(item).encode()
        path = self._folder / f"{self.shape.stem_of(item)}{_SUFFIX}"
        try:
            self._reserve(len(body))
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
        """Delete an item's file if it still exists."""
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return
        self._forget(size)

    def put_behind(self, path: Path) -> None:
        """Let an item wait behind the others, so that one that its store never takes does not hold them up."""
        now = time.time_ns()  # finer than the file system's own clock
        with suppress(OSError):
            os.utime(path, ns=(now, now))

    def waiting(self, *, older_than_s: float = 0.0) -> list[Path]:
        """Return the files written at least ``older_than_s`` ago, longest waiting first; deletes half-written ones."""
        if not self._folder.is_dir():
            return []
        latest = (self._wall_clock() - older_than_s) * 1e9
        found = []
        for entry in os.scandir(self._folder):
            try:
                if not entry.is_file() or (at := entry.stat().st_mtime_ns) > latest:
                    continue
            except FileNotFoundError:  # another process deleted it first
                continue
            if entry.name.endswith(_SUFFIX):
                found.append((at, entry.path))
            elif entry.name.endswith(".tmp") and older_than_s > 0:
                Path(entry.path).unlink(missing_ok=True)  # its writer died before the file was complete
        with self._lock:
            self._bytes = self._measure()
        return [Path(path) for _, path in sorted(found)]

    def read(self, path: Path) -> Item | None:
        """Return the item of a file; None when it is gone, or damaged (it is then moved aside)."""
        try:
            return self.shape.read(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            self.shape.tell(DeliveryOutcome.REFUSED, self.shape.id_in(path.stem), "DamagedSpoolFile")
            self.set_aside(path)
            return None

    def set_aside(self, path: Path) -> None:
        """Move a file that no store will take to the folder ``aside``."""
        aside = self._folder / _ASIDE
        aside.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            path.rename(aside / path.name)

    def ids(self) -> tuple[set[str], set[str]]:
        """Return the ids of the waiting items, and of those moved aside."""
        waiting, aside = (
            {self.shape.id_in(path.stem) for path in folder.glob(f"*{_SUFFIX}")}
            for folder in (self._folder, self._folder / _ASIDE)
        )
        return waiting, aside

    def _reserve(self, size: int) -> None:
        with self._lock:
            if self._bytes is None or not self._folder.is_dir():  # somebody may have removed it
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._bytes = self._measure()
            if self._bytes + size > self._max_bytes and time.monotonic() - self._measured_at >= _MEASURE_EVERY_S:
                self._bytes = self._measure()
            if self._bytes + size > self._max_bytes:
                raise SpoolError(f"spool {self._folder} is full: {self._bytes} of {self._max_bytes} bytes")
            self._bytes += size

    def _measure(self) -> int:
        self._measured_at = time.monotonic()
        total = 0
        for folder in (self._folder, self._folder / _ASIDE):
            for entry in os.scandir(folder) if folder.is_dir() else ():
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size if entry.is_file() else 0
        return total

    def _forget(self, size: int) -> None:
        with self._lock:
            self._bytes = max((self._bytes or 0) - size, 0)
