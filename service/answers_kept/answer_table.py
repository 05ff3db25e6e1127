"""The table of answers of all tasks: one row per answered request, with its newest feedback, for as long as a row lives."""

from datetime import datetime
from typing import Literal

from service.answers_kept.answer_record import AnswerVerdict, KeptAnswer, ServedRecord
from service.answers_kept.feedback import ByRequest, Effect, FeedbackTarget, RatedRow, SaidFeedback
from service.answers_kept.rated_table import CONDITION_FAILED, RowsOfRequests, code_of
from service.answers_kept.table import SummaryTable
from service.kit.aws.bounded import RecordRefused, translated
from service.kit.aws.stores import ANSWERS
from service.kit.delivery.writer import Store
from service.kit.frame.errors import StoreError
from service.kit.records.tombstones import Tombstones
from service.kit.telemetry.fields import account_hash

_KEY, _TTL = ANSWERS.partition, ANSWERS.expires
# Until a person has made the table, no answer can be written. It must not hold up the summaries that wait in the same spool.
_NO_TABLE = frozenset({"ResourceNotFoundException", "AccessDeniedException"})


class AnswerTable(RowsOfRequests):
    """Reads and writes one DynamoDB table. Blocking; every method raises ``StoreError`` when the table does not answer."""

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
            if code_of(err) == CONDITION_FAILED:
                return "already"
            if code_of(err) in _NO_TABLE:
                raise RecordRefused(str(err)) from err
            raise
        return "written"

    def find(self, target: FeedbackTarget, now: datetime) -> RatedRow[KeptAnswer] | None:
        """Return the row of a request; None if there is none, or it has expired. Answers of tasks have no other name."""
        item = self._item({_KEY: target.request_id}) if isinstance(target, ByRequest) else None
        if item is None or int(item[_TTL]["N"]) <= now.timestamp():
            return None
        answer, said, at = KeptAnswer.model_validate_json(item["answer"]["S"]), None, ""
        if "verdict" in item:
            verdict = AnswerVerdict.model_validate_json(item["verdict"]["S"])
            at = verdict.feedback_timestamp
            said = SaidFeedback(
                rating=verdict.helpful_feedback,
                reason=verdict.reason,
                comment=verdict.comment,
                edited=verdict.edited_output,
                by=verdict.by,
            )
        return RatedRow(key=answer.request_id, record=answer, said=said, said_at=at)

    def set_feedback(self, row: RatedRow[KeptAnswer], verdict: AnswerVerdict) -> Effect:
        """Write feedback into its answer's row and return its effect; ``late`` also when the row is gone."""
        return self._rate({_KEY: row.key}, verdict, {"verdict": verdict.to_json()})


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
