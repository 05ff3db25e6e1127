"""An outbox in one DynamoDB table: an item for each one that was sent and whose stores may not hold it yet, and one lease."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Generic

from botocore.exceptions import ClientError

from service.kit.aws.bounded import translated
from service.kit.aws.queries import TablePuts
from service.kit.delivery.shape import Item, Shape, Told
from service.kit.frame.errors import StoreError

_LEASE_KEY = "lease"
_BATCH = 25  # BatchWriteItem's limit
_ASIDE = "set_aside"


class OutboxTable(Generic[Item]):
    """Implements ``LeftBehind``; ``key`` is the name of the table's partition key, which holds the items' ids."""

    def __init__(
        self, client: Any, table: str, key: str, shape: Shape[Item], *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._table = table
        self._key = key
        self._shape = shape
        self._store = f"table {table!r}"
        self._wall_clock = wall_clock

    def put_by(self, puts: TablePuts) -> Callable[[Item], Awaitable[None]]:
        """Return what puts an item on the event loop, for ``Outbox``."""

        def put(item: Item) -> Awaitable[None]:
            return puts.put(TableName=self._table, Item=self.stored(item))

        return put

    def stored(self, item: Item) -> dict[str, dict[str, str]]:
        """Return the table's item of ``item``, as kept now."""
        return {
            self._key: {"S": self._shape.id_of(item)},
            "kept_at": {"N": f"{self._wall_clock():.3f}"},
            "record": {"S": self._shape.to_json(item)},
        }

    def lease(self, owner: str, *, for_s: float) -> bool:
        """See ``LeftBehind.lease``."""
        now = self._wall_clock()
        return self._updated(
            _LEASE_KEY,
            "SET held_by = :owner, held_until = :until",
            "attribute_not_exists(held_by) OR held_by = :owner OR held_until < :now",
            {":owner": {"S": owner}, ":until": {"N": f"{now + for_s:.3f}"}, ":now": {"N": f"{now:.3f}"}},
        )

    def waiting(self, *, older_than_s: float) -> Iterator[Item]:
        """See ``LeftBehind.waiting``; an item that cannot be read is set aside."""
        values = {":latest": {"N": f"{self._wall_clock() - older_than_s:.3f}"}}
        for item in self._items(f"kept_at <= :latest AND attribute_not_exists({_ASIDE})", values):
            try:
                yield self._shape.read(item["record"]["S"])
            except ValueError:
                name = item[self._key]["S"]
                self._shape.tell(Told.REFUSED, name, "DamagedOutboxItem")
                self.set_aside(name, "damaged")

    def remove(self, ids: Iterable[str]) -> None:
        """See ``LeftBehind.remove``."""
        names = iter(ids)
        while batch := list(islice(names, _BATCH)):
            left = [{"DeleteRequest": {"Key": {self._key: {"S": name}}}} for name in batch]
            with translated(self._store):
                answer = self._client.batch_write_item(RequestItems={self._table: left})
            if answer.get("UnprocessedItems"):
                raise StoreError(f"{self._store} did not delete {len(answer['UnprocessedItems'][self._table])} items")

    def set_aside(self, name: str, reason: str) -> None:
        """See ``LeftBehind.set_aside``; an item that is gone is ignored."""
        self._updated(name, f"SET {_ASIDE} = :reason", f"attribute_exists({self._key})", {":reason": {"S": reason}})

    def ids(self) -> tuple[set[str], set[str]]:
        """Return the ids of the waiting items, and of those set aside. Reads the whole table.

        Raises:
            StoreError: the table does not answer.
        """
        waiting: set[str] = set()
        aside: set[str] = set()
        for item in self._items("attribute_exists(kept_at)", {}):
            (aside if _ASIDE in item else waiting).add(item[self._key]["S"])
        return waiting, aside

    def _items(self, condition: str, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        given = {"ExpressionAttributeValues": values} if values else {}
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table, ConsistentRead=True, FilterExpression=condition, **given
        )
        with translated(self._store):
            for page in pages:
                yield from page["Items"]

    def _updated(self, name: str, text: str, condition: str, values: dict[str, Any]) -> bool:
        update = partial(self._client.update_item, TableName=self._table, Key={self._key: {"S": name}})
        try:
            with translated(self._store):
                update(UpdateExpression=text, ConditionExpression=condition, ExpressionAttributeValues=values)
        except StoreError as err:
            refused = err.__cause__
            code = refused.response.get("Error", {}).get("Code") if isinstance(refused, ClientError) else None
            if code == "ConditionalCheckFailedException":
                return False
            raise
        return True
