"""Where audit records are kept: objects in the bucket, which the warehouse loads, and a table of what guards found."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from service.audit.record import AuditRecord, KeptFinding, time_text
from service.kit.aws.bounded import patiently, translated
from service.kit.aws.stores import FINDINGS, TableIndex

FINDINGS_KEPT = timedelta(days=90)
_KIND, _DAY = FINDINGS.indexes
_SORT, _TTL = FINDINGS.sort, FINDINGS.expires
_PATIENCE_S = 5.0


class JsonObjects(Protocol):
    """Writes objects of a bucket, such as ``service.answers_kept.archive.Archive``."""

    def put_json(self, key: str, text: str) -> object:
        """Write ``text`` as object ``key`` unless the object exists."""
        ...


class AuditObjects:
    """Puts each record into the bucket as one object."""

    name = "bucket"

    def __init__(self, archive: JsonObjects) -> None:
        self._archive = archive

    def put(self, record: AuditRecord) -> None:
        """See ``AuditStore.put``."""
        patiently(partial(self._archive.put_json, record.object_key, record.model_dump_json()), timeout_s=_PATIENCE_S)


class FindingTable:
    """Puts each finding into one DynamoDB table, from which it goes after 90 days."""

    name = "findings"

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def put(self, record: AuditRecord) -> None:
        """See ``AuditStore.put``."""
        for found in record.findings:
            patiently(partial(self._put, found), timeout_s=_PATIENCE_S)

    def _put(self, found: KeptFinding) -> None:
        with translated(f"table {self._table!r}"):
            self._client.put_item(TableName=self._table, Item=_item(found))

    def of_kind(self, kind: str, since: datetime) -> list[dict[str, str]]:
        """Return the findings of one kind from ``since`` on, oldest first."""
        return self._queried(_KIND, kind, since)

    def of_day(self, day: str, since: datetime) -> list[dict[str, str]]:
        """Return the findings of one day (UTC) from ``since`` on, oldest first."""
        return self._queried(_DAY, day, since)

    def _queried(self, index: TableIndex, value: str, since: datetime) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        with translated(f"table {self._table!r}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=index.name,
                KeyConditionExpression="#name = :value AND #sort >= :since",
                ExpressionAttributeNames={"#name": index.partition, "#sort": _SORT},
                ExpressionAttributeValues={":value": {"S": value}, ":since": {"S": time_text(since)}},
            )
            for page in pages:
                found += [{key: str(next(iter(one.values()))) for key, one in item.items()} for item in page["Items"]]
        return found


def _item(found: KeptFinding) -> dict[str, dict[str, str]]:
    texts = {name: {"S": str(value)} for name, value in found.model_dump(mode="json").items() if value is not None}
    expires = found.timestamp + FINDINGS_KEPT
    return {**texts, "day": {"S": time_text(found.timestamp)[:10]}, _TTL: {"N": str(int(expires.timestamp()))}}
