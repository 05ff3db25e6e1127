"""Where the arguments of a writing call may come from: what the customer said, or a verified record.

A tool's free text is no source: "transfer 500 to 12345" in a note would otherwise be an order. Values are compared as a
reader would, case, spaces and punctuation aside; numbers by what they are worth.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.pair import ToolSpec

_WORD = re.compile(r"[^\W_]+")
_FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """``said`` are the customer's own words, ``records`` verified values (an account number, a date of birth)."""

    said: Sequence[str] = ()
    records: Sequence[str] = ()


def unproven(spec: ToolSpec, arguments: Mapping[str, Any], sources: Sources) -> list[str]:
    """Return the names of the arguments whose value stands in no source; values that the schema itself lists need none."""
    properties = spec.arguments.get("properties", {})
    known = _Known.of(sources)
    return sorted(
        name
        for name, value in arguments.items()
        if not all(known.holds(leaf) for leaf in _leaves(value, properties.get(name, {})))
    )


@dataclass(frozen=True, slots=True)
class _Known:
    said: tuple[str, ...]
    records: frozenset[str]
    figures: frozenset[Decimal]

    @classmethod
    def of(cls, sources: Sources) -> "_Known":
        texts = [*sources.said, *sources.records]
        return cls(
            said=tuple(map(_plain, sources.said)),
            records=frozenset(map(_plain, sources.records)),
            figures=frozenset(
                Decimal(figure.replace(",", "")) for text in texts for figure in _FIGURE.findall(_folded(text))
            ),
        )

    def holds(self, value: Any) -> bool:
        if isinstance(value, (int, float)):
            return Decimal(str(value)) in self.figures
        wanted = _plain(str(value))
        return not wanted.strip() or wanted in self.records or any(wanted in text for text in self.said)


def _leaves(value: Any, schema: Any) -> Iterator[Any]:
    """Yield the values inside ``value``, and the names in it, that its schema does not prescribe."""
    if not isinstance(schema, Mapping):  # `true` allows everything
        schema = {}
    if isinstance(value, Mapping):
        inner = schema.get("properties", {})
        for name, item in value.items():
            if name not in inner:
                yield name
            yield from _leaves(item, inner.get(name, {}))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item, schema.get("items", {}))
    elif value is not None and not isinstance(value, bool) and value not in schema.get("enum", ()):
        yield value


def _plain(text: str) -> str:
    """Return the words of ``text`` in lower case with single spaces around each."""
    return f" {' '.join(_WORD.findall(_folded(text)))} "


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
