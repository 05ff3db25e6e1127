"""Opens a table by the settings."""

from typing import Any

from service.kit.aws.stores import TableShape
from service.kit.records.memory import RowsInMemory
from service.kit.records.rows import Rows
from service.kit.records.shared_state import has_shared_state
from service.kit.settings import Settings


def open_rows(settings: Settings, shape: TableShape, dynamodb: Any = None, *, patient: bool = True) -> Rows:
    """Return the table of the settings; in `local` without a local AWS one in memory. Contacts nothing.

    ``dynamodb`` is a boto3 client to use; one is built if it is None. ``patient`` False: the caller retries.
    """
    if not has_shared_state(settings):
        return RowsInMemory(shape)
    from service.kit.aws.clients import client
    from service.kit.records.dynamo import DynamoRows

    dynamodb = client("dynamodb", settings, attempts=1) if dynamodb is None else dynamodb
    timeout_s = settings.stores.timeout_s if patient else 0.0
    return DynamoRows(dynamodb, shape, settings.flat()[shape.setting], timeout_s=timeout_s)
