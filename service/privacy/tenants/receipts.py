"""The ledger of deleted tenants in the shared table: what was deleted where, and that nothing was found afterwards."""

from datetime import UTC

from pydantic import AwareDatetime, BaseModel, ConfigDict

from service.kit.records.shared_state import SharedState
from service.privacy.erasure.ledger import read_receipts

_LEDGER = "tenant-ledger"


class TenantReceipt(BaseModel):
    """One deletion. ``deleted`` and ``left`` count records by place; ``left`` is of a search in all places after the deletion.

    ``searched`` is the number of places. ``clients`` are the clients that were revoked.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "tenant": "brindlewick-energy",
                    "reason": "contract ended, case 4711",
                    "by": "ops",
                    "began_at": "2026-11-23T09:00:00Z",
                    "ended_at": "2026-11-23T09:02:10Z",
                    "searched": 28,
                    "deleted": {"table cci-lite-calls": 4213, "warehouse omni_calls": 4180},
                    "left": {},
                    "clients": ["qa-lead"],
                }
            ]
        },
    )

    tenant: str
    reason: str
    by: str
    began_at: AwareDatetime
    ended_at: AwareDatetime
    searched: int
    deleted: dict[str, int]
    left: dict[str, int]
    clients: tuple[str, ...]


class TenantLedger:
    """Blocking; every method raises ``StoreError`` when the table does not answer."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared

    def add(self, receipt: TenantReceipt) -> None:
        """Keep a receipt; it stays."""
        began = receipt.began_at.astimezone(UTC).isoformat(timespec="milliseconds")
        self._shared.put(_LEDGER, f"{receipt.tenant}/{began}", receipt.model_dump_json())

    def receipts(self, tenant: str | None = None) -> list[TenantReceipt]:
        """Return all receipts, or those of one tenant's id; of each id the oldest first."""
        found = read_receipts(self._shared, _LEDGER, TenantReceipt)
        return [one for one in found if tenant in (None, one.tenant)]
