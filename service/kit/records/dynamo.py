"""A DynamoDB table: through boto3 for code that may block, and on the event loop for requests."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from botocore.exceptions import ClientError

from service.kit.aws.bounded import (
    PASSING,
    STORE_RETRIES,
    ItemChanged,
    StoreThrottled,
    patiently,
    translated,
)
from service.kit.aws.queries import EventLoopTables, patient_query
from service.kit.aws.stores import TableIndex, TableShape
from service.kit.frame.errors import StoreError
from service.kit.records.conditions import Changes, Placeholders, RowCondition, equal, every
from service.kit.records.items import Item, Key, decoded_item, encoded_item
from service.kit.records.rows import Query, RowPage, Write, all_pages, key_attributes

Result = TypeVar("Result")
_LOST = "ConditionalCheckFailed"
_BUSY = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"})


class DynamoRows:
    """See ``Rows``. ``client`` is boto3's."""

    def __init__(self, client: Any, shape: TableShape, name: str, *, timeout_s: float) -> None:
        """``timeout_s`` bounds one access with its retries; 0: the client retries by itself."""
        self.shape = shape
        self.name = name
        self._client = client
        self._timeout_s = timeout_s
        self._store = f"table {name!r}"

    def get(self, key: Key) -> Item | None:
        """See ``Rows.get``; the read is consistent."""
        found = self._called("get_item", Key=_key(self.shape, key), ConsistentRead=True)
        return decoded_item(found["Item"]) if "Item" in found else None

    def put(self, item: Item, *, when: RowCondition | None = None) -> None:
        self._called("put_item", **put_arguments(item, when))

    def update(
        self, key: Key, changes: Changes, *, when: RowCondition | None = None, returns: Literal["new", "old"] = "new"
    ) -> Item:
        found = self._called(
            "update_item", **_changing(self.shape, key, changes, when), ReturnValues=f"ALL_{returns.upper()}"
        )
        return decoded_item(found.get("Attributes", {}))

    def delete(self, key: Key, *, when: RowCondition | None = None) -> None:
        self._called("delete_item", **_deleting(self.shape, key, when))

    def page(self, query: Query) -> RowPage:
        """See ``Rows.page``; reads of the table itself are consistent."""
        return row_page(self._called("query", **query_arguments(self.shape, query)))

    def query(self, query: Query) -> Iterator[Item]:
        return all_pages(self, query)

    def scan(
        self, *, where: RowCondition | None = None, index: TableIndex | None = None, only: Sequence[str] = ()
    ) -> Iterator[Item]:
        given = Placeholders()
        asked: dict[str, Any] = {"IndexName": index.name} if index else {"ConsistentRead": True}
        asked |= {"FilterExpression": where.text(given)} if where else {}
        asked |= {"ProjectionExpression": ", ".join(map(given.name, only))} if only else {}
        asked |= given.arguments()
        while True:
            page = self._called("scan", **asked)
            yield from map(decoded_item, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def together(self, writes: Sequence[Write]) -> None:
        placed = placed_writes(self.shape, self.name, writes)
        # The same for all attempts: one whose answer was lost may have written, and must not find its own version unexpected.
        token = uuid.uuid4().hex
        self._patiently(partial(self._transacted, placed, token))

    def _transacted(self, placed: list[dict[str, Any]], token: str) -> None:
        try:
            with translated(self._store):
                self._client.transact_write_items(TransactItems=placed, ClientRequestToken=token)
        except StoreError as err:
            reasons = _reasons(err)
            if _LOST in reasons:
                raise ItemChanged(f"{self._store}: an item is not as expected") from err
            if not reasons.isdisjoint(_BUSY) or _code(err) == "TransactionInProgressException":
                raise StoreThrottled(f"{self._store} is busy with another write") from err
            raise

    def _called(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return self._patiently(partial(self._call, operation, arguments))

    def _patiently(self, access: Callable[[], Result]) -> Result:
        return patiently(access, timeout_s=self._timeout_s) if self._timeout_s else access()

    def _call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            with translated(self._store):
                found: dict[str, Any] = getattr(self._client, operation)(TableName=self.name, **arguments)
        except StoreError as err:
            if _code(err) == f"{_LOST}Exception":
                raise ItemChanged(f"{self._store}: the item is not as expected") from err
            raise
        return found


class DynamoEventLoopRows:
    """See ``EventLoopRows``."""

    def __init__(self, tables: EventLoopTables, shape: TableShape, name: str, *, timeout_s: float) -> None:
        """``timeout_s`` bounds one access with its retries."""
        self.shape = shape
        self.name = name
        self._tables = tables
        self._timeout_s = timeout_s

    async def get(self, key: Key) -> Item | None:
        sort = equal(self.shape.sort, key[1]) if self.shape.sort else None
        found = (await self.page(Query(partition=key[0], sort=sort))).items
        return found[0] if found else None

    async def put(self, item: Item, *, when: RowCondition | None = None) -> None:
        put = partial(self._tables.put, TableName=self.name, **put_arguments(item, when))
        await STORE_RETRIES.run_async(put, on=PASSING, timeout_s=self._timeout_s)

    async def page(self, query: Query) -> RowPage:
        asked = {"TableName": self.name, **query_arguments(self.shape, query)}
        found, _ = await patient_query(self._tables, asked, patience_s=self._timeout_s)
        return row_page(found)

    async def together(self, writes: Sequence[Write]) -> None:
        # The same for all attempts, as in ``DynamoRows.together``.
        placed, token = placed_writes(self.shape, self.name, writes), uuid.uuid4().hex
        write = partial(self._tables.write_together, TransactItems=placed, ClientRequestToken=token)
        await STORE_RETRIES.run_async(write, on=PASSING, timeout_s=self._timeout_s)


def placed_writes(shape: TableShape, table: str, writes: Sequence[Write]) -> list[dict[str, Any]]:
    """Return writes as TransactWriteItems takes them."""
    placed = []
    for write in writes:
        if write.item is not None:
            kind, arguments = "Put", put_arguments(write.item, write.when)
        elif write.changes is not None:
            kind, arguments = "Update", _changing(shape, write.key or (), write.changes, write.when)
        else:
            kind, arguments = "Delete", _deleting(shape, write.key or (), write.when)
        placed.append({kind: {"TableName": table, **arguments}})
    return placed


def put_arguments(item: Item, when: RowCondition | None) -> dict[str, Any]:
    """Return the arguments of PutItem besides the table."""
    given = Placeholders()
    return {"Item": encoded_item(item)} | _condition(when, given) | given.arguments()


def query_arguments(shape: TableShape, query: Query) -> dict[str, Any]:
    """Return the arguments of Query besides the table."""
    given = Placeholders()
    key = equal((query.index or shape).partition, query.partition)
    asked: dict[str, Any] = {"IndexName": query.index.name} if query.index else {"ConsistentRead": True}
    asked["KeyConditionExpression"] = (key if query.sort is None else every(key, query.sort)).text(given)
    if query.where is not None:
        asked["FilterExpression"] = query.where.text(given)
    if query.newest_first:
        asked["ScanIndexForward"] = False
    if query.most is not None:
        asked["Limit"] = query.most
    if query.after is not None:
        asked["ExclusiveStartKey"] = encoded_item(query.after)
    return asked | given.arguments()


def row_page(found: dict[str, Any]) -> RowPage:
    """Return DynamoDB's answer to a query."""
    after = found.get("LastEvaluatedKey")
    return RowPage(items=list(map(decoded_item, found["Items"])), next=None if not after else decoded_item(after))


def _changing(shape: TableShape, key: Key, changes: Changes, when: RowCondition | None) -> dict[str, Any]:
    given = Placeholders()
    asked: dict[str, Any] = {"Key": _key(shape, key), "UpdateExpression": changes.text(given)}
    return asked | _condition(when, given) | given.arguments()


def _deleting(shape: TableShape, key: Key, when: RowCondition | None) -> dict[str, Any]:
    given = Placeholders()
    return {"Key": _key(shape, key)} | _condition(when, given) | given.arguments()


def _key(shape: TableShape, key: Key) -> dict[str, Any]:
    return encoded_item(key_attributes(shape, key))


def _condition(when: RowCondition | None, given: Placeholders) -> dict[str, Any]:
    return {} if when is None else {"ConditionExpression": when.text(given)}


def _code(err: StoreError) -> str | None:
    refused = err.__cause__
    return refused.response.get("Error", {}).get("Code") if isinstance(refused, ClientError) else None


def _reasons(err: StoreError) -> set[str]:
    refused = err.__cause__
    found = refused.response.get("CancellationReasons", []) if isinstance(refused, ClientError) else []
    return {str(reason.get("Code")) for reason in found}
