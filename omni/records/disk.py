"""Records and objects as files, readable by their owner alone."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from omni.records.port import KeptRecord, RecordKind
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.files import OWNER_ONLY, write_whole


class DiskRecords:
    """One file per record. A lock file makes a write's comparison and its replacement one step for all processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, kind: RecordKind, name: str) -> KeptRecord | None:
        """Return the record; see ``Records``.

        Raises:
            ConfigurationError: its file cannot be read.
        """
        return _read(self._path(kind, name))

    def write(self, kind: RecordKind, name: str, body: str, *, replaces: KeptRecord | None) -> bool:
        """Write the record if it is still ``replaces``; see ``Records``."""
        path = self._path(kind, name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock():
            there, version = _read(path), 0 if replaces is None else replaces.version
            if (0 if there is None else there.version) != version:
                return False
            text = json.dumps({"version": version + 1, "body": json.loads(body)}, indent=1, ensure_ascii=False)
            write_whole(path, text, mode=OWNER_ONLY, durable=True)
        return True

    def all(self, kind: RecordKind) -> dict[str, KeptRecord]:
        """Return all records of ``kind``; see ``Records``."""
        paths = sorted((self._folder / kind).glob("*.json"))
        found = {unquote(path.stem): _read_or_empty(path) for path in paths}
        return {name: record for name, record in found.items() if record is not None}

    def place(self, kind: RecordKind, name: str) -> str:
        """Return the record's file; see ``Records``."""
        return str(self._path(kind, name))

    def _path(self, kind: RecordKind, name: str) -> Path:
        return self._folder / kind / f"{quote(name, safe='')}.json"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self._folder / "records.lock").open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class DiskObjects:
    """One file per object."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, content: bytes) -> None:
        """Write or replace the content; see ``Objects``."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._path(name), content, mode=OWNER_ONLY, durable=True)

    def get(self, name: str) -> bytes | None:
        """Return the content, or None."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Delete the content if it exists."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / quote(name, safe="")


def _read(path: Path) -> KeptRecord | None:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
        return KeptRecord(body=json.dumps(found["body"], ensure_ascii=False), version=int(found["version"]))
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{path} holds no record of the schedule: delete it") from None


def _read_or_empty(path: Path) -> KeptRecord | None:
    """As ``_read``, for listings: one file that cannot be read must not hide the others."""
    try:
        return _read(path)
    except (ConfigurationError, OSError):
        return KeptRecord(body="", version=0)
