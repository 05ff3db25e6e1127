"""The wall clock: the machine's, or in `local` a time from a file, to simulate weeks of traffic within minutes."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from service.kit.frame.errors import ConfigurationError
from service.kit.frame.files import write_whole


def wall_clock(file: Path | None = None) -> Callable[[], datetime]:
    """Return a function that returns the current time (aware UTC).

    With a ``file``, the function returns the ISO time in the file, which it reads at each call. Deadlines, latencies and access
    tokens use other clocks, which are always real.

    Raises:
        ConfigurationError: at a call, if the file holds no ISO time with a zone.
    """
    return _machine if file is None else _FileClock(file)


def set_clock(file: Path, moment: datetime) -> None:
    """Set the time of all clocks that read ``file`` to ``moment``, atomically."""
    write_whole(file, moment.astimezone(UTC).isoformat())


def _machine() -> datetime:
    return datetime.now(UTC)


class _FileClock:
    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self) -> datetime:
        try:
            moment = datetime.fromisoformat(self._file.read_text(encoding="utf-8").strip())
        except (OSError, ValueError) as err:
            raise ConfigurationError(f"OMNI_CLOCK_FILE={self._file} holds no ISO time; write one, or unset it") from err
        if moment.tzinfo is None:
            raise ConfigurationError(f"OMNI_CLOCK_FILE={self._file} holds a time without a zone; add Z")
        return moment.astimezone(UTC)
