"""Records in the table that all tasks of a stage share, and objects in S3, for schedulers on several machines."""

from typing import Any

from botocore.exceptions import ClientError

from omni.records.port import KeptRecord, RecordKind
from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedItem, SharedState, SharedStateChanged

_GONE = frozenset({"NoSuchKey", "404"})


class SharedRecords:
    """One shared item per record; its version makes a write fail if another process was first."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

    def read(self, kind: RecordKind, name: str) -> KeptRecord | None:
        """Return the record; see ``Records``."""
        found = self._state.get(_partition(kind), name)
        return None if found is None else _record(found)

    def write(self, kind: RecordKind, name: str, body: str, *, replaces: KeptRecord | None) -> bool:
        """Write the record if it is still ``replaces``; see ``Records``."""
        try:
            self._state.put(_partition(kind), name, body, expected=0 if replaces is None else replaces.version)
        except SharedStateChanged:
            return False
        return True

    def all(self, kind: RecordKind) -> dict[str, KeptRecord]:
        """Return all records of ``kind``; see ``Records``."""
        return {item.key: _record(item) for item in self._state.items(_partition(kind))}

    def place(self, kind: RecordKind, name: str) -> str:
        """Return the item's place; see ``Records``."""
        return self._state.place(_partition(kind), name)


class BucketObjects:
    """One S3 object per content, under ``prefix``."""

    def __init__(self, client: Any, bucket: str, *, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._store = f"bucket {bucket!r}"
        self._prefix = prefix

    def put(self, name: str, content: bytes) -> None:
        """Write or replace the content; see ``Objects``."""
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


def _partition(kind: RecordKind) -> str:
    return f"schedule/{kind}"


def _record(item: SharedItem) -> KeptRecord:
    return KeptRecord(body=item.text or "", version=item.version)
