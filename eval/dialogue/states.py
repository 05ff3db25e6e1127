"""Compares end states and arguments by field: numbers by worth, sets in any order, what nobody named left out."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from service.core.statements.grounding.text import fold
from service.core.tools.provenance import phone_digits

_FIGURE = re.compile(r"[-+]?[0-9]*\.?[0-9]+")
GONE = None  # the value of a field that the end state no longer has


def changes(before: Any, after: Any, ignored: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of ``after`` that differ from ``before``, by dotted path; ``GONE`` for those that it lacks.

    ``ignored`` are the last parts of paths, such as ``note``, or dotted paths: free text and logs of reads, in which equal
    conversations differ.
    """
    start, end = dict(_fields(before, "")), dict(_fields(after, ""))
    found = {
        path: end.get(path, GONE)
        for path in sorted(start.keys() | end.keys())
        if path not in start or path not in end or not equal(start[path], end[path])
    }
    return {
        path: value
        for path, value in found.items()
        if not (_is_ignored(path, ignored) or _was_filled(path, start, end) or _was_filled(path, end, start))
    }


def same_changes(expected: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether exactly the ``expected`` fields changed, to the expected values."""
    flat = {path: value for name, item in expected.items() for path, value in _fields(item, name)}
    return flat.keys() == found.keys() and all(equal(value, found[path]) for path, value in flat.items())


def equal(one: Any, other: Any) -> bool:
    """Return whether a reader would call two JSON values the same: 25 and "25.00", lists in any order, grouped phone numbers."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return _same_items(one, other)
    if isinstance(one, Mapping | list | tuple) or isinstance(other, Mapping | list | tuple):
        return False
    signs = _currency(one), _currency(other)
    if "" not in signs and signs[0] != signs[1]:
        return False
    numbers = _number(one), _number(other)
    if None not in numbers:
        # Digits that begin with a zero are a name, such as an account number, and no figure.
        return numbers[0] == numbers[1] and _is_name(one) == _is_name(other)
    phones = phone_digits(str(one)), phone_digits(str(other))
    if None not in phones:
        return phones[0] == phones[1]
    return fold(str(one)).strip() == fold(str(other)).strip()


def holds(arguments: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Return whether ``arguments`` have all ``expected`` ones, with equal values."""
    return all(name in arguments and equal(value, arguments[name]) for name, value in expected.items())


def _fields(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _fields(item, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _is_ignored(path: str, ignored: Sequence[str]) -> bool:
    return any(path == name or path.endswith(f".{name}") or path.startswith(f"{name}.") for name in ignored)


def _was_filled(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether an empty table got entries: they are the changes, and not that it is no longer empty."""
    below = f"{path}." if path else ""
    return before.get(path) == {} and any(other.startswith(below) and other != path for other in after)


def _same_items(one: Sequence[Any], other: Sequence[Any]) -> bool:
    left = list(other)
    for item in one:
        match = next((number for number, candidate in enumerate(left) if equal(item, candidate)), None)
        if match is None:
            return False
        del left[match]
    return not left


def _currency(value: Any) -> str:
    """Return the sign that an amount begins with, or "": "5" may be any currency, and "£5" is not "€5"."""
    text = str(value).strip()
    return text[0] if text and text[0] in "£€$¥" else ""


def _number(value: Any) -> Decimal | None:
    if isinstance(value, int | float):
        return Decimal(str(value)) if math.isfinite(value) else None
    # Only what people write: to Decimal "12E4", an id, is 120000, too.
    text = str(value).strip().removeprefix(_currency(value)).strip()
    return Decimal(text) if _FIGURE.fullmatch(text) else None


def _is_name(value: Any) -> str:
    text = str(value).strip()
    return text if len(text) > 1 and text[0] == "0" and text[1] != "." else ""
