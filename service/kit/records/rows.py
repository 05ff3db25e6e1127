"""The port to one table's items: conditional writes, queries in pages, transactions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from service.kit.aws.stores import TableIndex, TableShape
from service.kit.records.conditions import Changes, RowCondition
from service.kit.records.items import Item, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Items of one partition, of the table or of an index, in the order of their sort keys.

    ``sort`` restricts the sort key; ``where`` drops items after they were read, and ``most``, the size of a page, counts before
    that. ``after`` is the ``next`` of the page before. An index may miss the changes of the last second.
    """

    partition: str
    index: TableIndex | None = None
    sort: RowCondition | None = None
    where: RowCondition | None = None
    newest_first: bool = False
    most: int | None = None
    after: Item | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """Items of a query; ``next`` starts the next page, None on the last one. A page may be empty and not be the last."""

    items: list[Item]
    next: Item | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write of a transaction: gives an ``item`` to put, or ``changes`` of a ``key``, or deletes the ``key``."""

    item: Item | None = None
    key: Key | None = None
    changes: Changes | None = None
    when: RowCondition | None = None


class Rows(Protocol):
    """One table. Blocking and shared by threads; every method raises ``StoreError`` when the table does not answer.

    A write whose condition ``when`` does not hold raises ``ItemChanged``. After a broken connection that may be due to the
    caller's own write, which arrived.
    """

    shape: TableShape
    name: str

    def get(self, key: Key) -> Item | None:
        """Return an item as last written, or None."""

    def put(self, item: Item, *, when: RowCondition | None = None) -> None:
        """Write a whole item. Raises ``RecordRefused``: it is larger than 400 KB."""

    def update(
        self, key: Key, changes: Changes, *, when: RowCondition | None = None, returns: Literal["new", "old"] = "new"
    ) -> Item:
        """Change an item, which is made if it is missing; return it as it is now, or as it was before."""

    def delete(self, key: Key, *, when: RowCondition | None = None) -> None:
        """Delete an item; a missing one is ignored."""

    def page(self, query: Query) -> RowPage:
        """Return one page."""

    def query(self, query: Query) -> Iterator[Item]:
        """Yield the items of all pages."""

    def scan(
        self, *, where: RowCondition | None = None, index: TableIndex | None = None, only: Sequence[str] = ()
    ) -> Iterator[Item]:
        """Yield the items of all partitions, in no order; reads the whole table or index, and sends ``only`` some attributes."""

    def together(self, writes: Sequence[Write]) -> None:
        """Make all writes or none."""


class EventLoopRows(Protocol):
    """The part of ``Rows`` that requests use on the event loop."""

    shape: TableShape
    name: str

    async def get(self, key: Key) -> Item | None:
        """See ``Rows.get``."""

    async def put(self, item: Item, *, when: RowCondition | None = None) -> None:
        """See ``Rows.put``."""

    async def page(self, query: Query) -> RowPage:
        """See ``Rows.page``."""

    async def together(self, writes: Sequence[Write]) -> None:
        """See ``Rows.together``."""


def key_of(shape: TableShape, item: Item) -> Key:
    """Return the key of an item."""
    return tuple(item[name] for name in (shape.partition, shape.sort) if name)


def key_attributes(shape: TableShape, key: Key) -> Item:
    """Return a key as the attributes of its item."""
    return dict(zip((shape.partition, shape.sort), key, strict=False))


def all_pages(rows: Rows, query: Query) -> Iterator[Item]:
    """Yield the items of all pages."""
    while True:
        page = rows.page(query)
        yield from page.items
        if page.next is None:
            return
        query = replace(query, after=page.next)
