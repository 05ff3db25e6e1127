"""Converts a summary record to and from an item of the table ``SummaryCache``."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from pydantic import ValidationError

from service.answers_kept.feedback import RatedRow, SaidFeedback
from service.answers_kept.record import Reusable, SummaryRecord
from service.kit.aws.stores import SUMMARIES
from service.kit.frame.errors import StoreError

PARTITION_KEY, TTL_ATTRIBUTE = SUMMARIES.partition, SUMMARIES.expires
BY_ACCOUNT, BY_CONTACT, BY_REQUEST = (index.name for index in SUMMARIES.indexes)
# Stored in S3 only.
_S3_ONLY = frozenset({"query", "interactions"})
_ITEM_FIELDS = tuple(name for name in SummaryRecord.model_fields if name not in _S3_ONLY)
_REQUIRED = frozenset(name for name, field in SummaryRecord.model_fields.items() if field.is_required())
# A row's key is the process id for the newest answer, and "<process id>#<request id>" for earlier answers. The record's process
# id is therefore stored under another attribute.
_PROCESS = "process"
_SIDE = "#"

SummaryItem = Mapping[str, Mapping[str, Any]]
_serializer, _deserializer = TypeSerializer(), TypeDeserializer()


def side_key(unique_process_id: str, request_id: str) -> str:
    """Return the key of an answer that was replaced by a newer one of the same process."""
    return f"{unique_process_id}{_SIDE}{request_id}"


def is_side_key(text: str) -> bool:
    """Return whether ``text`` has the form of ``side_key``: as a process id, it would collide with an earlier answer's row."""
    return re.search(rf"{_SIDE}req-[0-9a-f]{{12}}\Z", text) is not None


def to_item(record: SummaryRecord, *, ttl: timedelta) -> dict[str, dict[str, Any]]:
    """Return the item under the process's own key; it expires ``ttl`` after the answer. Fields that are None are omitted."""
    fields = record.model_dump(exclude=set(_S3_ONLY), exclude_none=True)
    fields[_PROCESS] = record.unique_process_id
    fields[TTL_ATTRIBUTE] = int((datetime.fromisoformat(record.generated_at) + ttl).timestamp())
    if record.channel_filter is not None:
        fields["channel_filter"] = list(record.channel_filter)
    return {name: _serializer.serialize(value) for name, value in fields.items()}


def moved_aside(item: SummaryItem) -> dict[str, Mapping[str, Any]]:
    """Return ``item`` under its side key, otherwise unchanged, feedback included."""
    key = side_key(item[_PROCESS]["S"], item["request_id"]["S"])
    return {**item, PARTITION_KEY: {"S": key}}


def to_record(item: SummaryItem) -> SummaryRecord:
    """Return the record in ``item``, without the fields that only S3 keeps.

    Raises:
        StoreError: an attribute is missing or of the wrong type; the message names fields, never their values.
    """
    fields = _plain(item)
    # An absent attribute was None or did not exist yet when it was written: the record's defaults fit both.
    known = {name: fields.get(name) for name in _ITEM_FIELDS if name in fields or name in _REQUIRED}
    known[PARTITION_KEY] = fields.get(_PROCESS)
    try:
        return SummaryRecord.model_validate(known)
    except ValidationError as err:
        wrong = sorted({str(error["loc"][0]) for error in err.errors(include_input=False, include_url=False)})
        raise StoreError(f"a summary's item is malformed: bad {', '.join(wrong)}") from None


def to_reusable(item: SummaryItem) -> Reusable | None:
    """Return the reusable summary in an item of the account index, None if it must not be reused."""
    fields = _plain(item)
    if "reuse_key" not in fields:
        return None
    return Reusable(
        reuse_key=fields["reuse_key"],
        summary_id=fields.get("reused_from") or fields["request_id"],
        summary=fields["summary"],
        model=fields["model_used"],
        answered_by=fields["answered_by"],
        arm=fields["arm"],
        answered_at=datetime.fromisoformat(fields["generated_at"]),
    )


def to_row(item: SummaryItem) -> RatedRow[SummaryRecord]:
    """Return the row that feedback is recorded for.

    Raises:
        StoreError: the item is malformed.
    """
    fields, said, at = _plain(item), None, ""
    if "helpful_feedback" in fields:
        at = fields["feedback_timestamp"]
        said = SaidFeedback(
            rating=fields["helpful_feedback"], comment=fields.get("comment"), edited=fields.get("edited_summary")
        )
    return RatedRow(key=fields[PARTITION_KEY], record=to_record(item), said=said, said_at=at)


def is_expired(item: SummaryItem, now: datetime) -> bool:
    """Return whether the item has expired: DynamoDB deletes it only some time later."""
    return int(item[TTL_ATTRIBUTE]["N"]) <= now.timestamp()


def _plain(item: SummaryItem) -> dict[str, Any]:
    return {name: _deserializer.deserialize(value) for name, value in item.items()}
