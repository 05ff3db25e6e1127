"""Receipts and ids of erasures that somebody has damaged in the shared table."""

import pytest
from shared_table import TableInMemory

from service.kit.frame.errors import StoreError
from service.privacy.erasure.ledger import ErasureLedger
from service.privacy.tenants.receipts import TenantLedger


@pytest.mark.parametrize(
    ("partition", "read"),
    [
        ("erasure-ledger", lambda table: ErasureLedger(table).receipts()),
        ("erasure-open/c", lambda table: ErasureLedger(table).open_ids("c")),
        ("tenant-ledger", lambda table: TenantLedger(table).receipts()),
    ],
)
@pytest.mark.parametrize("text", ["x", "[]", "[" * 100_000])
def test_what_is_damaged_is_named_with_its_place(partition, read, text):
    table = TableInMemory()
    table.put(partition, "2026", text)
    with pytest.raises(StoreError, match=rf"'2026' of 'test/{partition}' .* is damaged"):
        read(table)
