"""The table of answers of all tasks: one row per answered request, with its newest feedback, for as long as a row lives."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from service.answers_kept.answer_record import AnswerVerdict, KeptAnswer, ServedRecord
from service.answers_kept.feedback import Effect
from service.answers_kept.table import SummaryTable
from service.kit.aws.bounded import ItemChanged, RecordRefused
from service.kit.aws.stores import ANSWERS
from service.kit.delivery.writer import Store
from service.kit.frame.errors import StoreError
from service.kit.records.conditions import Changes, absent, at_least, below, either, every, present
from service.kit.records.dynamo import DynamoRows
from service.kit.records.tombstones import Tombstones
from service.kit.telemetry.fields import account_hash

_KEY, _TTL = ANSWERS.partition, ANSWERS.expires
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
        self._rows = DynamoRows(client, ANSWERS, table, timeout_s=0)
        self._ttl = ttl

    def put(self, record: KeptAnswer) -> Literal["written", "already"]:
        """Write ``record`` unless it is there: a row that has feedback keeps it.

        Raises:
            RecordRefused: also if there is no such table; ``omni reconcile --restore`` writes the rows when there is.
        """
        item = {
            _KEY: record.request_id,
            "task": record.task,
            "generated_at": record.generated_at,
            "answer": record.to_json(),
            _TTL: int((datetime.fromisoformat(record.generated_at) + self._ttl).timestamp()),
        }
        try:
            self._rows.put(item, when=absent(_KEY))
        except ItemChanged:
            return "already"
        except StoreError as err:
            refused = err.__cause__
            if isinstance(refused, ClientError) and refused.response.get("Error", {}).get("Code") in _NO_TABLE:
                raise RecordRefused(str(err)) from err
            raise
        return "written"

    def get(self, request_id: str, now: datetime) -> AnswerRow | None:
        """Return the row of a request; None if there is none, or it has expired."""
        item = self._rows.get((request_id,))
        if item is None or item[_TTL] <= now.timestamp():
            return None
        verdict = item.get("verdict")
        return AnswerRow(
            answer=KeptAnswer.model_validate_json(item["answer"]),
            verdict=None if verdict is None else AnswerVerdict.model_validate_json(verdict),
        )

    def set_feedback(self, verdict: AnswerVerdict) -> Effect:
        """Write feedback into its answer's row and return its effect; ``late`` also when the row is gone."""
        changes = Changes(
            sets={
                "verdict": verdict.model_dump_json(),
                "helpful_feedback": verdict.helpful_feedback,
                "feedback_timestamp": verdict.feedback_timestamp,
            }
        )
        is_newer = either(absent("feedback_timestamp"), below("feedback_timestamp", verdict.feedback_timestamp))
        try:
            # The write returns the old values: of two simultaneous clicks only one is the first.
            old = self._rows.update((verdict.request_id,), changes, when=every(present(_KEY), is_newer), returns="old")
        except ItemChanged:
            return "late"
        before = old.get("helpful_feedback")
        return "first" if before is None else "same" if before == verdict.helpful_feedback else "changed"

    def request_ids(self, since: str, until: str) -> list[str]:
        """Return the request ids of the rows answered in ``[since, until)``. Reads the whole table: for reconciliation."""
        answered = every(at_least("generated_at", since), below("generated_at", until))
        return [item[_KEY] for item in self._rows.scan(where=answered, only=(_KEY,))]


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
