"""The archive in S3: one JSON object per answered request and per feedback, in folders by hour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from service.answers_kept.answer_record import ANSWERS_PREFIX, ServedRecord
from service.answers_kept.record import PROCESSED_PREFIX, time_partition, utc_text
from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError

_MOST_DELETED = 1000  # S3's own bound per call


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One object of a listing; ``etag`` changes with its content, ``modified`` is an aware time."""

    key: str
    etag: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One object's content; ``body`` is None when it is larger than the reader's limit."""

    etag: str
    size: int
    body: bytes | None


class Archive:
    """Reads and writes one bucket. Blocking; every method raises ``StoreError`` when S3 does not answer."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._store = f"bucket {bucket!r}"

    def put(self, record: ServedRecord) -> Literal["written", "already"]:
        """Write a record under its own key unless it is there, so that the bucket announces each record once."""
        return self.put_json(record.object_key, record.to_json())

    def put_json(self, key: str, text: str) -> Literal["written", "already"]:
        """Write ``text`` as object ``key`` unless the object exists."""
        try:
            with translated(self._store):
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=text.encode(),
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
        except StoreError as err:
            if _code(err) in {"PreconditionFailed", "412"}:
                return "already"
            raise
        return "written"

    def read(self, key: str, *, most_bytes: int) -> Stored | None:
        """Return the object, without its body when that is longer than ``most_bytes``; None when there is none."""
        try:
            with translated(self._store):
                found = self._client.get_object(Bucket=self._bucket, Key=key)
                with found["Body"] as body:
                    size = int(found["ContentLength"])
                    content = body.read() if size <= most_bytes else None
        except StoreError as err:
            if _code(err) in {"NoSuchKey", "404"}:
                return None
            raise
        return Stored(etag=str(found["ETag"]).strip('"'), size=size, body=content)

    def listed(self, prefix: str, *, after: str = "") -> Iterator[list[Listed]]:
        """Yield pages of the objects under ``prefix`` with keys after ``after``, in key order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, **({"StartAfter": after} if after else {})
        )
        with translated(self._store):
            for page in pages:
                yield [
                    Listed(
                        key=item["Key"],
                        etag=str(item["ETag"]).strip('"'),
                        size=int(item["Size"]),
                        modified=item["LastModified"],
                    )
                    for item in page.get("Contents", [])
                ]

    def folders(self, prefix: str) -> list[str]:
        """Return the prefixes of the folders directly under ``prefix``, which ends in a slash, in their order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, Delimiter="/"
        )
        with translated(self._store):
            return sorted(one["Prefix"] for page in pages for one in page.get("CommonPrefixes", []))

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored."""
        with translated(self._store):
            for start in range(0, len(keys), _MOST_DELETED):
                names = [{"Key": key} for key in keys[start : start + _MOST_DELETED]]
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": names, "Quiet": True})

    def erase(self, keys: Sequence[str]) -> None:
        """Delete every version of objects and every marker of a deletion, whose key may name a person; missing ones are ignored.

        Raises:
            StoreError: also if S3 keeps one of them; deleting the rest again is safe.
        """
        for key in keys:
            versions = self._versions(key)
            for start in range(0, len(versions), _MOST_DELETED):
                part = {"Objects": versions[start : start + _MOST_DELETED], "Quiet": True}
                with translated(self._store):
                    answer = self._client.delete_objects(Bucket=self._bucket, Delete=part)
                if answer.get("Errors"):
                    raise StoreError(f"{self._store} did not delete {len(answer['Errors'])} objects; run it again")

    def _versions(self, key: str) -> list[dict[str, str]]:
        with translated(self._store):
            return [
                {"Key": key, "VersionId": one["VersionId"]}
                for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=key)
                for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if one["Key"] == key
            ]

    def request_ids(self, since: str, until: str) -> list[str]:
        """Return the request ids of the records in ``[since, until)`` (whole hours), taken from their keys."""
        return [request_id_of(key) for key in self.record_keys(since, until)]

    def record_keys(self, since: str, until: str) -> list[str]:
        """Return the keys of all tasks' records in ``[since, until)`` (whole hours), summaries first, in order of their hours."""
        found: list[str] = []
        kinds = (PROCESSED_PREFIX, *self.folders(ANSWERS_PREFIX))
        with translated(self._store):
            for prefix in (hour for kind in kinds for hour in _hours(kind, since, until)):
                for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                    found.extend(item["Key"] for item in page.get("Contents", []))
        return found


def request_id_of(key: str) -> str:
    """Return the request id in a record's key."""
    return key.rpartition("/")[2].removesuffix(".json")


def _hours(kind: str, since: str, until: str) -> Iterator[str]:
    hour = datetime.fromisoformat(since).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    end = datetime.fromisoformat(until)
    while hour < end:
        yield time_partition(kind, utc_text(hour))
        hour += timedelta(hours=1)


def _code(err: StoreError) -> str | None:
    refused = err.__cause__
    return refused.response.get("Error", {}).get("Code") if isinstance(refused, ClientError) else None
