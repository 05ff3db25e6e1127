"""What the local AWS needs beside a table's template: indexes of newer checkouts, and the time to live."""

from typing import Any

from service.kit.aws.stores import TableShape
from service.kit.frame.errors import ConfigurationError


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
