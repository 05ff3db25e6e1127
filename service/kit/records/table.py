"""Versioned records of one kind in a table: keys, expiry, an index, pages, and writes that expect a version."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel

from service.kit.aws.bounded import STORE_RETRIES, ItemChanged, StoreThrottled
from service.kit.aws.stores import TableShape
from service.kit.records.conditions import RowCondition, absent, at_most, either, equal
from service.kit.records.items import Item, Key
from service.kit.records.rows import EventLoopRows, Query, RowPage, Rows, Write, key_attributes

T = TypeVar("T")
_ATTEMPTS = 50


class RecordChanged(ItemChanged):
    """Somebody else changed the record since it was read; read it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordForm(Generic[T]):
    """How the records of one kind are stored.

    Attributes:
        noun: what a record is called in messages.
        key: a record's partition, which begins with its tenant if it has one, and in a table with a sort key that key.
        to_item: the attributes beside key, version, expiry and the index's partition.
        from_item: the record in an item, whose partition is without the table's scope.
        version: the attribute with the number of the write, from 1; "" for records that are written once. The record has it
            as its field ``version``, which is 0 before the first write.
        expires: when a record may be deleted; None: never.
        listed_in: the partition of the table's first index, without the scope ("": the scope alone); None if the index leaves
            the record out, or ``to_item`` gives its attributes.
    """

    noun: str
    key: Callable[[T], Key]
    to_item: Callable[[T], Item]
    from_item: Callable[[Item], T]
    version: str = "version"
    expires: Callable[[T], datetime | None] = lambda record: None
    listed_in: Callable[[T], str | None] = lambda record: None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage(Generic[T]):
    """Some records; ``next`` starts the next page, None on the last one."""

    records: list[T]
    next: Item | None = None


class _Stored(Generic[T]):
    """What both tables do without a store: turn records into items, keys and conditions, and items into records."""

    def __init__(self, shape: TableShape, form: RecordForm[T], scope: str, now: Callable[[], float] | None) -> None:
        self.shape, self.form, self.scope, self.now = shape, form, scope, now

    def key(self, key: Key) -> Key:
        return self.scoped(key[0]), *key[1:]

    def scoped(self, partition: str) -> str:
        return "/".join(part for part in (self.scope, partition) if part)

    def query(self, query: Query) -> Query:
        return replace(query, partition=self.scoped(query.partition))

    def item(self, record: T) -> Item:
        form, shape = self.form, self.shape
        item = form.to_item(record) | key_attributes(shape, self.key(form.key(record)))
        if form.version:
            item[form.version] = version_of(record)
        expires = form.expires(record)
        if expires is not None:
            item[shape.expires] = int(expires.timestamp())
        listed_in = form.listed_in(record)
        if listed_in is not None:
            item[shape.indexes[0].partition] = self.scoped(listed_in)
        return item

    def records(self, items: Iterable[Item]) -> list[T]:
        return [self._record(item) for item in items if self._is_alive(item)]

    def found(self, item: Item | None) -> T | None:
        return self._record(item) if item is not None and self._is_alive(item) else None

    def writing(self, record: T) -> tuple[T, Item]:
        written = with_version(record, version_of(record) + 1) if self.form.version else record
        return written, self.item(written)

    def expected(self, record: T) -> RowCondition | None:
        if not self.form.version:
            return None
        version = version_of(record)
        return equal(self.form.version, version) if version else self.new()

    def new(self) -> RowCondition:
        missing = absent(self.shape.partition)
        return missing if self.now is None else either(missing, at_most(self.shape.expires, int(self.now())))

    def changed(self, record: T) -> RecordChanged:
        return RecordChanged(f"{self.form.noun} {'/'.join(self.form.key(record))!r} was changed meanwhile")

    def page(self, page: RowPage) -> RecordPage[T]:
        return RecordPage(records=self.records(page.items), next=page.next)

    def _record(self, item: Item) -> T:
        partition = item[self.shape.partition]
        plain = partition.removeprefix(f"{self.scope}/") if self.scope else partition
        return self.form.from_item({**item, self.shape.partition: plain})

    def _is_alive(self, item: Item) -> bool:
        # DynamoDB deletes expired items hours or days later.
        expires = item.get(self.shape.expires)
        return self.now is None or expires is None or expires > self.now()


class RecordTable(Generic[T]):
    """Records of one kind. Blocking; every method raises ``StoreError`` when the table does not answer.

    ``scope`` keeps stages apart that share the table. With ``now``, seconds since 1970, expired records are gone at once;
    without it when the table deletes them.
    """

    def __init__(
        self, rows: Rows, form: RecordForm[T], *, scope: str = "", now: Callable[[], float] | None = None
    ) -> None:
        self.rows = rows
        self._stored = _Stored(rows.shape, form, scope, now)

    def get(self, *key: str) -> T | None:
        """Return the record with this key as last written, or None."""
        return self._stored.found(self.rows.get(self._stored.key(key)))

    def add(self, record: T) -> T:
        """Write a new record and return it with its version; if there is one with its key, return that."""
        try:
            return self.put_new(record)
        except RecordChanged:
            found = self.get(*self._stored.form.key(record))
            if found is None:
                raise
            return found

    def put_new(self, record: T) -> T:
        """Write a new record and return it with its version. Raises ``RecordChanged``: there is one with its key."""
        return self._put(record, self._stored.new())

    def put(self, record: T) -> T:
        """Write a record whole and return it with its new version; one of version 0 must be new.

        Raises:
            RecordChanged: the table has another version than ``record``.
        """
        return self._put(record, self._stored.expected(record))

    def change(self, decide: Callable[[T | None], T | None], *key: str) -> T | None:
        """Write what ``decide`` makes of a record (None: leave it), and return what is there now.

        ``decide`` gets None for a missing record. It is called again if somebody else changes the record in between.
        """
        for attempt in range(_ATTEMPTS):
            present = self.get(*key)
            wanted = decide(present)
            if wanted is None or wanted == present:
                return present
            try:
                return self.put(wanted)
            except RecordChanged:
                time.sleep(
                    random.uniform(0, STORE_RETRIES.first_s * attempt)
                )  # several writers may have begun at the same time
        raise StoreThrottled(f"table {self.rows.name!r}: {'/'.join(key)!r} is changed all the time")

    def delete(self, *key: str) -> None:
        """Delete a record; a missing one is ignored."""
        self.rows.delete(self._stored.key(key))

    def records(self, query: Query) -> Iterator[T]:
        """Yield the records of all pages. The query's partition is without the scope."""
        for item in self.rows.query(self._stored.query(query)):
            yield from self._stored.records([item])

    def page(self, query: Query) -> RecordPage[T]:
        """Return one page; see ``records``."""
        return self._stored.page(self.rows.page(self._stored.query(query)))

    def _put(self, record: T, when: RowCondition | None) -> T:
        written, item = self._stored.writing(record)
        try:
            self.rows.put(item, when=when)
        except ItemChanged as err:
            raise self._stored.changed(record) from err
        return written


class EventLoopRecordTable(Generic[T]):
    """See ``RecordTable``; for requests, on the event loop."""

    def __init__(
        self, rows: EventLoopRows, form: RecordForm[T], *, scope: str = "", now: Callable[[], float] | None = None
    ) -> None:
        self.rows = rows
        self._stored = _Stored(rows.shape, form, scope, now)

    async def get(self, *key: str) -> T | None:
        """See ``RecordTable.get``."""
        return self._stored.found(await self.rows.get(self._stored.key(key)))

    async def add(self, record: T) -> T:
        """See ``RecordTable.add``."""
        try:
            return await self._put(record, self._stored.new())
        except RecordChanged:
            found = await self.get(*self._stored.form.key(record))
            if found is None:
                raise
            return found

    async def put(self, record: T, *, beside: Sequence[Write] = ()) -> T:
        """See ``RecordTable.put``; the writes ``beside`` it (``write``) are made with it, or none is."""
        return await self._put(record, self._stored.expected(record), beside)

    def write(self, record: T) -> Write:
        """Return the write that ``put`` makes, for a transaction."""
        return Write(item=self._stored.writing(record)[1], when=self._stored.expected(record))

    async def page(self, query: Query) -> RecordPage[T]:
        """See ``RecordTable.page``."""
        return self._stored.page(await self.rows.page(self._stored.query(query)))

    async def records(self, query: Query) -> list[T]:
        """Return the records of all pages; see ``RecordTable.records``."""
        found = await self.page(query)
        records = found.records
        while found.next is not None:
            found = await self.page(replace(query, after=found.next))
            records += found.records
        return records

    async def _put(self, record: T, when: RowCondition | None, beside: Sequence[Write] = ()) -> T:
        written, item = self._stored.writing(record)
        try:
            if beside:
                await self.rows.together([Write(item=item, when=when), *beside])
            else:
                await self.rows.put(item, when=when)
        except ItemChanged as err:
            raise self._stored.changed(record) from err
        return written


def version_of(record: object) -> int:
    """Return a record's field ``version``."""
    return cast(int, cast(Any, record).version)


def with_version(record: T, version: int) -> T:
    """Return a copy of a dataclass or model with another ``version``."""
    if isinstance(record, BaseModel):
        return record.model_copy(update={"version": version})
    return cast(T, replace(cast(Any, record), version=version))
