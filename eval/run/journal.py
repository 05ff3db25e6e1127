"""Records which runs began and ended, so that an interrupted run resumes under its own id."""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from service.kit.frame.files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A run's identity: the same ``key`` means the same pairs, cases, suite and environment."""

    run_id: str
    key: str
    status: Literal["running", "finished"]
    started_at: str


class Journal:
    """Run records as one small JSON file each, in ``folder``."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def lock_path(self, key: str) -> Path:
        """Return the lock file of the runs with ``key``: whoever holds it may open them."""
        return self._folder / f"{key[:32]}.lock"

    def open(self, key: str) -> tuple[JournalEntry, bool]:
        """Return the unfinished run with ``key``, or a new one; the flag says whether it is resumed."""
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            record = _read(path)
            if record is not None and record.key == key:
                if record.status == "running":
                    return record, True
                break  # the newest run with this key ended: start afresh
        now = time.gmtime(self._clock())
        record = JournalEntry(
            run_id=f"{time.strftime('%Y%m%dT%H%M%S', now)}-{secrets.token_hex(2)}",
            key=key,
            status="running",
            started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", now),
        )
        self._write(record)
        return record, False

    def finish(self, record: JournalEntry) -> None:
        """Mark ``record`` as ended; later runs with the same key get a new id."""
        self._write(JournalEntry(run_id=record.run_id, key=record.key, status="finished", started_at=record.started_at))

    def unfinished(self, run: str) -> str | None:
        """Return the id of the newest unfinished run whose id begins with ``run``, or None."""
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            record = _read(path)
            if record is not None and record.status == "running" and record.run_id.startswith(run):
                return record.run_id
        return None

    def _write(self, record: JournalEntry) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / f"{record.run_id}.json", json.dumps(asdict(record)))


def _read(path: Path) -> JournalEntry | None:
    try:
        return JournalEntry(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # half-written by a crash of an older version, or not ours
