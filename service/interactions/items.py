"""Converts interactions to DynamoDB items and, strictly, back: key format and attributes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from service.core.unit.interaction import Interaction
from service.kit.aws.stores import INTERACTIONS

PARTITION_KEY = INTERACTIONS.partition
SORT_KEY = INTERACTIONS.sort
# Queries use placeholders for attributes, because `text` is a reserved word in DynamoDB.
ATTRIBUTES: Mapping[str, str] = {
    "#occurred": SORT_KEY,
    "#channel": "channel",
    "#intent": "intent",
    "#text": "text",
    "#outcome": "outcome",
}
_SEPARATOR = "#"
# The character after '#', which sorts behind all keys of the same millisecond.
_AFTER_SEPARATOR = "$"

InteractionItem = Mapping[str, Mapping[str, Any]]


class MalformedItemError(Exception):
    """An item that is not a valid interaction; the message names fields, but quotes no value."""


def key_time(moment: datetime) -> str:
    """Return ``moment`` in ISO 8601, UTC, truncated to milliseconds; the width is fixed, so text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sort_key(interaction: Interaction) -> str:
    """Return the item's sort key: time, '#', interaction id."""
    return f"{key_time(interaction.timestamp)}{_SEPARATOR}{interaction.interaction_id}"


def key_range(since: datetime, as_of: datetime) -> tuple[str, str]:
    """Return the inclusive bounds of the sort keys from ``since`` to ``as_of``; the milliseconds of both are included."""
    return key_time(since), f"{key_time(as_of)}{_AFTER_SEPARATOR}"


def to_item(account_number: str, interaction: Interaction) -> dict[str, dict[str, str]]:
    """Return the DynamoDB item, without ``outcome`` if it is None."""
    names = ("channel", "intent", "text", "outcome")
    texts = {PARTITION_KEY: account_number, SORT_KEY: sort_key(interaction)}
    texts |= {name: getattr(interaction, name) for name in names}
    return {name: {"S": text} for name, text in texts.items() if text is not None}


def from_item(item: InteractionItem) -> Interaction:
    """Return the interaction in ``item``; unknown attributes are ignored.

    Raises:
        MalformedItemError: an attribute is missing, of the wrong type, or outside the bounds of ``Interaction``.
    """
    key = _text(item, SORT_KEY)
    moment, separator, interaction_id = key.partition(_SEPARATOR)
    if not separator:
        raise MalformedItemError(f"{SORT_KEY!r} has no {_SEPARATOR!r} between time and id")
    try:
        timestamp = datetime.fromisoformat(moment)
        fields = {name: _text(item, name) for name in ("channel", "intent", "text")}
        if "outcome" in item and not item["outcome"].get("NULL"):
            fields["outcome"] = _text(item, "outcome")
        return Interaction.model_validate({"interaction_id": interaction_id, "timestamp": timestamp, **fields})
    except ValidationError as err:
        # `from None`, because pydantic's message quotes the customer's text.
        wrong = sorted({str(error["loc"][0]) for error in err.errors(include_input=False, include_url=False)})
        raise MalformedItemError(f"bad {', '.join(wrong)}") from None
    except (ValueError, OverflowError):
        raise MalformedItemError(f"{SORT_KEY!r} does not start with an ISO time") from None


def _text(item: InteractionItem, name: str) -> str:
    value = item.get(name, {}).get("S")
    if not isinstance(value, str):
        raise MalformedItemError(f"{name!r} is missing or not a text")
    return value
