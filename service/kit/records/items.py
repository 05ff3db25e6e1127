"""Items of a table as plain Python values, and as DynamoDB's JSON."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

# Texts, numbers (never floats: DynamoDB's are decimal), bytes, booleans, None, and lists and maps of these.
Value = Any
Item = dict[str, Value]
# The partition, and in a table with a sort key that key too.
Key = tuple[str, ...]


def encoded(value: Value) -> dict[str, Any]:
    """Return a value in DynamoDB's JSON. Raises ``TypeError``: DynamoDB has no such type."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | Decimal):
        return {"N": format(value, "f") if isinstance(value, Decimal) else str(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, Mapping):
        return {"M": encoded_item(value)}
    if isinstance(value, list | tuple):
        return {"L": [encoded(one) for one in value]}
    raise TypeError(f"an item cannot hold a {type(value).__name__}")


def decoded(value: Mapping[str, Any]) -> Value:
    """Return the value that DynamoDB's JSON stands for; whole numbers are int, others Decimal."""
    ((kind, content),) = value.items()
    if kind == "N":
        number = Decimal(content)
        return int(number) if number == number.to_integral_value() else number
    if kind == "L":
        return [decoded(one) for one in content]
    if kind == "M":
        return decoded_item(content)
    return None if kind == "NULL" else content


def encoded_item(item: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """Return an item, or a part of one such as its key, in DynamoDB's JSON."""
    return {name: encoded(value) for name, value in item.items()}


def decoded_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """Return an item that DynamoDB sent."""
    return {name: decoded(value) for name, value in item.items()}
