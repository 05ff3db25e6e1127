"""The table of answers of all tasks: one row per answered request, with its newest feedback, for as long as a row lives."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from service.answers_kept.answer_record import AnswerVerdict, KeptAnswer, ServedRecord
from service.answers_kept.feedback import Effect
from service.answers_kept.table import SummaryTable
from service.kit.aws.bounded import RecordRefused, translated
from service.kit.aws.stores import ANSWERS
from service.kit.delivery.writer import Store
from service.kit.frame.errors import StoreError
from service.kit.records.tombstones import Tombstones
from service.kit.telemetry.fields import account_hash

_KEY, _TTL = ANSWERS.partition, ANSWERS.expires
_REFUSED = "ConditionalCheckFailedException"
# Until a person has made the table, no answer can be written. It must not hold up the summaries that wait in the same spool.
_NO_TABLE = frozenset({"ResourceNotFoundException", "AccessDeniedException"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """An answer with its newest feedback, None without one."""

    answer: KeptAnswer
    verdict: AnswerVerdict | None = None


class AnswerTable:
    """Reads and writes one DynamoDB table. Blocking; every method raises ``StoreError`` when the table does not answer."""

    def __init__(self, client: Any, table: str, *, ttl: timedelta) -> None:
        self._client = client
        self._table = table
        self._store = f"table {table!r}"
        self._ttl = ttl

    def put(self, record: KeptAnswer) -> Literal["written", "already"]:
        """Write ``record`` unless it is there: a row that has feedback keeps it.

        Raises:
            RecordRefused: also if there is no such table; ``omni reconcile --restore`` writes the rows when there is.
        """
        expires = int((datetime.fromisoformat(record.generated_at) + self._ttl).timestamp())
        item = {
            _KEY: {"S": record.request_id},
            "task": {"S": record.task},
            "generated_at": {"S": record.generated_at},
            "answer": {"S": record.to_json()},
            _TTL: {"N": str(expires)},
        }
        try:
            with translated(self._store):
                self._client.put_item(
                    TableName=self._table, Item=item, ConditionExpression=f"attribute_not_exists({_KEY})"
                )
        except StoreError as err:
            if _code(err) == _REFUSED:
                return "already"
            if _code(err) in _NO_TABLE:
                raise RecordRefused(str(err)) from err
            raise
        return "written"

    def get(self, request_id: str, now: datetime) -> AnswerRow | None:
        """Return the row of a request; None if there is none, or it has expired."""
        with translated(self._store):
            found = self._client.get_item(TableName=self._table, Key={_KEY: {"S": request_id}}, ConsistentRead=True)
        item = found.get("Item")
        if item is None or int(item[_TTL]["N"]) <= now.timestamp():
            return None
        verdict = item.get("verdict")
        return AnswerRow(
            answer=KeptAnswer.model_validate_json(item["answer"]["S"]),
            verdict=None if verdict is None else AnswerVerdict.model_validate_json(verdict["S"]),
        )

    def set_feedback(self, verdict: AnswerVerdict) -> Effect:
        """Write feedback into its answer's row and return its effect; ``late`` also when the row is gone."""
        try:
            with translated(self._store):
                # The write returns the old values: of two simultaneous clicks only one is the first.
                answer = self._client.update_item(
                    TableName=self._table,
                    Key={_KEY: {"S": verdict.request_id}},
                    UpdateExpression="SET verdict = :verdict, helpful_feedback = :helpful, feedback_timestamp = :at",
                    ConditionExpression=f"attribute_exists({_KEY}) AND "
                    "(attribute_not_exists(feedback_timestamp) OR feedback_timestamp < :at)",
                    ExpressionAttributeValues={
                        ":verdict": {"S": verdict.model_dump_json()},
                        ":helpful": {"S": verdict.helpful_feedback},
                        ":at": {"S": verdict.feedback_timestamp},
                    },
                    ReturnValues="UPDATED_OLD",
                )
        except StoreError as err:
            if _code(err) == _REFUSED:
                return "late"
            raise
        before = answer.get("Attributes", {}).get("helpful_feedback", {}).get("S")
        return "first" if before is None else "same" if before == verdict.helpful_feedback else "changed"

    def request_ids(self, since: str, until: str) -> list[str]:
        """Return the request ids of the rows answered in ``[since, until)``. Reads the whole table: for reconciliation."""
        found: list[str] = []
        with translated(self._store):
            pages = self._client.get_paginator("scan").paginate(
                TableName=self._table,
                ProjectionExpression=_KEY,
                FilterExpression="generated_at >= :since AND generated_at < :until",
                ExpressionAttributeValues={":since": {"S": since}, ":until": {"S": until}},
            )
            for page in pages:
                found.extend(item[_KEY]["S"] for item in page["Items"])
        return found


class RecordTables:
    """Both tables as one store: each record of an answered request goes into its own."""

    def __init__(self, summaries: SummaryTable, answers: AnswerTable) -> None:
        self._summaries = summaries
        self._answers = answers

    def put(self, record: ServedRecord) -> str:
        """Write ``record`` once, however often it is put."""
        return self._answers.put(record) if isinstance(record, KeptAnswer) else self._summaries.put(record)


class WithoutErased:
    """A store that leaves out the records of customers who were erased after the answer."""

    def __init__(self, store: Store[ServedRecord], tombstones: Tombstones) -> None:
        self._store = store
        self._tombstones = tombstones

    def put(self, record: ServedRecord) -> object:
        """See ``Store.put``; a record that is left out counts as kept."""
        if isinstance(record, KeptAnswer):
            names: tuple[str | None, ...] = (record.customer, record.conversation, *record.persons)
        else:
            names = (account_hash(record.account_number),)
        if self._tombstones.covers(names, datetime.fromisoformat(record.generated_at)):
            return "erased"
        return self._store.put(record)


def _code(err: StoreError) -> str | None:
    refused = err.__cause__
    return str(refused.response.get("Error", {}).get("Code", "")) if isinstance(refused, ClientError) else None
