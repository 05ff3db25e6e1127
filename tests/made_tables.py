"""Makes one table for tests that need it beside those of the local stack, or again."""

from typing import Any

from service.kit.aws.stores import TableShape
from service.kit.aws.tables import complete_table, expire


def make_table(client: Any, shape: TableShape, name: str) -> None:
    """Create the table with its time to live; complete one that is there already."""
    try:
        client.create_table(**shape.definition(name))
    except client.exceptions.ResourceInUseException:
        complete_table(client, shape, name)
    else:
        expire(client, shape, name)
