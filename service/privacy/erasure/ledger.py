"""The ledger of erasures, and the ids of one that has not ended, both in the shared table.

A receipt holds no personal data: a keyed hash stands for the customer. The ids of an erasure that has begun are kept until it
ends: once the places that tell them are empty, a second run could not find the others.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedItem, SharedState
from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.places import IdKind

_LEDGER, _OPEN = "erasure-ledger", "erasure-open"
_OPEN_FOR = timedelta(days=30)
_IDS_PER_ITEM = 4_000  # an item holds at most 400 KB


_IDS = TypeAdapter(dict[IdKind, list[str]])
_Kept = TypeVar("_Kept")


class Receipt(BaseModel):
    """What was deleted where, when and by whom; ``customer`` is a keyed hash. ``left`` counts what was found afterwards.

    ``not_there`` names places of the inventory that do not exist: a wrong name of a store looks like an empty one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: str
    tenant: str
    reason: str
    by: str
    began_at: AwareDatetime
    ended_at: AwareDatetime
    deleted: dict[str, int]
    left: int = 0
    not_there: tuple[str, ...] = ()


class ErasureLedger:
    """Blocking; every method raises ``StoreError`` when the table does not answer."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared

    def add(self, receipt: Receipt) -> None:
        """Keep a receipt; it stays."""
        began = receipt.began_at.astimezone(UTC).isoformat(timespec="milliseconds")
        self._shared.put(_LEDGER, f"{began}/{receipt.customer}", receipt.model_dump_json())

    def receipts(self) -> list[Receipt]:
        """Return all receipts, oldest first."""
        return read_receipts(self._shared, _LEDGER, Receipt)

    def open_ids(self, customer: str) -> CustomerIds:
        """Return the ids that an erasure of ``customer`` had found when it was interrupted."""
        ids = CustomerIds()
        for item in self._shared.items(f"{_OPEN}/{customer}"):
            for kind, values in _read(self._shared, f"{_OPEN}/{customer}", item, _IDS).items():
                for value in values:
                    ids.learn(kind, value)
        return ids

    def keep_open(self, customer: str, ids: CustomerIds, now: datetime) -> None:
        """Keep the ids until ``close``, at most 30 days. Shown texts are left out: what they find is deleted first."""
        expires = (now + _OPEN_FOR).timestamp()
        for kind, values in ids.plain().items():
            if kind in ("text", "keyed"):
                continue
            for start in range(0, len(values), _IDS_PER_ITEM):
                text = json.dumps({kind: values[start : start + _IDS_PER_ITEM]})
                self._shared.put(f"{_OPEN}/{customer}", f"{kind}/{start:08d}", text, expires_at=expires)

    def close(self, customer: str) -> None:
        """Forget the ids of an erasure that has ended."""
        for item in self._shared.items(f"{_OPEN}/{customer}"):
            self._shared.delete(f"{_OPEN}/{customer}", item.key)


def read_receipts(shared: SharedState, partition: str, kind: type[_Kept]) -> list[_Kept]:
    """Return the receipts of a partition, oldest first.

    Raises:
        StoreError: one is damaged, or the table does not answer.
    """
    adapter = TypeAdapter(kind)
    return [_read(shared, partition, item, adapter) for item in shared.items(partition) if item.text is not None]


def _read(shared: SharedState, partition: str, item: SharedItem, adapter: TypeAdapter[_Kept]) -> _Kept:
    try:
        return adapter.validate_json(item.text or "")
    except ValidationError as err:
        raise StoreError(f"{shared.place(partition, item.key)} is damaged: keep a copy, and delete it") from err
