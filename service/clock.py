"""The wall clock: the machine's own, or in `local` the time that a file holds, for weeks of traffic within minutes."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from service.errors import ConfigurationError
from service.files import write_whole


def wall_clock(file: Path | None = None) -> Callable[[], datetime]:
    """Return what tells the time (aware UTC). With a ``file`` it is the file's ISO time, read anew each time, standing still.

    Deadlines, latencies and tokens go by other clocks: what is timed is always real.

    Raises:
        ConfigurationError: when asked, and the file holds no time.
    """
    return _machine if file is None else _FileClock(file)


def set_clock(file: Path, moment: datetime) -> None:
    """Let the clocks that read ``file`` say ``moment``; no reader sees half a time."""
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
