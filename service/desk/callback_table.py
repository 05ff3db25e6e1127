"""Callbacks in one DynamoDB table, with a version against two writers and an index of those that are open."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from service.desk.callback import Callback, CallbackStatus
from service.desk.callback_store import CallbackChanged
from service.kit.aws.bounded import patiently, translated
from service.kit.aws.stores import CALLBACKS
from service.kit.frame.errors import StoreError

_VERSION = "version"
_KEY, _TTL = CALLBACKS.partition, CALLBACKS.expires
(_INDEX,) = CALLBACKS.indexes
_OPEN, _NEXT, _BY_OPEN = _INDEX.partition, _INDEX.sort, _INDEX.name
_TEXTS = ("contact_id", "queue_id", "priority", "status", "ring_key", "reason")
_TIMES = ("requested_at", "due_at", "next_at", "first_rung_at", "taken_at", "ended_at")


class CallbackTable:
    """See ``CallbackStore``; ``scope`` keeps stages apart that share the table. ``client`` is boto3's."""

    def __init__(self, client: Any, table: str, *, scope: str, timeout_s: float) -> None:
        """``timeout_s`` bounds one access with its retries."""
        self._client = client
        self._table = table
        self._scope = scope
        self._timeout_s = timeout_s
        self._store = f"table {table!r}"

    def add(self, callback: Callback) -> Callback:
        """See ``CallbackStore.add``."""
        try:
            return self._written(callback, "attribute_not_exists(#key)", {"#key": _KEY}, {})
        except CallbackChanged:
            found = self.get(callback.callback_id)
            if found is None:
                raise
            return found

    def get(self, callback_id: str) -> Callback | None:
        """See ``CallbackStore.get``."""
        found = self._called("get_item", Key={_KEY: {"S": self._full(callback_id)}}, ConsistentRead=True)
        return self._callback(found["Item"]) if "Item" in found else None

    def put(self, callback: Callback) -> Callback:
        """See ``CallbackStore.put``."""
        version = {":version": {"N": str(callback.version)}}
        return self._written(callback, "#version = :version", {"#version": _VERSION}, version)

    def due(self, now: datetime, *, most: int) -> list[Callback]:
        """See ``CallbackStore.due``."""
        return list(self._query(f" AND {_NEXT} <= :now", {":now": {"S": _text(now)}}, most=most))

    def waiting(self) -> list[Callback]:
        """See ``CallbackStore.waiting``."""
        return list(self._query("", {}))

    def _query(self, condition: str, values: dict[str, Any], *, most: int | None = None) -> Iterator[Callback]:
        asked: dict[str, Any] = {
            "IndexName": _BY_OPEN,
            "KeyConditionExpression": f"{_OPEN} = :scope{condition}",
            "ExpressionAttributeValues": {":scope": {"S": self._scope}} | values,
        }
        if most is not None:
            asked["Limit"] = most
        while True:
            page = self._called("query", **asked)
            yield from map(self._callback, page["Items"])
            if "LastEvaluatedKey" not in page or most is not None:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _written(
        self, callback: Callback, condition: str, names: dict[str, str], values: dict[str, dict[str, str]]
    ) -> Callback:
        written = replace(callback, version=callback.version + 1)
        arguments: dict[str, Any] = {
            "Item": self._item(written),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
        }
        if values:
            arguments["ExpressionAttributeValues"] = values
        try:
            self._called("put_item", **arguments)
        except StoreError as err:
            response = getattr(err.__cause__, "response", {})
            if response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                # After a broken connection this may be the caller's own write: the condition cannot tell.
                raise CallbackChanged(f"callback {callback.callback_id!r} was changed meanwhile") from err
            raise
        return written

    def _called(self, operation: str, **arguments: Any) -> dict[str, Any]:
        def access() -> dict[str, Any]:
            with translated(self._store):
                found: dict[str, Any] = getattr(self._client, operation)(TableName=self._table, **arguments)
            return found

        return patiently(access, timeout_s=self._timeout_s)

    def _full(self, callback_id: str) -> str:
        return f"{self._scope}/{callback_id}"

    def _item(self, callback: Callback) -> dict[str, Any]:
        item: dict[str, Any] = {name: {"S": str(getattr(callback, name))} for name in _TEXTS}
        item |= {name: {"S": _text(moment)} for name in _TIMES if (moment := getattr(callback, name)) is not None}
        item |= {
            _KEY: {"S": self._full(callback.callback_id)},
            "rings": {"N": str(callback.rings)},
            _VERSION: {"N": str(callback.version)},
            _TTL: {"N": str(int(callback.expires_at.timestamp()))},
        }
        if callback.sealed_phone is not None:
            item["customer_phone"] = {"S": callback.sealed_phone}
        if callback.taken_by is not None:
            item["taken_by"] = {"S": callback.taken_by}
        return item | ({_OPEN: {"S": self._scope}} if callback.is_open else {})

    def _callback(self, item: dict[str, Any]) -> Callback:
        fields: dict[str, Any] = {name: item[name]["S"] for name in _TEXTS}
        fields |= {name: datetime.fromisoformat(item[name]["S"]) for name in _TIMES if name in item}
        return Callback(
            **fields | {"status": CallbackStatus(fields["status"])},
            callback_id=item[_KEY]["S"].removeprefix(f"{self._scope}/"),
            sealed_phone=item.get("customer_phone", {}).get("S"),
            taken_by=item.get("taken_by", {}).get("S"),
            rings=int(item["rings"]["N"]),
            version=int(item[_VERSION]["N"]),
        )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")  # one width, so that texts sort by time
