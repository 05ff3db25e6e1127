"""Which warehouse the settings name."""

from typing import TYPE_CHECKING

from service.settings import Settings

if TYPE_CHECKING:
    from service.warehouse.port import Warehouse


def open_warehouse(settings: Settings, *, read_only: bool = False) -> "Warehouse":
    """Open the warehouse of ``settings``: the embedded file, or Redshift where a workgroup or a cluster is named.

    A reader of the file keeps writers out, and the other way round: open, query, close.

    Raises:
        WarehouseBusy: another process still holds the file after ``settings.warehouse_wait_s``.
        WarehouseError: there is nothing to read, or it is of a newer schema.
    """
    from service.warehouse.duck import DuckWarehouse

    return DuckWarehouse(
        settings.warehouse_file,
        read_only=read_only,
        memory_mb=settings.warehouse_memory_mb,
        threads=settings.warehouse_threads,
        wait_s=settings.warehouse_wait_s,
    )
