"""Opens the warehouse that the settings name."""

from typing import TYPE_CHECKING

from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

if TYPE_CHECKING:
    from service.warehouse.port import Warehouse


class EngineMissing(ConfigurationError, ImportError):
    """The warehouse extra is not installed. Also an ImportError, so that a service without the extra can catch it as one."""


def open_warehouse(settings: Settings, *, read_only: bool = False) -> "Warehouse":
    """Open the warehouse of ``settings``: Redshift if a workgroup or a cluster is set, otherwise the embedded file.

    An open reader of the file blocks writers, and an open writer blocks readers: open, query, close.

    Raises:
        WarehouseBusy: another process still holds the file after ``settings.warehouse.wait_s``.
        EngineMissing: the embedded engine is not installed.
        WarehouseError: there is no file to read, or its schema is newer than this program's.
    """
    if settings.redshift.workgroup is not None or settings.redshift.cluster is not None:
        from service.kit.aws import clients
        from service.warehouse.redshift import RedshiftWarehouse

        return RedshiftWarehouse(clients.client("redshift-data", settings), clients.client("s3", settings), settings)
    try:
        from service.warehouse.duck import DuckWarehouse
    except ImportError as err:
        raise EngineMissing(f"{err.name} is not installed: pip install 'omni-insights[warehouse]'") from err

    return DuckWarehouse(
        settings.warehouse_file,
        read_only=read_only,
        memory_mb=settings.warehouse.memory_mb,
        threads=settings.warehouse.threads,
        wait_s=settings.warehouse.wait_s,
    )
