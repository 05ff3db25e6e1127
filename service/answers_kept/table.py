"""The table ``SummaryCache``: one row per answered request; a process's newest answer has the process id as its key."""

from datetime import datetime
from typing import Literal

from botocore.exceptions import ClientError

from service.answers_kept.feedback import Ambiguous, ByContact, ByProcess, Effect, FeedbackTarget, RatedRow
from service.answers_kept.items import (
    BY_CONTACT,
    BY_REQUEST,
    PARTITION_KEY,
    SummaryItem,
    is_expired,
    moved_aside,
    side_key,
    to_item,
    to_row,
)
from service.answers_kept.rated_table import CONDITION_FAILED, RowsOfRequests, code_of
from service.answers_kept.record import FeedbackRecord, SummaryRecord
from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError

WriteOutcome = Literal["written", "already", "behind"]
# Two workers can answer the same process at once; a lost race is retried this many times.
_RACES = 5
_MOST_OF_A_CONTACT = 50


class SummaryTable(RowsOfRequests):
    """Reads and writes one DynamoDB table. Blocking; every method raises ``StoreError`` when the table does not answer."""

    def put(self, record: SummaryRecord) -> WriteOutcome:
        """Write ``record`` once, however often it is put. An older answer never replaces a newer one, and none is lost.

        Returns:
            ``written``: as the newest answer of its process. ``behind``: under its side key, because there is a newer answer.
            ``already``: the record was there.
        """
        item = to_item(record, ttl=self._ttl)
        for _ in range(_RACES):
            present = self._put_new(item)
            if present is None:
                return "written"
            if present["request_id"]["S"] == record.request_id:
                return "already"
            if _age_key(present) > _age_key(item):
                return "already" if self._put_new(moved_aside(item)) else "behind"
            if self._replace(present, item):
                return "written"
        raise StoreError(f"{self._store}: too many simultaneous writes of one process; gave up after {_RACES} attempts")

    def _put_new(self, item: SummaryItem) -> SummaryItem | None:
        # Returns the item that already has the key, if any; DynamoDB sends it with the refusal, which saves a read.
        try:
            with translated(self._store):
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(#key)",
                    ExpressionAttributeNames={"#key": PARTITION_KEY},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except StoreError as err:
            refused = err.__cause__
            if isinstance(refused, ClientError) and code_of(err) == CONDITION_FAILED:
                present: SummaryItem | None = refused.response.get("Item") or self._get(item[PARTITION_KEY]["S"])
                if present is not None:
                    return present
                raise StoreError(f"{self._store}: a row was deleted while it was written; write it again") from err
            raise
        return None

    def _replace(self, old: SummaryItem, new: SummaryItem) -> bool:
        # In one transaction the old answer moves to its side key and the new one takes the process's key. The condition includes
        # the feedback: otherwise feedback that arrives in between would be lost.
        values = {":old": old["request_id"]}
        unchanged = "request_id = :old AND attribute_not_exists(feedback_timestamp)"
        if "feedback_timestamp" in old:
            values[":feedback"] = old["feedback_timestamp"]
            unchanged = "request_id = :old AND feedback_timestamp = :feedback"
        try:
            with translated(self._store):
                self._client.transact_write_items(
                    TransactItems=[
                        {
                            "Put": {
                                "TableName": self._table,
                                "Item": moved_aside(old),
                                "ConditionExpression": f"attribute_not_exists({PARTITION_KEY})",
                            }
                        },
                        {
                            "Put": {
                                "TableName": self._table,
                                "Item": new,
                                "ConditionExpression": unchanged,
                                "ExpressionAttributeValues": values,
                            }
                        },
                    ]
                )
        except StoreError as err:
            if code_of(err) == "TransactionCanceledException":
                return False
            raise
        return True

    def find(self, target: FeedbackTarget, now: datetime) -> RatedRow[SummaryRecord] | Ambiguous | None:
        """See ``service.answers_kept.feedback.FeedbackStore.find``; treats expired rows as missing."""
        if isinstance(target, ByProcess):
            return self._row(target.unique_process_id, now)
        if isinstance(target, ByContact):
            return self._of_contact(target, now)
        found = self._index(BY_REQUEST, "request_id = :value", target.request_id)
        return self._row(found[0][PARTITION_KEY]["S"], now) if found else None

    def _of_contact(self, target: ByContact, now: datetime) -> RatedRow[SummaryRecord] | Ambiguous | None:
        found = [
            item
            for item in self._index(BY_CONTACT, "contact_id = :value", target.contact_id)
            if item["account_number"]["S"] == target.account_number and not is_expired(item, now)
        ]
        if not found:
            return None
        # A summary and its reuses count as one: an agent who asked again has read the same text.
        newest_of: dict[str, SummaryItem] = {}
        for item in found:
            newest_of.setdefault(item.get("reused_from", item["request_id"])["S"], item)
        if len(newest_of) > 1:
            return Ambiguous(request_ids=tuple(item["request_id"]["S"] for item in newest_of.values()))
        return self._row(found[0][PARTITION_KEY]["S"], now)

    def _index(self, index: str, condition: str, value: str) -> list[SummaryItem]:
        newest_first = {} if index == BY_REQUEST else {"ScanIndexForward": False}
        with translated(self._store):
            answer = self._client.query(
                TableName=self._table,
                IndexName=index,
                KeyConditionExpression=condition,
                ExpressionAttributeValues={":value": {"S": value}},
                Limit=_MOST_OF_A_CONTACT,
                **newest_first,
            )
        items: list[SummaryItem] = answer["Items"]
        return items

    def _row(self, key: str, now: datetime) -> RatedRow[SummaryRecord] | None:
        item = self._get(key)
        return None if item is None or is_expired(item, now) else to_row(item)

    def _get(self, key: str) -> SummaryItem | None:
        return self._item({PARTITION_KEY: key})

    def set_feedback(self, row: RatedRow[SummaryRecord], verdict: FeedbackRecord) -> Effect:
        """Write feedback into its summary's row and return its effect; ``late`` also when the row is gone."""
        texts = {"comment": verdict.comment, "edited_summary": verdict.edited_summary}
        # The row may have moved to its side key since it was found.
        for key in dict.fromkeys([row.key, side_key(verdict.unique_process_id, verdict.request_id)]):
            effect = self._rate({PARTITION_KEY: key}, verdict, texts)
            if effect != "late":
                return effect
        return "late"


def _age_key(item: SummaryItem) -> tuple[str, str]:
    return item["generated_at"]["S"], item["request_id"]["S"]
