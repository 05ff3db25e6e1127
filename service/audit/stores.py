"""Where audit records are kept: objects in the bucket, which the warehouse loads, and a table of what guards found."""

from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from service.audit.record import AuditRecord, KeptFinding, time_text
from service.kit.aws.bounded import patiently
from service.kit.aws.stores import FINDINGS, TableIndex
from service.kit.records.conditions import at_least
from service.kit.records.items import Item
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordForm, RecordTable

FINDINGS_KEPT = timedelta(days=90)
_KIND, _DAY = FINDINGS.indexes
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

    def __init__(self, rows: Rows) -> None:
        self._table = RecordTable(rows, _FORM)

    def put(self, record: AuditRecord) -> None:
        """See ``AuditStore.put``."""
        for found in record.findings:
            self._table.put(found)

    def of_kind(self, kind: str, since: datetime) -> list[dict[str, str]]:
        """Return the findings of one kind from ``since`` on, oldest first."""
        return self._queried(_KIND, kind, since)

    def of_day(self, day: str, since: datetime) -> list[dict[str, str]]:
        """Return the findings of one day (UTC) from ``since`` on, oldest first."""
        return self._queried(_DAY, day, since)

    def _queried(self, index: TableIndex, value: str, since: datetime) -> list[dict[str, str]]:
        since_then = at_least(FINDINGS.sort, time_text(since))
        found = self._table.rows.query(Query(partition=value, index=index, sort=since_then))
        return [{name: str(value) for name, value in item.items()} for item in found]


def _item(found: KeptFinding) -> Item:
    texts = {name: str(value) for name, value in found.model_dump(mode="json").items() if value is not None}
    return {**texts, _DAY.partition: time_text(found.timestamp)[:10]}


_FORM: RecordForm[KeptFinding] = RecordForm(
    noun="finding",
    key=lambda found: (found.log_id, time_text(found.timestamp)),
    to_item=_item,
    from_item=KeptFinding.model_validate,
    version="",
    expires=lambda found: found.timestamp + FINDINGS_KEPT,
)
