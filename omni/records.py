"""The schedule's state, shared by schedulers: records that change by compare-and-set, and contents by name.

It is on this machine's disk, or in DynamoDB and S3.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError
from pydantic import BaseModel, ValidationError

from service.kit.aws.bounded import translated
from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.frame.files import OWNER_ONLY, write_whole
from service.kit.records.shared_state import SharedItem, SharedState, SharedStateChanged, open_shared_state
from service.kit.settings import Settings

REPORTS_PREFIX = "omni-reports/"  # in the bucket of the answers; then the stage
_FOLDER = "schedule"  # of the state folder, and the beginning of the shared table's partitions
_GONE = frozenset({"NoSuchKey", "404"})
_Model = TypeVar("_Model", bound=BaseModel)


class DiskRecords:
    """One file per record, for its owner alone, with the methods of ``SharedState`` that the schedule needs.

    A lock file makes a write's comparison and its replacement one step for all processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, partition: str, key: str) -> SharedItem | None:
        """Return one record, or None; ``ConfigurationError`` if its file cannot be read."""
        path = self._path(partition, key)
        try:
            found = json.loads(path.read_bytes())
            text = json.dumps(found["body"], ensure_ascii=False)
            return SharedItem(key=key, text=text, version=int(found["version"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{path} holds no record of the schedule: delete it") from None

    def items(self, partition: str) -> list[SharedItem]:
        """Return all records in the order of their keys; one that cannot be read has no text, and hides no other."""
        found = []
        for path in sorted((self._folder / partition).glob("*.json")):
            key = unquote(path.stem)
            try:
                item = self.get(partition, key)
            except (ConfigurationError, OSError):
                item = SharedItem(key=key, text=None, version=0)
            found += [] if item is None else [item]
        return found

    def put(self, partition: str, key: str, text: str, *, expected: int) -> None:
        """Write a record that has the version ``expected`` (0: there is none); ``SharedStateChanged`` if it has another one."""
        path = self._path(partition, key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path.parent.parent / "records.lock"):
            there = self.get(partition, key)
            if (0 if there is None else there.version) != expected:
                raise SharedStateChanged(f"{path} was changed by another process")
            body = {"version": expected + 1, "body": json.loads(text)}
            write_whole(path, json.dumps(body, indent=1, ensure_ascii=False), mode=OWNER_ONLY, durable=True)

    def place(self, partition: str, key: str) -> str:
        """Return the record's file."""
        return str(self._path(partition, key))

    def _path(self, partition: str, key: str) -> Path:
        return self._folder / partition / f"{quote(key, safe='')}.json"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class DiskObjects:
    """One file per content, for its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, content: bytes) -> None:
        """Write or replace the content whole."""
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


class BucketObjects:
    """One S3 object per content, under ``prefix``."""

    def __init__(self, client: Any, bucket: str, *, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self._store = f"bucket {bucket!r}"

    def put(self, name: str, content: bytes) -> None:
        """Write or replace the content whole."""
        with translated(self._store):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)

    def get(self, name: str) -> bytes | None:
        """Return the content, or None."""
        try:
            with translated(self._store):
                found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
                with found["Body"] as body:
                    content: bytes = body.read()
        except StoreError as err:
            if isinstance(err.__cause__, ClientError) and err.__cause__.response["Error"]["Code"] in _GONE:
                return None
            raise
        return content

    def delete(self, name: str) -> None:
        """Delete the content if it exists."""
        with translated(self._store):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPlace:
    """Records and contents of one schedule."""

    records: SharedState | DiskRecords
    objects: BucketObjects | DiskObjects


def disk_place(state_dir: Path) -> SharedPlace:
    """Return the place in a state folder."""
    return SharedPlace(records=DiskRecords(state_dir), objects=DiskObjects(state_dir / _FOLDER / "outbox"))


def open_place(settings: Settings) -> SharedPlace:
    """Return where the schedule keeps its state.

    With OMNI_ENVIRONMENT=aws or OMNI_AWS_ENDPOINT it is shared by every machine with this AWS and stage.
    """
    from service.kit.aws.clients import client

    state = open_shared_state(settings)
    if state is None:
        return disk_place(settings.state_dir)
    prefix = f"{REPORTS_PREFIX}{settings.stage}/"
    return SharedPlace(
        records=state, objects=BucketObjects(client("s3", settings), settings.stores.archive_bucket, prefix=prefix)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord(Generic[_Model]):
    """A record as it was read or written; ``version`` grows with each write."""

    record: _Model
    version: int


class KeptRecords(Generic[_Model]):
    """The records of one kind by name."""

    def __init__(self, place: SharedPlace, kind: Literal["run", "delivery"], model: type[_Model]) -> None:
        self._records, self._partition, self._model = place.records, f"{_FOLDER}/{kind}", model

    def read(self, name: str) -> KeptRecord[_Model] | None:
        """Return a record as last written, or None."""
        item = self._records.get(self._partition, name)
        return None if item is None else self._kept(item)

    def write(self, name: str, record: _Model, *, replaces: KeptRecord[_Model] | None) -> KeptRecord[_Model] | None:
        """Write a record if it is still ``replaces`` (None: if there is none); return None if another process was first."""
        version = 0 if replaces is None else replaces.version
        try:
            self._records.put(self._partition, name, record.model_dump_json(), expected=version)
        except SharedStateChanged:
            return None
        return KeptRecord(record=record, version=version + 1)

    def all(self) -> dict[str, KeptRecord[_Model] | None]:
        """Return all records in the order of their names; None stands for one that cannot be read."""
        found: dict[str, KeptRecord[_Model] | None] = {}
        for item in self._records.items(self._partition):
            try:
                found[item.key] = self._kept(item)
            except ValidationError:
                found[item.key] = None
        return found

    def place(self, name: str) -> str:
        """Return where a record stands, for messages that tell somebody to delete it."""
        return self._records.place(self._partition, name)

    def _kept(self, item: SharedItem) -> KeptRecord[_Model]:
        return KeptRecord(record=self._model.model_validate_json(item.text or ""), version=item.version)
