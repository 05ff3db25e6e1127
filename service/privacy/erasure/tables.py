"""Searches a DynamoDB table. Reads all of it: an index exists for one id of one table, and an erasure is rare."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from service.access.sealing import Sealer
from service.kit.aws.bounded import patiently, translated
from service.kit.aws.stores import TableShape
from service.kit.frame.errors import StoreError
from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.places import Place
from service.privacy.erasure.store import FoundRecord

_PATIENCE_S = 10.0
_NOT_THERE = "ResourceNotFoundException"
_deserializer, _serializer = TypeDeserializer(), TypeSerializer()


class SearchedTable:
    """See ``SearchedPlace``. ``sealer`` opens sealed numbers, and is asked only if a telephone number is searched for."""

    def __init__(self, client: Any, shape: TableShape, table: str, place: Place, sealer: Sealer | None) -> None:
        self.name, self.place = f"table {table}", place
        self._client, self._shape, self._table, self._sealer = client, shape, table, sealer
        self.is_there = True

    def find(self, ids: CustomerIds) -> Iterator[FoundRecord]:
        """See ``SearchedPlace.find``."""
        asked: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        self.is_there = True
        while True:
            page = self._called("scan", asked)
            for item in page["Items"]:
                plain = {name: _plain(value) for name, value in item.items()}
                if ids.owns(self.place, self._opened(plain, ids)):
                    yield FoundRecord(at=json.dumps(self._key(plain)), content=plain)
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def delete(self, found: Sequence[FoundRecord]) -> None:
        """See ``SearchedPlace.delete``."""
        for one in found:
            key = {name: _serializer.serialize(value) for name, value in json.loads(one.at).items()}
            self._called("delete_item", {"TableName": self._table, "Key": key})

    def _key(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return {name: plain[name] for name in (self._shape.partition, self._shape.sort) if name}

    def _opened(self, plain: Mapping[str, Any], ids: CustomerIds) -> Mapping[str, Any]:
        """Return the item with its sealed number opened, if numbers are searched for."""
        sealed = self.place.sealed
        if sealed is None or self._sealer is None or not ids.of("phone"):
            return plain
        text = plain.get("text")
        inner = json.loads(text) if isinstance(text, str) else plain
        number = inner.get(sealed.field)
        if not number:
            return plain
        name = str(plain[sealed.under]).partition("/")[2]  # the key begins with the stage
        return {**plain, sealed.field: self._sealer.open(number, name).decode()}

    def _called(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        def access() -> dict[str, Any]:
            with translated(self.name):
                found: dict[str, Any] = getattr(self._client, operation)(**arguments)
            return found

        try:
            return patiently(access, timeout_s=_PATIENCE_S)
        except StoreError as err:
            if getattr(err.__cause__, "response", {}).get("Error", {}).get("Code") == _NOT_THERE:
                self.is_there = False
                return {"Items": []}
            raise


def _plain(value: Mapping[str, Any]) -> Any:
    found = _deserializer.deserialize(value)
    return found if isinstance(found, str | list | dict | set) else str(found)
