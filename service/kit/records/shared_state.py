"""What all tasks of a service know together: small texts and counters in one DynamoDB table, with a cheap look for changes.

An item has a partition (a subject, such as ``rollout/summarize``) and a key. Every write of a text also raises its partition's
number in the partition ``changes``, in the same transaction: one query of a few bytes tells which partitions have changed.
``service.kit.records.shared_watch`` makes that query every second.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from service.kit.aws.bounded import STORE_RETRIES, ItemChanged, StoreThrottled
from service.kit.aws.stores import SHARED
from service.kit.frame.errors import StoreError
from service.kit.records.conditions import Changes, RowCondition, absent, at_most, below, between, either, equal
from service.kit.records.items import Item, Key
from service.kit.records.rows import Query, Rows, Write, key_attributes
from service.kit.settings import Settings

_KEY, _EXPIRES = SHARED.sort, SHARED.expires
_TEXT, _VERSION = "text", "version"
# Prefixes of the attributes of a counted item: the counts, and the last batch of each writer.
_COUNT, _WRITER = "n.", "w."
_CHANGES = "changes"
_MOST_COUNTS = 140  # DynamoDB allows 300 operators and 4 KB in an update expression
_ATTEMPTS = 12
_MOST_VERSION = 10**30  # DynamoDB counts on up to 38 digits
_ONE_MORE = Changes(adds={_VERSION: 1})
_TIMEOUT_S = 5.0


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

    def __init__(self, rows: Rows, *, scope: str, now: Callable[[], float] = time.time) -> None:
        self.rows = rows
        self._scope = scope
        self._now = now

    def place(self, partition: str, key: str) -> str:
        """Return where an item stands, for messages that tell an operator to look at it or to delete it."""
        return f"item {key!r} of {self._full(partition)!r} in table {self.rows.name!r}"

    def get(self, partition: str, key: str) -> SharedItem | None:
        """Return one item, or None."""
        found = self.rows.get(self._at(partition, key))
        return _shared_item(found) if found is not None and self._is_alive(found) else None

    def items(self, partition: str, *, first: str = " ", last: str = "~") -> list[SharedItem]:
        """Return the items of a partition with keys from ``first`` to ``last`` (both included), in the order of their keys."""
        found = self.rows.query(Query(partition=self._full(partition), sort=between(_KEY, first, last)))
        return [_shared_item(item) for item in found if self._is_alive(item)]

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
        expires = {} if expires_at is None else {_EXPIRES: int(expires_at)}
        changes = Changes(sets={_TEXT: text} | expires, removes=() if expires else (_EXPIRES,), adds=_ONE_MORE.adds)
        self._announced(partition, key, changes, expected)

    def put_quietly(self, partition: str, key: str, text: str, *, expires_at: float) -> None:
        """Write a text that nobody waits for, such as a heartbeat: without an announcement, at half the price."""
        item = {_TEXT: text, _VERSION: 1, _EXPIRES: int(expires_at)}
        self.rows.put(key_attributes(SHARED, self._at(partition, key)) | item)

    def delete(self, partition: str, key: str, *, expected: int | None = None) -> None:
        """Delete an item and announce the change; a missing one is ignored unless ``expected`` is given."""
        self._announced(partition, key, None, expected)

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
                time.sleep(
                    random.uniform(0, STORE_RETRIES.first_s * attempt)
                )  # several tasks may have begun at the same time
                continue
            return wanted
        raise StoreThrottled(f"table {self.rows.name!r}: {key!r} of {partition!r} is changed all the time")

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
        changes = Changes(
            sets={_WRITER + writer: batch, _EXPIRES: int(expires_at)},
            adds={_COUNT + name: amount for name, amount in amounts.items()},
        )
        is_next = either(absent(_WRITER + writer), below(_WRITER + writer, batch))
        try:
            self.rows.update(self._at(partition, key), changes, when=is_next)
        except ItemChanged:
            return False
        return True

    def announce(self, partition: str) -> None:
        """Announce a change of ``partition`` that is kept elsewhere, such as a release in the registry."""
        self._together([Write(key=self._at(_CHANGES, partition), changes=_ONE_MORE)])

    def changes(self) -> dict[str, int]:
        """Return each partition's number of changes so far; a partition that never had one is missing."""
        return {item.key: item.version for item in self.items(_CHANGES)}

    def _announced(self, partition: str, key: str, changes: Changes | None, expected: int | None) -> None:
        write = Write(key=self._at(partition, key), changes=changes, when=self._expecting(expected))
        try:
            self._together([write, Write(key=self._at(_CHANGES, partition), changes=_ONE_MORE)])
        except ItemChanged as err:
            raise SharedStateChanged(f"{key!r} of {partition!r} was changed by another task") from err

    def _together(self, writes: Sequence[Write]) -> None:
        try:
            self.rows.together(writes)
        except ItemChanged:
            self._number_again(writes)  # whoever reads the item again then finds a version to expect
            raise
        except StoreError:
            if not self._number_again(writes):
                raise
            self.rows.together(writes)

    def _number_again(self, writes: Sequence[Write]) -> bool:
        """Give a number to each item that was left without one that can be counted on; return whether there was any.

        Else one who may write the subject, or announce a change of it, could refuse all writes to it.
        """
        found = {write.key: self.rows.get(write.key) for write in writes if write.key is not None}
        damaged = [key for key, item in found.items() if item and _VERSION in item and not _is_version(item[_VERSION])]
        for key in damaged:
            self.rows.update(key, Changes(sets={_VERSION: int(self._now())}))
        return bool(damaged)

    def _expecting(self, expected: int | None) -> RowCondition | None:
        if expected == 0:
            # An expired item does not exist any more, although DynamoDB deletes it hours or days later.
            return either(absent(_VERSION), at_most(_EXPIRES, int(self._now())))
        return None if expected is None else equal(_VERSION, expected)

    def _full(self, partition: str) -> str:
        return f"{self._scope}/{partition}"

    def _at(self, partition: str, key: str) -> Key:
        return self._full(partition), key

    def _is_alive(self, item: Item) -> bool:
        # DynamoDB deletes expired items hours or days later.
        expires = item.get(_EXPIRES)
        return not isinstance(expires, int | Decimal) or expires > self._now()


def has_shared_state(settings: Settings) -> bool:
    """Return whether the settings name an AWS: `aws`, or `local` with a local AWS endpoint."""
    return settings.environment != "local" or settings.aws.endpoint is not None


def open_shared_state(settings: Settings, dynamodb: Any = None) -> SharedState | None:
    """Return the shared state of ``settings``; None in `local` without a local AWS endpoint. Contacts nothing.

    ``dynamodb`` is a boto3 client to use; one is built if it is None.
    """
    if not has_shared_state(settings):
        return None
    from service.kit.aws.clients import client
    from service.kit.records.dynamo import DynamoRows

    dynamodb = client("dynamodb", settings, attempts=1) if dynamodb is None else dynamodb
    rows = DynamoRows(dynamodb, SHARED, settings.stores.shared_table, timeout_s=_TIMEOUT_S)
    return SharedState(rows, scope=settings.stage)


def _shared_item(item: Item) -> SharedItem:
    """Return the item whatever somebody has written into it: a text that is none is damaged, not missing."""
    text, version = item.get(_TEXT), item.get(_VERSION)
    return SharedItem(
        key=item[_KEY],
        text=text if text is None or isinstance(text, str) else "",
        version=int(version) if isinstance(version, int | Decimal) and _is_version(version) else 0,
        counts={name: Decimal(value) for name, value in _numbers(item, _COUNT)},
        batches={name: int(value) for name, value in _numbers(item, _WRITER)},
    )


def _is_version(value: object) -> bool:
    return isinstance(value, int | Decimal) and 0 <= value < _MOST_VERSION


def _numbers(item: Item, prefix: str) -> Iterable[tuple[str, int | Decimal]]:
    numbers = ((name, value) for name, value in item.items() if isinstance(value, int | Decimal))
    return ((name.removeprefix(prefix), value) for name, value in numbers if name.startswith(prefix))
