"""What all tasks of a service know together: small texts and counters in one DynamoDB table, with a cheap look for changes.

An item has a partition (a subject, such as ``rollout/summarize``) and a key. Every write of a text also raises its partition's
number in the partition ``changes``, in the same transaction: one query of a few bytes tells which partitions have changed.
``service.kit.aws.shared_watch`` makes that query every second.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from service.kit.aws.bounded import FIRST_WAIT_S, StoreThrottled, patiently, translated
from service.kit.aws.stores import SHARED
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings

_PARTITION, _KEY, _EXPIRES = SHARED.partition, SHARED.sort, SHARED.expires
_TEXT, _VERSION = "text", "version"
# Prefixes of the attributes of a counted item: the counts, and the last batch of each writer.
_COUNT, _WRITER = "n.", "w."
_CHANGES = "changes"
_LOST = "ConditionalCheckFailed"
_BUSY = frozenset({"TransactionConflict", "ThrottlingError"})
_MOST_COUNTS = 140  # DynamoDB allows 300 operators and 4 KB in an update expression
_ATTEMPTS = 12
_ONE_MORE: Mapping[str, Any] = {
    "UpdateExpression": "ADD #version :one",
    "ExpressionAttributeNames": {"#version": _VERSION},
    "ExpressionAttributeValues": {":one": {"N": "1"}},
}


class SharedStateChanged(StoreError):
    """The item is no longer as expected: another task changed it. Read it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedItem:
    """One item. ``text`` is None for an item that only counts; ``version`` grows by one with each write of the text.

    ``batches`` holds the number of the last batch that each writer added to ``counts``.
    """

    key: str
    text: str | None
    version: int
    counts: Mapping[str, Decimal] = field(default_factory=dict)
    batches: Mapping[str, int] = field(default_factory=dict)


class SharedState:
    """Blocking access to one table; ``scope`` keeps stages apart that share it. Every method raises ``StoreError``.

    Reads are consistent. ``now`` is seconds since 1970.
    """

    def __init__(self, client: Any, table: str, *, scope: str, now: Callable[[], float] = time.time) -> None:
        self.table = table
        self._client = client
        self._scope = scope
        self._now = now
        self._store = f"table {table!r}"

    def place(self, partition: str, key: str) -> str:
        """Return where an item stands, for messages that tell an operator to look at it or to delete it."""
        return f"item {key!r} of {self._full(partition)!r} in table {self.table!r}"

    def get(self, partition: str, key: str) -> SharedItem | None:
        """Return one item, or None."""
        found = self._called("get_item", Key=self._at(partition, key), ConsistentRead=True)
        return self._item(found["Item"]) if self._is_alive(found.get("Item")) else None

    def items(self, partition: str, *, first: str = " ", last: str = "~") -> list[SharedItem]:
        """Return the items of a partition with keys from ``first`` to ``last`` (both included), in the order of their keys."""
        asked = {
            "KeyConditionExpression": "#pk = :pk AND #sk BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#pk": _PARTITION, "#sk": _KEY},
            "ExpressionAttributeValues": {
                ":pk": {"S": self._full(partition)},
                ":first": {"S": first},
                ":last": {"S": last},
            },
            "ConsistentRead": True,
        }
        found: list[SharedItem] = []
        while True:
            page = self._called("query", **asked)
            found += [self._item(item) for item in page["Items"] if self._is_alive(item)]
            if "LastEvaluatedKey" not in page:
                return found
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def put(
        self, partition: str, key: str, text: str, *, expected: int | None = None, expires_at: float | None = None
    ) -> None:
        """Write a text and announce the change.

        Args:
            partition: the subject.
            key: the item's key in it.
            text: the new content, at most 400 KB.
            expected: the version that the caller has read (0: the item did not exist); None: any version is replaced.
            expires_at: seconds since 1970; the item is gone afterwards. None: it stays.

        Raises:
            SharedStateChanged: the item has another version than ``expected``.
        """
        expires = " REMOVE #expires" if expires_at is None else ""
        values: dict[str, Any] = {":text": {"S": text}, ":one": {"N": "1"}}
        if expires_at is not None:
            values[":expires"] = {"N": str(int(expires_at))}
        update: dict[str, Any] = {
            "TableName": self.table,
            "Key": self._at(partition, key),
            "UpdateExpression": f"SET #text = :text{', #expires = :expires' if not expires else ''}{expires} ADD #version :one",
            "ExpressionAttributeNames": {"#text": _TEXT, "#version": _VERSION, "#expires": _EXPIRES},
            "ExpressionAttributeValues": values,
        }
        self._announced({"Update": self._expecting(update, expected)}, partition, key)

    def put_quietly(self, partition: str, key: str, text: str, *, expires_at: float) -> None:
        """Write a text that nobody waits for, such as a heartbeat: without an announcement, at half the price."""
        item = {_TEXT: {"S": text}, _VERSION: {"N": "1"}, _EXPIRES: {"N": str(int(expires_at))}}
        self._called("put_item", Item=self._at(partition, key) | item)

    def delete(self, partition: str, key: str, *, expected: int | None = None) -> None:
        """Delete an item and announce the change; a missing one is ignored unless ``expected`` is given."""
        deletion = {"TableName": self.table, "Key": self._at(partition, key)}
        if expected is not None:
            deletion["ExpressionAttributeNames"] = {"#version": _VERSION}
            deletion["ExpressionAttributeValues"] = {}
            self._expecting(deletion, expected)
        self._announced({"Delete": deletion}, partition, key)

    def change(self, partition: str, key: str, decide: Callable[[str | None], str | None]) -> str | None:
        """Read a text, write what ``decide`` makes of it (None: leave it), and return the text that is there now.

        ``decide`` gets None for a missing item. It is called again if another task changes the item in between.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            found = self.get(partition, key)
            present = None if found is None else found.text
            wanted = decide(present)
            if wanted is None or wanted == present:
                return present
            try:
                self.put(partition, key, wanted, expected=0 if found is None else found.version)
            except SharedStateChanged:
                time.sleep(random.uniform(0, FIRST_WAIT_S * attempt))  # several tasks may have begun at the same time
                continue
            return wanted
        raise StoreThrottled(f"{self._store}: {key!r} of {partition!r} is changed all the time")

    def add(
        self,
        partition: str,
        key: str,
        amounts: Mapping[str, int | Decimal],
        *,
        writer: str,
        batch: int,
        expires_at: float,
    ) -> bool:
        """Add ``amounts`` to an item's counts once per ``batch`` number of a ``writer``; return False if it was added before.

        A writer numbers its batches upwards. It repeats a batch of which it does not know whether it arrived, with the same
        number and the same amounts, before it sends the next one for this item. At most 140 counts.
        """
        if len(amounts) > _MOST_COUNTS:
            raise ValueError(f"{len(amounts)} counts in one batch; DynamoDB takes {_MOST_COUNTS}")
        names = {"#w": _WRITER + writer, "#expires": _EXPIRES}
        values = {":batch": {"N": str(batch)}, ":expires": {"N": str(int(expires_at))}}
        adds = []
        for number, (name, amount) in enumerate(amounts.items()):
            names[f"#{number}"], values[f":{number}"] = _COUNT + name, {"N": format(amount, "f")}
            adds.append(f"#{number} :{number}")
        try:
            self._called(
                "update_item",
                Key=self._at(partition, key),
                UpdateExpression="SET #w = :batch, #expires = :expires" + (f" ADD {', '.join(adds)}" if adds else ""),
                ConditionExpression="attribute_not_exists(#w) OR #w < :batch",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except StoreError as err:
            if _code(err) == f"{_LOST}Exception":
                return False
            raise
        return True

    def announce(self, partition: str) -> None:
        """Announce a change of ``partition`` that is kept elsewhere, such as a release in the registry."""
        self._called("update_item", Key=self._at(_CHANGES, partition), **_ONE_MORE)

    def changes(self) -> dict[str, int]:
        """Return each partition's number of changes so far; a partition that never had one is missing."""
        return {item.key: item.version for item in self.items(_CHANGES)}

    def _announced(self, write: dict[str, Any], partition: str, key: str) -> None:
        marker = {"TableName": self.table, "Key": self._at(_CHANGES, partition), **_ONE_MORE}
        # The same for all attempts: one whose answer was lost may have written, and must not find its own version unexpected.
        token = uuid.uuid4().hex

        def attempt() -> None:
            try:
                with translated(self._store):
                    self._client.transact_write_items(
                        TransactItems=[write, {"Update": marker}], ClientRequestToken=token
                    )
            except StoreError as err:
                reasons = _reasons(err)
                if _LOST in reasons:
                    raise SharedStateChanged(f"{key!r} of {partition!r} was changed by another task") from err
                if not reasons.isdisjoint(_BUSY) or _code(err) == "TransactionInProgressException":
                    raise StoreThrottled(f"{self._store} is busy with another write") from err
                raise

        patiently(attempt, timeout_s=5.0)

    def _expecting(self, write: dict[str, Any], expected: int | None) -> dict[str, Any]:
        if expected == 0:
            # An expired item does not exist any more, although DynamoDB deletes it hours or days later.
            write["ConditionExpression"] = "attribute_not_exists(#version) OR #expires <= :now"
            write["ExpressionAttributeNames"]["#expires"] = _EXPIRES
            write["ExpressionAttributeValues"][":now"] = {"N": str(int(self._now()))}
        elif expected is not None:
            write["ConditionExpression"] = "#version = :expected"
            write["ExpressionAttributeValues"][":expected"] = {"N": str(expected)}
        return write

    def _called(self, operation: str, **arguments: Any) -> dict[str, Any]:
        with translated(self._store):
            found: dict[str, Any] = getattr(self._client, operation)(TableName=self.table, **arguments)
        return found

    def _full(self, partition: str) -> str:
        return f"{self._scope}/{partition}"

    def _at(self, partition: str, key: str) -> dict[str, Any]:
        return {_PARTITION: {"S": self._full(partition)}, _KEY: {"S": key}}

    def _is_alive(self, item: Mapping[str, Any] | None) -> bool:
        # DynamoDB deletes expired items hours or days later.
        return item is not None and (_EXPIRES not in item or float(item[_EXPIRES]["N"]) > self._now())

    def _item(self, item: Mapping[str, Any]) -> SharedItem:
        return SharedItem(
            key=item[_KEY]["S"],
            text=item[_TEXT]["S"] if _TEXT in item else None,
            version=int(item[_VERSION]["N"]) if _VERSION in item else 0,
            counts={name: Decimal(value) for name, value in _numbers(item, _COUNT)},
            batches={name: int(value) for name, value in _numbers(item, _WRITER)},
        )


def has_shared_state(settings: Settings) -> bool:
    """Return whether the settings name an AWS: `aws`, or `local` with a local AWS endpoint."""
    return settings.environment != "local" or settings.aws.endpoint is not None


def open_shared_state(settings: Settings, dynamodb: Any = None) -> SharedState | None:
    """Return the shared state of ``settings``; None in `local` without a local AWS endpoint. Contacts nothing.

    ``dynamodb`` is a boto3 client to use; one is built if it is None.
    """
    if not has_shared_state(settings):
        return None
    if dynamodb is None:
        from service.kit.aws.clients import client

        dynamodb = client("dynamodb", settings, attempts=1)
    return SharedState(dynamodb, settings.stores.shared_table, scope=settings.stage)


def _numbers(item: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
    return ((name.removeprefix(prefix), value["N"]) for name, value in item.items() if name.startswith(prefix))


def _code(err: StoreError) -> str | None:
    refused = err.__cause__
    return refused.response.get("Error", {}).get("Code") if isinstance(refused, ClientError) else None


def _reasons(err: StoreError) -> set[str]:
    refused = err.__cause__
    if not isinstance(refused, ClientError):
        return set()
    return {str(reason.get("Code")) for reason in refused.response.get("CancellationReasons", [])}
