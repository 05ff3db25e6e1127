"""Reads text, JSON and YAML that somebody else wrote: strictly, with bounds on size and depth."""

import json
import math
import re
import stat
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NoReturn

import yaml
from pydantic import AwareDatetime, BeforeValidator, StringConstraints, WithJsonSchema

MOST_BYTES = 64_000_000
MOST_YAML_BYTES = 1_000_000
_MOST_DEPTH = 50
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MARK = "\ufeff"
_QUICK_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# A character that no engine takes for a space: stripping takes U+0085 away, and ECMAScript's \s, which clients use, lacks it.
NO_SPACE = r"[^\s\x85]"
# What libyaml, which is 15 times as quick, reads otherwise than Python's parser does, or reads at all.
_READ_OTHERWISE = re.compile(r"[^ -~\n]|[!%]|[|>][-+0-9]*#")


class NotStrict(ValueError):
    """A text is not what it should be; the message says what is wrong. ``line`` counts from 1, None where it is unknown."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_strict(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Return the text of a file.

    Raises:
        NotStrict: it is no regular file, larger than ``most_bytes``, not UTF-8, begins with a byte order mark, or holds NUL.
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    # A pipe or a device would block or never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotStrict("it is no regular file")
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise NotStrict(f"it is larger than {most_bytes / 1e6:g} MB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise NotStrict(f"it is not UTF-8 text (byte {content[err.start]:#04x} in line {line})", line) from None
    if text.startswith(_MARK):
        raise NotStrict("it begins with a byte order mark: save it as UTF-8 without one", 1)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise NotStrict(f"it holds a NUL character in line {line}", line)
    return text


def lines_of(text: str) -> list[str]:
    """Return the lines of ``text``, which end with a line feed only.

    ``str.splitlines`` would also split at U+2028 and U+0085, which a JSON string may hold as they are.
    """
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def parse_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        NotStrict: it is not JSON, nests too deeply, names a key twice, or holds a number without a finite value or half a
            surrogate pair.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite, parse_int=_whole
        )
    except json.JSONDecodeError as err:
        raise NotStrict(f"not JSON ({err.msg} at column {err.colno})", err.lineno) from None
    except RecursionError:
        raise NotStrict("nested too deeply") from None
    if "\\u" in text and _has_surrogate(value):
        raise NotStrict("a text holds half a surrogate pair, which is no character")
    return value


def parse_yaml(text: str) -> tuple[yaml.Node | None, Any]:
    """Return the node and the value of a YAML text; both None where it is empty.

    Anchors are refused: an alias may name its own parent, and ten lines of aliases may stand for gigabytes.

    Raises:
        NotStrict: it is not YAML, uses an anchor, or nests too deeply; ``line`` counts within ``text``.
    """
    if len(text) > MOST_YAML_BYTES:
        raise NotStrict(f"it is larger than {MOST_YAML_BYTES / 1e6:g} MB")
    if _READ_OTHERWISE.search(text) is None:
        with suppress(yaml.YAMLError, ValueError, OverflowError):  # Python's parser says what is wrong
            return _parsed(text, _QUICK_LOADER)
    try:
        return _parsed(text, yaml.SafeLoader)
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        problem = getattr(err, "problem", None) or " ".join(str(err).split())
        raise NotStrict(f"not YAML ({problem:.200})", mark.line + 1 if mark else None) from None
    except (ValueError, OverflowError, RecursionError) as err:  # a date that is none, a number of 5,000 digits
        if isinstance(err, NotStrict):
            raise
        raise NotStrict(f"not YAML ({err!s:.200})") from None


def own_yaml(text: str) -> Any:
    """Return the value of a YAML text that is part of this project.

    libyaml's parser takes 8 ms where Python's takes 140, and such files are read at every start.

    Raises:
        NotStrict: a name stands twice in one place, such as that of an entry that was copied: YAML would keep the last one alone.
        yaml.YAMLError: it is no YAML.
    """
    _refuse_repeated_names(yaml.compose(text, Loader=_QUICK_LOADER))
    return yaml.load(text, Loader=_QUICK_LOADER)  # noqa: S506 - a safe loader


def _refuse_repeated_names(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if name.value in seen:
                raise NotStrict(f"{name.value!r} stands twice in one place (line {name.start_mark.line + 1})")
            seen.add(name.value)
            _refuse_repeated_names(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_names(item)


def _parsed(text: str, loader: Any) -> tuple[yaml.Node | None, Any]:
    _check_events(text, loader)
    return yaml.compose(text, Loader=loader), yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader


def _check_events(text: str, loader: Any) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if getattr(event, "anchor", None) is not None:
            raise NotStrict("it uses a YAML anchor or alias (& or *): write the value out", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MOST_DEPTH:
            raise NotStrict("nested too deeply", line)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotStrict(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise NotStrict(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise NotStrict(f"the number {digits[:40]} is too large")
    return value


def _whole(digits: str) -> int:
    if len(digits) > 100:
        raise NotStrict(f"a number of {len(digits)} digits is too large")
    return int(digits)


def _has_surrogate(value: Any) -> bool:
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            if _SURROGATE.search(item):
                return True
        elif isinstance(item, dict):
            left += [*item, *item.values()]
        elif isinstance(item, list):
            left += item
    return False


# Types of request fields that accept exactly what their JSON Schema says; pydantic alone reads more.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _is_iso_time(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value[1:]):
        raise ValueError("must be an ISO 8601 time with a zone, as in 2026-11-16T09:00:00Z, not a number")
    return value


def _is_iso_day(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and not _DAY.fullmatch(value)):
        raise ValueError("must be a day as in 2026-11-16")
    return value


def _is_whole_number(value: object) -> object:
    if isinstance(value, bool | str):  # True is an int in Python
        raise ValueError("must be a whole number, not text, true or false")
    return value


def _as_written(value: Any) -> Any:
    """Return a JSON number as it was written: 0.1 + 0.2 is sent as 0.30000000000000004."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return round(value, 12) if isinstance(value, float) else value


def decimal_schema(text_pattern: str, *, decimals: int, **bounds: float) -> WithJsonSchema:
    """Return the schema of a decimal number that is sent as a JSON number within ``bounds``, or as text of this pattern."""
    number = {"type": "number", "multipleOf": 10**-decimals, **bounds}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": text_pattern}]}, mode="validation")


# pydantic reads a number, or text of one, as seconds since 1970, and from 2e10 as milliseconds.
IsoTime = Annotated[AwareDatetime, BeforeValidator(_is_iso_time)]
IsoDay = Annotated[date, BeforeValidator(_is_iso_day)]
# Of a web page, as browsers send it; plain http is for pages of this machine only.
WebOrigin = Annotated[
    str, StringConstraints(pattern=r"^(https://[a-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?$")
]
# Put behind the bounds of an int, which pydantic would not write into the schema otherwise.
WHOLE_NUMBER = BeforeValidator(_is_whole_number)
AS_WRITTEN = BeforeValidator(_as_written)  # before a Decimal
