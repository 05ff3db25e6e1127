"""Handovers in one DynamoDB table, with a version against two agents, and an index by state and rank."""

from datetime import UTC, datetime
from typing import Any

from service.desk.handover import KEPT_FOR, CustomerHandover, HandoverState
from service.desk.handover_store import HandoverChanged
from service.kit.aws.bounded import patiently, translated
from service.kit.aws.stores import HANDOVERS
from service.kit.frame.errors import StoreError

_TEXT, _VERSION = "text", "version"
_KEY, _TTL = HANDOVERS.partition, HANDOVERS.expires
(_INDEX,) = HANDOVERS.indexes
_LIST, _RANK, _BY_STATE = _INDEX.partition, _INDEX.sort, _INDEX.name


class HandoverTable:
    """See ``HandoverStore``; ``scope`` keeps stages apart that share the table. ``client`` is boto3's."""

    def __init__(self, client: Any, table: str, *, scope: str, timeout_s: float) -> None:
        """``timeout_s`` bounds one access with its retries."""
        self._client = client
        self._table = table
        self._scope = scope
        self._timeout_s = timeout_s
        self._store = f"table {table!r}"

    def add(self, handover: CustomerHandover) -> CustomerHandover:
        """See ``HandoverStore.add``."""
        try:
            return self._written(handover, "attribute_not_exists(#name)", {"#name": _KEY}, {})
        except HandoverChanged:
            found = self.get(handover.handover_id)
            if found is None:
                raise
            return found

    def get(self, handover_id: str) -> CustomerHandover | None:
        """See ``HandoverStore.get``."""
        found = self._called("get_item", Key={_KEY: {"S": f"{self._scope}/{handover_id}"}}, ConsistentRead=True)
        return CustomerHandover.model_validate_json(found["Item"][_TEXT]["S"]) if "Item" in found else None

    def put(self, handover: CustomerHandover) -> CustomerHandover:
        """See ``HandoverStore.put``."""
        version = {":version": {"N": str(handover.version)}}
        return self._written(handover, "#name = :version", {"#name": _VERSION}, {"ExpressionAttributeValues": version})

    def waiting(self) -> list[CustomerHandover]:
        """See ``HandoverStore.waiting``."""
        found: list[CustomerHandover] = []
        asked = self._asked("waiting")
        while True:
            page = self._called("query", **asked)
            found += [CustomerHandover.model_validate_json(item[_TEXT]["S"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def latest(self, state: HandoverState, *, most: int) -> list[CustomerHandover]:
        """See ``HandoverStore.latest``."""
        page = self._called("query", **self._asked(state), ScanIndexForward=False, Limit=most)
        return [CustomerHandover.model_validate_json(item[_TEXT]["S"]) for item in page["Items"]]

    def _asked(self, state: HandoverState) -> dict[str, Any]:
        return {
            "IndexName": _BY_STATE,
            "KeyConditionExpression": f"{_LIST} = :list",
            "ExpressionAttributeValues": {":list": {"S": f"{self._scope}/{state}"}},
        }

    def _written(
        self, handover: CustomerHandover, condition: str, names: dict[str, str], more: dict[str, Any]
    ) -> CustomerHandover:
        written = handover.model_copy(update={"version": handover.version + 1})
        changed_at = written.closed_at or written.taken_at or written.requested_at
        urgency = f"{written.urgency}/" if written.state == "waiting" else ""
        item = {
            _KEY: {"S": f"{self._scope}/{written.handover_id}"},
            _TEXT: {"S": written.model_dump_json()},
            _VERSION: {"N": str(written.version)},
            _TTL: {"N": str(int((changed_at + KEPT_FOR).timestamp()))},
            _LIST: {"S": f"{self._scope}/{written.state}"},
            _RANK: {"S": f"{urgency}{_sortable(changed_at)}/{written.handover_id}"},
        }
        try:
            self._called("put_item", Item=item, ConditionExpression=condition, ExpressionAttributeNames=names, **more)
        except StoreError as err:
            response = getattr(err.__cause__, "response", {})
            if response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                raise HandoverChanged(f"handover {handover.handover_id!r} was changed meanwhile") from err
            raise
        return written

    def _called(self, operation: str, **arguments: Any) -> dict[str, Any]:
        def access() -> dict[str, Any]:
            with translated(self._store):
                found: dict[str, Any] = getattr(self._client, operation)(TableName=self._table, **arguments)
            return found

        return patiently(access, timeout_s=self._timeout_s)


def _sortable(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
