"""The outbox's table: answers that were sent and that the two stores may not hold yet, and who looks after those left behind."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

from botocore.exceptions import ClientError
from pydantic import ValidationError

from service.answers_kept.answer_record import ServedRecord, read_served
from service.kit.aws.bounded import translated
from service.kit.aws.stores import OUTBOX
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log

_KEY = OUTBOX.partition
_LEASE_KEY = "lease"
_BATCH = 25  # BatchWriteItem's limit
_ASIDE = "set_aside"


class LeftBehind(Protocol):
    """The outbox as the writer of the two stores sees it. Blocking."""

    def lease(self, owner: str, *, for_s: float) -> bool:
        """Return whether ``owner`` has the lease, which it then holds for ``for_s`` more seconds.

        Raises:
            StoreError: the table does not answer.
        """
        ...

    def waiting(self, *, older_than_s: float) -> Iterator[ServedRecord]:
        """Yield the records kept at least ``older_than_s`` ago, in no order.

        Raises:
            StoreError: the table does not answer.
        """
        ...

    def remove(self, request_ids: Iterable[str]) -> None:
        """Delete records that both stores hold; missing ones are ignored.

        Raises:
            StoreError: the table does not answer.
        """
        ...

    def set_aside(self, request_id: str, reason: str) -> None:
        """Leave a record that a store refuses for good to a person, with the reason.

        Raises:
            StoreError: the table does not answer.
        """
        ...


class OutboxTable:
    """Implements ``LeftBehind`` over one DynamoDB table."""

    def __init__(self, client: Any, table: str, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._table = table
        self._store = f"table {table!r}"
        self._wall_clock = wall_clock

    def lease(self, owner: str, *, for_s: float) -> bool:
        """See ``LeftBehind.lease``."""
        now = self._wall_clock()
        try:
            with translated(self._store):
                self._client.update_item(
                    TableName=self._table,
                    Key={_KEY: {"S": _LEASE_KEY}},
                    UpdateExpression="SET held_by = :owner, held_until = :until",
                    ConditionExpression="attribute_not_exists(held_by) OR held_by = :owner OR held_until < :now",
                    ExpressionAttributeValues={
                        ":owner": {"S": owner},
                        ":until": {"N": f"{now + for_s:.3f}"},
                        ":now": {"N": f"{now:.3f}"},
                    },
                )
        except StoreError as err:
            refused = err.__cause__
            if isinstance(refused, ClientError) and _code(refused) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def waiting(self, *, older_than_s: float) -> Iterator[ServedRecord]:
        """See ``LeftBehind.waiting``."""
        values = {":latest": {"N": f"{self._wall_clock() - older_than_s:.3f}"}}
        for item in self._items(f"kept_at <= :latest AND attribute_not_exists({_ASIDE})", values):
            try:
                yield read_served(item["record"]["S"])
            except ValidationError:
                request_id = item[_KEY]["S"]
                log(Event.SUMMARY_REFUSED, request_id=request_id, error="DamagedOutboxItem")
                self.set_aside(request_id, "damaged")

    def remove(self, request_ids: Iterable[str]) -> None:
        """See ``LeftBehind.remove``."""
        names = iter(request_ids)
        while batch := list(islice(names, _BATCH)):
            left = [{"DeleteRequest": {"Key": {_KEY: {"S": name}}}} for name in batch]
            with translated(self._store):
                answer = self._client.batch_write_item(RequestItems={self._table: left})
            if answer.get("UnprocessedItems"):
                raise StoreError(f"{self._store} did not delete {len(answer['UnprocessedItems'][self._table])} items")

    def set_aside(self, request_id: str, reason: str) -> None:
        """See ``LeftBehind.set_aside``."""
        try:
            with translated(self._store):
                self._client.update_item(
                    TableName=self._table,
                    Key={_KEY: {"S": request_id}},
                    UpdateExpression=f"SET {_ASIDE} = :reason",
                    ConditionExpression=f"attribute_exists({_KEY})",
                    ExpressionAttributeValues={":reason": {"S": reason}},
                )
        except StoreError as err:
            refused = err.__cause__
            if not isinstance(refused, ClientError) or _code(refused) != "ConditionalCheckFailedException":
                raise

    def request_ids(self) -> tuple[set[str], set[str]]:
        """Return the request ids of the waiting records, and of those set aside. Reads the whole table.

        Raises:
            StoreError: the table does not answer.
        """
        waiting: set[str] = set()
        aside: set[str] = set()
        for item in self._items("attribute_exists(kept_at)", {}):
            (aside if _ASIDE in item else waiting).add(item[_KEY]["S"])
        return waiting, aside

    def _items(self, condition: str, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        given = {"ExpressionAttributeValues": values} if values else {}
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table, ConsistentRead=True, FilterExpression=condition, **given
        )
        with translated(self._store):
            for page in pages:
                yield from page["Items"]


def to_item(record: ServedRecord, *, kept_at: float) -> dict[str, dict[str, str]]:
    """Return the outbox's item of ``record``; ``kept_at`` is in seconds since the epoch."""
    return {
        _KEY: {"S": record.request_id},
        "kept_at": {"N": f"{kept_at:.3f}"},
        "record": {"S": record.to_json()},
    }


def _code(err: ClientError) -> str:
    return str(err.response.get("Error", {}).get("Code", ""))
