"""What a delivery knows of its items: their ids, their form as JSON, and whom it tells what became of them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Item = TypeVar("Item")


class DeliveryOutcome(StrEnum):
    """What became of an item."""

    UNKEPT = "unkept"  # the outbox did not confirm it in time
    UNSPOOLED = "unspooled"  # the disk does not take it
    WAITING = "waiting"  # it is on disk alone until the next replay
    FAILED = "failed"  # a store failed; it is tried again
    REFUSED = "refused"  # no store will ever take it: it was set aside
    REPLAYED = "replayed"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape(Generic[Item]):
    """The form of one kind of item. ``read`` raises ``ValueError`` if a text is none.

    ``stem_of`` names an item's file, and ``id_in`` finds the id in such a name. ``tell`` gets what happened, the item's id ("" if
    it concerns none) and why.
    """

    id_of: Callable[[Item], str]
    to_json: Callable[[Item], str]
    read: Callable[[str | bytes], Item]
    stem_of: Callable[[Item], str]
    id_in: Callable[[str], str]
    tell: Callable[[DeliveryOutcome, str, str], None]
