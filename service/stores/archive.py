"""The archive in S3: one JSON object per answered request and per verdict, in folders by hour."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from service.errors import StoreError
from service.stores.calls import translated
from service.stores.summary_record import PROCESSED_PREFIX, SummaryRecord, time_partition, utc_text


class Archive:
    """Blocking calls of one bucket; every method raises ``StoreError`` when S3 does not answer."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._store = f"bucket {bucket!r}"

    def put(self, record: SummaryRecord) -> Literal["written", "already"]:
        """Write a record under its own key, once: whoever listens to the bucket hears of it once."""
        return self.put_json(record.object_key, record.to_json())

    def put_json(self, key: str, text: str) -> Literal["written", "already"]:
        """Write ``text`` as object ``key`` unless there is one."""
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
            refused = err.__cause__
            if isinstance(refused, ClientError) and refused.response.get("Error", {}).get("Code") in {
                "PreconditionFailed",
                "412",
            }:
                return "already"
            raise
        return "written"

    def request_ids(self, since: str, until: str) -> list[str]:
        """Return the request id of each record answered from ``since`` to before ``until`` (whole hours), by their keys alone."""
        found: list[str] = []
        with translated(self._store):
            for prefix in _hours(since, until):
                for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                    found.extend(
                        item["Key"].rpartition("/")[2].removesuffix(".json") for item in page.get("Contents", [])
                    )
        return found


def create_bucket(client: Any, name: str) -> None:
    """Create the bucket where it does not exist. For the local AWS; in AWS the infrastructure code owns it.

    Raises:
        StoreError: S3 does not answer.
    """
    with translated(f"bucket {name!r}"):
        try:
            client.create_bucket(Bucket=name)
        except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            return


def _hours(since: str, until: str) -> Iterator[str]:
    hour = datetime.fromisoformat(since).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    end = datetime.fromisoformat(until)
    while hour < end:
        yield time_partition(PROCESSED_PREFIX, utc_text(hour))
        hour += timedelta(hours=1)
