"""Leases: one owner holds an item until a time, and whoever dies holding it loses it then."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from service.kit.aws.bounded import ItemChanged
from service.kit.records.conditions import Changes, RowCondition, absent, below, either, equal
from service.kit.records.items import Item, Key
from service.kit.records.rows import Rows


@dataclass(frozen=True, slots=True)
class LeaseFields:
    """The two attributes of an item that its lease is in: who holds it, and until when, in seconds since 1970."""

    owner: str = "owner"
    until: str = "lease_until"

    def free(self, owner: str, now: float) -> RowCondition:
        """Nobody but ``owner`` holds the lease at ``now``."""
        return either(absent(self.until), below(self.until, seconds(now)), equal(self.owner, owner))

    def held(self, owner: str) -> RowCondition:
        """The lease was last taken by ``owner``."""
        return equal(self.owner, owner)

    def taken(self, owner: str, until: float) -> Item:
        """Return what to set when ``owner`` takes it."""
        return {self.owner: owner, self.until: seconds(until)}

    @property
    def both(self) -> tuple[str, str]:
        """What to remove when the lease is released."""
        return self.owner, self.until


class Lease:
    """The lease of one item. Blocking; every method raises ``StoreError`` when the table does not answer.

    ``now`` is seconds since 1970. Machines' clocks may differ by less than ``for_s`` minus the time between two renewals.
    """

    def __init__(self, rows: Rows, key: Key, fields: LeaseFields, *, now: Callable[[], float]) -> None:
        self._rows, self._key, self._fields, self._now = rows, key, fields, now

    def take(self, owner: str, *, for_s: float) -> bool:
        """Return whether ``owner`` has the lease, which it then holds for ``for_s`` more seconds."""
        now = self._now()
        return self._changed(self._fields.taken(owner, now + for_s), self._fields.free(owner, now))

    def renew(self, owner: str, *, for_s: float) -> bool:
        """Lengthen the lease of ``owner``; return False if it was released or another owner took it, and change nothing."""
        return self._changed(self._fields.taken(owner, self._now() + for_s), self._fields.held(owner))

    def release(self, owner: str) -> bool:
        """Give the lease back; return False if another owner has it, and change nothing."""
        return self._change(Changes(removes=self._fields.both), self._fields.held(owner))

    def _changed(self, sets: Item, when: RowCondition) -> bool:
        return self._change(Changes(sets=sets), when)

    def _change(self, changes: Changes, when: RowCondition) -> bool:
        try:
            self._rows.update(self._key, changes, when=when)
        except ItemChanged:
            return False
        return True


def seconds(moment: float) -> Decimal:
    """Return seconds since 1970 as an item holds them, to the millisecond."""
    return Decimal(f"{moment:.3f}")
