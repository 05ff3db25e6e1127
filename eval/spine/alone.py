"""Keeps two processes of this machine from doing the same resumable work at once."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from eval.spine.errors import AlreadyRunning

_UNKNOWN = "another process"


class WorkLock:
    """A lock that this process holds; ``name`` writes into the file what others are told."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def name(self, what: str) -> None:
        """Say what the holder does, such as "run 20261122T101500-1a2b"; pid and time are added."""
        self._file.seek(0)
        self._file.truncate()
        since = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"what": what, "pid": os.getpid(), "since": since}, self._file)
        self._file.flush()


@contextmanager
def working_alone(path: Path, what: str) -> Iterator[WorkLock]:
    """Hold the lock file ``path`` while the block runs.

    The operating system drops the lock when its holder ends, also after ``kill -9``, so a file that is left behind
    stops nobody. The file stays: deleting it would let two processes lock two files of one name.

    Raises:
        AlreadyRunning: another process holds it; the message names that process and its work.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"{_holder(file)}: wait for its end, or stop it; the same command then goes on with its answers"
            ) from None
        lock = WorkLock(file)
        lock.name(what)
        yield lock


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        held = json.loads(file.read())
        return f"{held['what']} is at work already (process {held['pid']}, since {held['since']})"
    except (ValueError, KeyError, TypeError):
        return f"{_UNKNOWN} is at work on the same already"  # it has the lock and has not written its name yet
