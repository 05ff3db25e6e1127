"""A table in this process's memory: for unit tests, and for `local` without an AWS."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from service.kit.aws.bounded import ItemChanged, RecordRefused
from service.kit.aws.stores import TableIndex, TableShape
from service.kit.records.conditions import Changes, RowCondition
from service.kit.records.items import Item, Key, Value
from service.kit.records.rows import Query, RowPage, Write, all_pages, key_attributes, key_of

_LARGEST_ITEM = 400 * 1024


class RowsInMemory:
    """See ``Rows``. ``page_items`` bounds a page, as 1 MB does in DynamoDB; expired items stay, as they do there for hours."""

    def __init__(self, shape: TableShape, *, page_items: int = 1000) -> None:
        self.shape = shape
        self.name = shape.setting
        self._page_items = page_items
        self._items: dict[Key, Item] = {}
        self._lock = threading.RLock()

    def get(self, key: Key) -> Item | None:
        with self._lock:
            found = self._items.get(key)
            return None if found is None else dict(found)

    def put(self, item: Item, *, when: RowCondition | None = None) -> None:
        self.together([Write(item=item, when=when)])

    def update(
        self, key: Key, changes: Changes, *, when: RowCondition | None = None, returns: Literal["new", "old"] = "new"
    ) -> Item:
        with self._lock:
            before = self.get(key) or {}
            self.together([Write(key=key, changes=changes, when=when)])
            return before if returns == "old" else self.get(key) or {}

    def delete(self, key: Key, *, when: RowCondition | None = None) -> None:
        self.together([Write(key=key, when=when)])

    def page(self, query: Query) -> RowPage:
        found = [
            item
            for item in self._listed(query.index)
            if item[(query.index or self.shape).partition] == query.partition
            and (query.sort is None or query.sort.holds(item))
        ]
        place = self._place(query.index)
        found.sort(key=place, reverse=query.newest_first)
        if query.after is not None:
            start = place(query.after)
            found = [item for item in found if (place(item) < start if query.newest_first else place(item) > start)]
        most = self._page_items if query.most is None else min(query.most, self._page_items)
        read = found[:most]
        # As DynamoDB: a page that its limit ended has a next one, which may be empty.
        is_last = len(read) < most or (len(found) == most and most != query.most)
        after = None if is_last else self._keys(read[-1], query.index)
        return RowPage(items=[item for item in read if query.where is None or query.where.holds(item)], next=after)

    def query(self, query: Query) -> Iterator[Item]:
        return all_pages(self, query)

    def scan(
        self, *, where: RowCondition | None = None, index: TableIndex | None = None, only: Sequence[str] = ()
    ) -> Iterator[Item]:
        for item in self._listed(index):
            if where is None or where.holds(item):
                yield {name: value for name, value in item.items() if not only or name in only}

    def together(self, writes: Sequence[Write]) -> None:
        with self._lock:
            made: dict[Key, Item | None] = {}
            for write in writes:
                key = write.key if write.key is not None else key_of(self.shape, write.item or {})
                before = self._items.get(key, {})
                if write.when is not None and not write.when.holds(before):
                    raise ItemChanged(f"table {self.name!r}: the item is not as expected")
                after = None if write.item is None else dict(write.item)
                if write.changes is not None:
                    after = write.changes.apply(before | key_attributes(self.shape, key))
                if after is not None and _size(after) > _LARGEST_ITEM:
                    raise RecordRefused(f"table {self.name!r} refuses: ValidationException")
                made[key] = after
            for key, item in made.items():
                if item is None:
                    self._items.pop(key, None)
                else:
                    self._items[key] = item

    def _listed(self, index: TableIndex | None) -> list[Item]:
        """Return what the table or index holds, with the attributes that are copied to the index."""
        with self._lock:
            items = [dict(item) for _, item in sorted(self._items.items())]
        if index is None:
            return items
        keys = [name for name in (index.partition, index.sort) if name]
        held = [item for item in items if all(name in item for name in keys)]
        if index.attributes is None:
            return held
        copied = {*index.attributes, *keys, self.shape.partition, self.shape.sort}
        return [{name: value for name, value in item.items() if name in copied} for item in held]

    def _place(self, index: TableIndex | None) -> Callable[[Mapping[str, Value]], tuple[Value, ...]]:
        names = [self.shape.sort] if index is None else [index.sort, self.shape.partition, self.shape.sort]
        return lambda item: tuple(item[name] for name in names if name)

    def _keys(self, item: Item, index: TableIndex | None) -> Item:
        found = [self.shape.partition, self.shape.sort, *((index.partition, index.sort) if index else ())]
        return {name: item[name] for name in found if name}


class AwaitedRows:
    """``Rows`` in memory as ``EventLoopRows``."""

    def __init__(self, rows: RowsInMemory) -> None:
        self.shape, self.name = rows.shape, rows.name
        self._rows = rows

    async def get(self, key: Key) -> Item | None:
        return self._rows.get(key)

    async def put(self, item: Item, *, when: RowCondition | None = None) -> None:
        self._rows.put(item, when=when)

    async def page(self, query: Query) -> RowPage:
        return self._rows.page(query)

    async def together(self, writes: Sequence[Write]) -> None:
        self._rows.together(writes)


def _size(item: Item) -> int:
    # DynamoDB counts names and values; its JSON is larger by the punctuation, so a text is counted as it is.
    return sum(len(name) + _value_size(value) for name, value in item.items())


def _value_size(value: Value) -> int:
    return len(value.encode() if isinstance(value, str) else json.dumps(value, default=str))
