"""Finds, exports and deletes what all places hold of one customer; each step can be repeated after an interruption."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.kit.records.shared_state import SharedState
from service.kit.records.tombstones import REFRESH_S, erase_from
from service.kit.telemetry.fields import account_hash
from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.ledger import ErasureLedger, Receipt
from service.privacy.erasure.store import FoundRecord, SearchedPlace

# Found records teach ids that lead to others: an account's summary a contact, the contact a conversation, it a callback.
_MOST_PASSES = 6
# A writer that has read the notes just before keeps a record for this long at most: twice its patience with a store.
_SETTLE_S = 2 * REFRESH_S + 4.0
_MOST_SWEEPS = 3

_RECORDINGS = "calls_bucket"

Found = dict[SearchedPlace, list[FoundRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureOrder:
    """Whom to erase, why and on whose word. ``reason`` names a case, never a person."""

    account: str
    tenant: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Eraser:
    """Works on ``places``, in whatever order they are given."""

    places: Sequence[SearchedPlace]
    shared: SharedState
    now: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep
    reclaim: Callable[[], None] = lambda: None
    report: Callable[[str], None] = lambda line: None

    def find(self, ids: CustomerIds) -> Found:
        """Return what each place holds of a customer; ``ids`` grow by what the records teach."""
        for number in range(1, _MOST_PASSES + 1):
            before, found = ids.plain(), {}
            for place in self.places:
                found[place] = list(place.find(ids))
                for record in found[place]:
                    if place.place.bucket:
                        ids.learn("object", record.at)
                    if isinstance(record.content, dict):
                        ids.learn_from(place.place, record.content)
            if ids.plain() == before:
                break
            self.report(f"pass {number}: {sum(map(len, found.values()))} records, and ids that may lead to more")
        return found

    def erase(self, order: ErasureOrder, ids: CustomerIds) -> Receipt:
        """Delete everything that is found, look again, and keep a receipt; ``left`` in it should be 0.

        First writers are told, so that nothing that is on its way is stored afterwards.
        """
        began, customer, ledger = self.now(), account_hash(order.account), ErasureLedger(self.shared)
        for kind, values in ledger.open_ids(customer).plain().items():
            for value in values:
                ids.learn(kind, value)  # type: ignore[arg-type]  # the kinds that `plain` gave
        noted: set[str] = set()
        self._note({customer}, noted, began)
        deleted: dict[str, int] = {}
        for _ in range(_MOST_SWEEPS):
            found = self.find(ids)
            if not any(found.values()):
                break
            ledger.keep_open(customer, ids, began)
            # Their audit, transcript or score may be on its way, under a hash of its own.
            if self._note({account_hash(one) for one in _apart(ids, found)}, noted, began):
                found = self.find(ids)
            # Those that teach ids come last: an interrupted run finds the rest by them.
            for place in sorted(found, key=lambda one: len(one.place.learns)):
                place.delete(found[place])
                if found[place]:
                    deleted[place.name] = deleted.get(place.name, 0) + len(found[place])
                    self.report(f"{place.name}: {len(found[place])} deleted")
        self.reclaim()
        last = self.find(ids)
        left = sum(map(len, last.values()))
        receipt = Receipt(
            customer=customer,
            tenant=order.tenant,
            reason=order.reason,
            by=order.by,
            began_at=began,
            ended_at=self.now(),
            deleted=deleted,
            left=left,
            not_there=tuple(place.name for place in last if not place.is_there),
        )
        ledger.add(receipt)
        if left == 0:
            ledger.close(customer)
        return receipt

    def _note(self, hashes: set[str], noted: set[str], began: datetime) -> bool:
        """Tell writers who is erased, and wait until each of them knows; return whether that was new."""
        new = hashes - noted
        for hashed in sorted(new):
            erase_from(self.shared, hashed, began)
        noted |= new
        if new:
            self.sleep(_SETTLE_S)
        return bool(new)


def _apart(ids: CustomerIds, found: Found) -> set[str]:
    """Return what late records name instead of the customer: conversations, calls, and recordings that nobody has begun."""
    recordings = {one.at for place, records in found.items() if place.place.bucket == _RECORDINGS for one in records}
    return ids.of("conversation", "call") | recordings
