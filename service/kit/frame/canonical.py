"""Canonical JSON and digests: equal content has equal bytes, whatever format it was written or stored in."""

import hashlib
import json
from decimal import Decimal


def _canonical(value: object) -> object:
    # MLflow returns 0 as 0.0, and YAML distinguishes 1 and 1.0; so every whole number is written as an integer.
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float | Decimal):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("NaN and infinity have no canonical JSON form")
        return int(value) if value == int(value) else float(value)
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def canonical_json(value: object) -> str:
    """Return ``value`` as JSON with sorted keys, no spaces, UTF-8 text, and 0.0 written as 0.

    Raises:
        TypeError: a value holds anything but dicts, lists, tuples, strings, numbers, booleans and None.
        ValueError: NaN or infinity.
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_hex(text: str) -> str:
    """Return the SHA-256 of ``text`` in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
