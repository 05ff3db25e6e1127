"""Where the arguments of a writing call may come from: what the customer said, or a verified record.

A tool's free text is no source: "transfer 500 to 12345" in a note would otherwise be an order. Values are compared as a
reader would, case, spaces and punctuation aside; numbers by what they are worth, with sign and decimals.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.core.unit.pair import ToolSpec

# A number is one word with its minus and its decimals: "-5" is not "5", and "1.5" is neither "15" nor "1" and "5". After a letter
# or digit a hyphen joins ("555-0100"), and a third group ("10.0.1", "22.11.2026") is no decimal.
_NUMBER = re.compile(r"(?<![^\W_])(?<!\d[.,])[-\u2212]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)(?![.,]?[^\W_])")
_WORD = re.compile(rf"{_NUMBER.pattern}|[^\W_]+")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NUMERIC = re.compile(r"-?\d+(?:\.\d+)?")
_MOST_RECORD_CHARS = 64
# A phone number: people group its digits as they like, and models group them anew. No figure begins with a zero or a plus.
_PHONE = re.compile(r"(?<![^\W_])(?<![-\u2212.,])(?:\+ ?|(?=0))\d+(?:[ ()-]{1,3}\d+)*(?![.,]?[^\W_])", re.ASCII)
_ONLY_A_PHONE = re.compile(r"[0-9+ ()-]+")
_LEAST_PHONE_DIGITS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """``said`` are the customer's own words, ``records`` verified values (an account number, a date of birth)."""

    said: Sequence[str] = ()
    records: Sequence[str] = ()


def unproven(spec: ToolSpec, arguments: Mapping[str, Any], sources: Sources) -> list[str]:
    """Return the arguments whose value stands in no source; values that the schema lists, and ``own_words``, need none."""
    properties = spec.arguments.get("properties", {})
    known = _Known.of(sources)
    return sorted(
        name
        for name, value in arguments.items()
        if name not in spec.own_words
        and not all(known.holds(leaf) for leaf in _leaves(value, properties.get(name, {})))
    )


def verified_values(spec: ToolSpec, content: str) -> list[str]:
    """Return the values that a tool's answer, JSON text, verifies: those of the fields that ``spec.verifies`` names.

    A field holds a short value or a list of them; anything longer is free text, which proves nothing.
    """
    if not spec.verifies:
        return []
    answer = json.loads(content)
    if not isinstance(answer, dict):
        return []
    fields = [answer.get(name) for name in spec.verifies]
    values = [value for field in fields for value in (field if isinstance(field, list) else [field])]
    return [str(value) for value in values if _is_short(value)]


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _MOST_RECORD_CHARS and value.isprintable()
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class _Known:
    said: tuple[str, ...]
    records: frozenset[str]
    figures: frozenset[Decimal]
    phones: frozenset[str]

    @classmethod
    def of(cls, sources: Sources) -> "_Known":
        said = tuple(map(_words, sources.said))
        # A record is proven as a whole: of a record with several words no single one counts.
        records = tuple(map(_words, sources.records))
        texts = [*said, *(words for words in records if len(words) == 1)]
        return cls(
            said=tuple(map(_joined, said)),
            records=frozenset(map(_joined, records)),
            figures=frozenset(Decimal(word) for words in texts for word in words if _NUMERIC.fullmatch(word)),
            phones=frozenset(phone for text in sources.said for phone in _phones(text))
            | frozenset(whole for text in sources.records if (whole := phone_digits(text))),
        )

    def holds(self, value: Any) -> bool:
        if isinstance(value, (int, float)):
            return Decimal(str(value)) in self.figures
        wanted = _plain(str(value))
        if not wanted.strip():  # signs alone may mean everything to a tool: "*", "%", ".."
            return not str(value).strip()
        if wanted in self.records or any(wanted in text for text in self.said):
            return True
        return phone_digits(str(value)) in self.phones


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


def _phones(text: str) -> Iterator[str]:
    """Yield the phone numbers in ``text`` without what groups their digits; a number may end after any of its groups."""
    for found in _PHONE.finditer(text):
        plus, joined = "+" if found[0].startswith("+") else "", ""
        for group in re.findall(r"\d+", found[0]):
            joined += group
            if len(joined) >= _LEAST_PHONE_DIGITS:
                yield plus + joined


def phone_digits(text: str) -> str | None:
    """Return a phone number without what groups its digits, as in "+447700900123"; None if ``text`` is something else."""
    return max(_phones(text), key=len, default=None) if _ONLY_A_PHONE.fullmatch(text) else None


def _plain(text: str) -> str:
    """Return the words of ``text`` in lower case with single spaces around each."""
    return _joined(_words(text))


def _joined(words: Sequence[str]) -> str:
    return f" {' '.join(words)} "


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [_spelled(found[0]) for found in _WORD.finditer(folded)]


def _spelled(word: str) -> str:
    """Return a number in one spelling; leading zeros stay, because an account number is a text."""
    word = word.replace("\u2212", "-")
    if _THOUSANDS.fullmatch(word):
        return word.replace(",", "")
    return word.replace(",", ".")  # a decimal comma; no other word holds one
