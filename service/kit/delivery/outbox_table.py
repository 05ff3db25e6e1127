"""An outbox in one DynamoDB table: an item for each one that was sent and whose stores may not hold it yet, and one lease."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Generic

from service.kit.aws.bounded import ItemChanged, translated
from service.kit.aws.queries import TablePuts
from service.kit.aws.stores import TableShape
from service.kit.delivery.shape import DeliveryOutcome, Item, Shape
from service.kit.frame.errors import StoreError
from service.kit.records.conditions import Changes, absent, at_most, every, present
from service.kit.records.dynamo import DynamoRows
from service.kit.records.lease import Lease, LeaseFields, seconds

_LEASE_KEY, _LEASE = "lease", LeaseFields(owner="held_by", until="held_until")
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
        self._rows = DynamoRows(client, TableShape(setting="outbox_table", partition=key), table, timeout_s=0)

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
        return Lease(self._rows, (_LEASE_KEY,), _LEASE, now=self._wall_clock).take(owner, for_s=for_s)

    def waiting(self, *, older_than_s: float) -> Iterator[Item]:
        """See ``LeftBehind.waiting``; an item that cannot be read is set aside."""
        is_old = at_most("kept_at", seconds(self._wall_clock() - older_than_s))
        for item in self._rows.scan(where=every(is_old, absent(_ASIDE))):
            try:
                yield self._shape.read(item["record"])
            except ValueError:
                name = item[self._key]
                self._shape.tell(DeliveryOutcome.REFUSED, name, "DamagedOutboxItem")
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
        with suppress(ItemChanged):
            self._rows.update((name,), Changes(sets={_ASIDE: reason}), when=present(self._key))

    def ids(self) -> tuple[set[str], set[str]]:
        """Return the ids of the waiting items, and of those set aside. Reads the whole table.

        Raises:
            StoreError: the table does not answer.
        """
        waiting: set[str] = set()
        aside: set[str] = set()
        for item in self._rows.scan(where=present("kept_at"), only=(self._key, _ASIDE)):
            (aside if _ASIDE in item else waiting).add(item[self._key])
        return waiting, aside
