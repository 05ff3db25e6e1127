"""Creates missing DynamoDB tables in the local AWS; in AWS the infrastructure code owns the tables."""

from typing import Any

from service.aws.bounded import translated
from service.errors import ConfigurationError


def plain_table(name: str, partition_key: str, sort_key: str) -> dict[str, Any]:
    """Return the arguments of CreateTable for a table with a text partition key, a text sort key and no index."""
    keys = [{"AttributeName": partition_key, "KeyType": "HASH"}, {"AttributeName": sort_key, "KeyType": "RANGE"}]
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": keys,
        "AttributeDefinitions": [{"AttributeName": key["AttributeName"], "AttributeType": "S"} for key in keys],
    }


def make_table(client: Any, definition: dict[str, Any], *, variable: str) -> bool:
    """Create a table from CreateTable's arguments; return False if it exists already.

    Raises:
        ConfigurationError: a table of this name has other keys or indexes; the message names the setting ``variable``.
        StoreError: DynamoDB does not answer.
    """
    name = definition["TableName"]
    wanted = {index["IndexName"] for index in definition.get("GlobalSecondaryIndexes", [])}
    with translated(f"table {name!r}"):
        try:
            client.create_table(**definition)
        except client.exceptions.ResourceInUseException:
            found = client.describe_table(TableName=name)["Table"]
            indexes = {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", [])}
            if found["KeySchema"] != definition["KeySchema"] or not wanted <= indexes:
                what = "keys or indexes" if wanted else "keys"
                raise ConfigurationError(
                    f"table {name!r} exists with other {what}; delete it or set {variable}"
                ) from None
            return False
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return True
