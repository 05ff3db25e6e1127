"""Queries ``omni_loads`` for objects that were handled before."""

from collections.abc import Sequence
from typing import Any

from service.warehouse.port import Warehouse

_AT_ONCE = 500  # names in one statement


def within(values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """Return the text ``(:v0, :v1, ...)`` for an IN, and its parameters."""
    parameters = {f"v{number}": value for number, value in enumerate(values)}
    return "(" + ", ".join(f":{name}" for name in parameters) + ")", parameters


def known_versions(warehouse: Warehouse, keys: Sequence[str]) -> set[tuple[str, str]]:
    """Return (key, etag) of every object among ``keys`` that was handled before."""
    return {(key, etag) for key, etag, _ in load_rows(warehouse, keys)}


def load_rows(warehouse: Warehouse, keys: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return (key, etag, row count) of every version of ``keys`` that was handled before."""
    found: list[tuple[str, str, int]] = []
    for start in range(0, len(keys), _AT_ONCE):
        names, parameters = within(keys[start : start + _AT_ONCE])
        rows = warehouse.query(f"SELECT object_key, etag, row_count FROM omni_loads WHERE object_key IN {names}", parameters)  # noqa: S608  # fmt: skip
        found.extend(zip(rows["object_key"], rows["etag"], rows["row_count"].astype(int).tolist(), strict=True))
    return found
