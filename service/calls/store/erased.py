"""Tells of a call whether its customer was erased, however late the call arrives: its recording is older than the erasure."""

from datetime import UTC, datetime

from service.calls.keys import CallObject
from service.kit.records.tombstones import Tombstones
from service.kit.telemetry.fields import account_hash

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ErasedCalls:
    """Asks the notes of erasures for calls and recordings. Blocking; both raise ``StoreError`` if nobody can tell."""

    def __init__(self, tombstones: Tombstones) -> None:
        self._tombstones = tombstones

    def has(self, call_id: str) -> bool:
        """Return whether this call was erased."""
        return self._tombstones.covers((account_hash(call_id),), _LONG_AGO)

    def covers(self, source: CallObject) -> bool:
        """Return whether this call or its recording was erased: one that nobody has begun has no id yet."""
        return self._tombstones.covers((account_hash(source.call_id), account_hash(source.key)), _LONG_AGO)
