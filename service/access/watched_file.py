"""A value read from files and re-read when they change, so that keys and clients rotate without a restart."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from service.errors import ConfigurationError
from service.telemetry.log import Event, log

Value = TypeVar("Value")
Stamp = tuple[tuple[str, int, int], ...]


def stamp_of(files: Iterable[Path]) -> Stamp:
    """Return name, modification time and size of each file; equal stamps mean unchanged files."""
    found = []
    for file in files:
        state = file.stat()
        found.append((file.name, state.st_mtime_ns, state.st_size))
    return tuple(sorted(found))


class Watched(Generic[Value]):
    """Checks the files at most every ``interval_s`` seconds; keeps the last good value when they cannot be read."""

    def __init__(
        self,
        read: Callable[[], Value],
        stamp: Callable[[], Stamp],
        *,
        interval_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read once.

        Raises:
            ConfigurationError: the files cannot be read.
        """
        self._read = read
        self._stamp = stamp
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._last = stamp()
        except OSError as err:
            raise ConfigurationError(f"{err.filename} cannot be read ({type(err).__name__})") from err
        self._value = read()
        self._checked_at = clock()

    def get(self, *, at_most_s_old: float | None = None) -> Value:
        """Return the value, at most ``interval_s`` (or ``at_most_s_old``) seconds behind the files."""
        age = self._clock() - self._checked_at
        if age < (self._interval_s if at_most_s_old is None else at_most_s_old):
            return self._value
        with self._lock:
            self._refresh()
        return self._value

    def _refresh(self) -> None:
        self._checked_at = self._clock()
        try:
            stamp = self._stamp()
            if stamp != self._last:
                self._value = self._read()
                self._last = stamp
        except (OSError, ConfigurationError) as err:
            # A file is being replaced or has a mistake: keep the last good value.
            log(Event.ACCESS_FILES_UNREADABLE, error=type(err).__name__)
