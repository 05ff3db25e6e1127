"""Creates missing DynamoDB tables where no stack does: in tests, and for callers that name a table of their own."""

from typing import Any

from service.aws.bounded import translated
from service.aws.stores import TableShape
from service.errors import ConfigurationError


def make_table(client: Any, shape: TableShape, name: str) -> bool:
    """Create the table with its time to live; return False if it exists already. One that lacks an index gets it.

    Raises:
        ConfigurationError: a table of this name has other keys; the message names its setting.
        StoreError: DynamoDB does not answer.
    """
    with translated(f"table {name!r}"):
        try:
            client.create_table(**shape.definition(name))
        except client.exceptions.ResourceInUseException:
            complete_table(client, shape, name)
            return False
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        expire(client, shape, name)
    return True


def complete_table(client: Any, shape: TableShape, name: str) -> None:
    """Add the indexes that an existing table lacks, one at a time, as DynamoDB wants it.

    Raises:
        ConfigurationError: the table has other keys.
    """
    found, wanted = client.describe_table(TableName=name)["Table"], shape.definition(name)
    if found["KeySchema"] != wanted["KeySchema"]:
        raise ConfigurationError(
            f"table {name!r} exists with other keys; delete it or set OMNI_{shape.setting.upper()}"
        )
    present = {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", [])}
    for index in shape.indexes:
        if index.name not in present:
            client.update_table(
                TableName=name,
                AttributeDefinitions=wanted["AttributeDefinitions"],
                GlobalSecondaryIndexUpdates=[{"Create": index.definition()}],
            )


def expire(client: Any, shape: TableShape, name: str) -> None:
    """Have the table delete what has expired, by its shape."""
    if shape.expires:
        client.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": shape.expires}
        )
