"""An outbox in this process's memory, for tests and for processes without an AWS; it ends with the process."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic

from service.kit.aws.bounded import RecordRefused
from service.kit.delivery.shape import Item, Shape


class OutboxInMemory(Generic[Item]):
    """Implements ``LeftBehind``, as ``OutboxTable`` does; ``held`` is who has the lease, and until when."""

    def __init__(
        self, shape: Shape[Item], items: Iterable[Item] = (), *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._shape = shape
        self._wall_clock = wall_clock
        self.kept = {shape.id_of(item): (wall_clock(), item) for item in items}
        self.aside: dict[str, str] = {}
        self.held: tuple[str, float] = ("", float("-inf"))

    async def put(self, item: Item) -> None:
        """Keep an item; for ``Outbox``."""
        self.kept[self._shape.id_of(item)] = (self._wall_clock(), item)

    def lease(self, owner: str, *, for_s: float) -> bool:
        """See ``LeftBehind.lease``."""
        now = self._wall_clock()
        if self.held[0] == owner or self.held[1] < now:
            self.held = (owner, now + for_s)
        return self.held[0] == owner

    def waiting(self, *, older_than_s: float) -> Iterator[Item]:
        """See ``LeftBehind.waiting``."""
        latest = self._wall_clock() - older_than_s
        yield from [item for name, (at, item) in self.kept.items() if at <= latest and name not in self.aside]

    def remove(self, ids: Iterable[str]) -> None:
        """See ``LeftBehind.remove``."""
        names = list(ids)
        if len(names) > len(set(names)):
            raise RecordRefused("ValidationException")  # as BatchWriteItem does
        for name in names:
            self.kept.pop(name, None)

    def set_aside(self, name: str, reason: str) -> None:
        """See ``LeftBehind.set_aside``."""
        if name in self.kept:
            self.aside[name] = reason
