"""Conditions on an item and changes of it: sent to DynamoDB as expressions, or applied to an item in memory."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from service.kit.records.items import Item, Value, encoded


class Placeholders:
    """The names and values of one request's expressions, numbered: DynamoDB reserves hundreds of words."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        """Return what stands for an attribute."""
        return self._names.setdefault(attribute, f"#{len(self._names)}")

    def value(self, value: Value) -> str:
        """Return what stands for a value."""
        placeholder = f":{len(self._values)}"
        self._values[placeholder] = encoded(value)
        return placeholder

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the request; DynamoDB refuses empty ones."""
        names = {placeholder: attribute for attribute, placeholder in self._names.items()}
        given = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": self._values}
        return {name: content for name, content in given.items() if content}


class RowCondition(Protocol):
    """Something that is true of an item or not. A missing item has no attributes."""

    def text(self, given: Placeholders) -> str:
        """Return the condition as an expression."""

    def holds(self, item: Mapping[str, Value]) -> bool:
        """Return whether it is true of ``item``."""


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class _Compared:
    name: str
    sign: str
    value: Value

    def text(self, given: Placeholders) -> str:
        return f"{given.name(self.name)} {self.sign} {given.value(self.value)}"

    def holds(self, item: Mapping[str, Value]) -> bool:
        # As in DynamoDB, what is missing or of another type compares to nothing.
        found = item.get(self.name)
        alike = isinstance(found, str) == isinstance(self.value, str) and found is not None
        return alike and _OPERATORS[self.sign](found, self.value)


@dataclass(frozen=True, slots=True)
class _Between:
    name: str
    first: Value
    last: Value

    def text(self, given: Placeholders) -> str:
        return f"{given.name(self.name)} BETWEEN {given.value(self.first)} AND {given.value(self.last)}"

    def holds(self, item: Mapping[str, Value]) -> bool:
        return at_least(self.name, self.first).holds(item) and at_most(self.name, self.last).holds(item)


@dataclass(frozen=True, slots=True)
class _Begins:
    name: str
    prefix: str

    def text(self, given: Placeholders) -> str:
        return f"begins_with({given.name(self.name)}, {given.value(self.prefix)})"

    def holds(self, item: Mapping[str, Value]) -> bool:
        return isinstance(item.get(self.name), str) and item[self.name].startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class _There:
    name: str
    is_there: bool

    def text(self, given: Placeholders) -> str:
        return f"attribute_{'exists' if self.is_there else 'not_exists'}({given.name(self.name)})"

    def holds(self, item: Mapping[str, Value]) -> bool:
        return (self.name in item) == self.is_there


@dataclass(frozen=True, slots=True)
class _OneOf:
    name: str
    values: tuple[Value, ...]

    def text(self, given: Placeholders) -> str:
        return f"{given.name(self.name)} IN ({', '.join(map(given.value, self.values))})"

    def holds(self, item: Mapping[str, Value]) -> bool:
        return self.name in item and item[self.name] in self.values


@dataclass(frozen=True, slots=True)
class _Joined:
    word: str
    parts: tuple[RowCondition, ...]

    def text(self, given: Placeholders) -> str:
        return f" {self.word} ".join(f"({part.text(given)})" for part in self.parts)

    def holds(self, item: Mapping[str, Value]) -> bool:
        return (all if self.word == "AND" else any)(part.holds(item) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Not:
    part: RowCondition

    def text(self, given: Placeholders) -> str:
        return f"NOT ({self.part.text(given)})"

    def holds(self, item: Mapping[str, Value]) -> bool:
        return not self.part.holds(item)


def equal(name: str, value: Value) -> RowCondition:
    """The attribute has this value."""
    return _Compared(name, "=", value)


def below(name: str, value: Value) -> RowCondition:
    """The attribute is smaller."""
    return _Compared(name, "<", value)


def at_most(name: str, value: Value) -> RowCondition:
    """The attribute is smaller or equal."""
    return _Compared(name, "<=", value)


def above(name: str, value: Value) -> RowCondition:
    """The attribute is larger."""
    return _Compared(name, ">", value)


def at_least(name: str, value: Value) -> RowCondition:
    """The attribute is larger or equal."""
    return _Compared(name, ">=", value)


def between(name: str, first: Value, last: Value) -> RowCondition:
    """The attribute lies between the two, both included."""
    return _Between(name, first, last)


def begins(name: str, prefix: str) -> RowCondition:
    """The attribute is a text that begins with ``prefix``."""
    return _Begins(name, prefix)


def present(name: str) -> RowCondition:
    """The item has the attribute."""
    return _There(name, True)


def absent(name: str) -> RowCondition:
    """The item has no such attribute, or there is no item."""
    return _There(name, False)


def one_of(name: str, values: Sequence[Value]) -> RowCondition:
    """The attribute has one of the values."""
    return _OneOf(name, tuple(values))


def every(*parts: RowCondition) -> RowCondition:
    """All of the conditions."""
    return _Joined("AND", parts)


def either(*parts: RowCondition) -> RowCondition:
    """At least one of the conditions."""
    return _Joined("OR", parts)


def no(part: RowCondition) -> RowCondition:
    """The opposite of a condition."""
    return _Not(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an update does to an item: ``first`` sets an attribute only if the item has none; ``adds`` counts from 0."""

    sets: Mapping[str, Value] = field(default_factory=dict)
    first: Mapping[str, Value] = field(default_factory=dict)
    removes: Sequence[str] = ()
    adds: Mapping[str, int | Decimal] = field(default_factory=dict)

    def text(self, given: Placeholders) -> str:
        """Return the changes as an update expression."""
        sets = [f"{given.name(name)} = {given.value(value)}" for name, value in self.sets.items()]
        for name, value in self.first.items():
            sets.append(f"{given.name(name)} = if_not_exists({given.name(name)}, {given.value(value)})")
        clauses = {
            "SET": sets,
            "REMOVE": [given.name(name) for name in self.removes],
            "ADD": [f"{given.name(name)} {given.value(amount)}" for name, amount in self.adds.items()],
        }
        return " ".join(f"{word} {', '.join(parts)}" for word, parts in clauses.items() if parts)

    def apply(self, item: Mapping[str, Value]) -> Item:
        """Return the changed item."""
        added = {name: item.get(name, 0) + amount for name, amount in self.adds.items()}
        changed = {**self.first, **item, **self.sets, **added}
        return {name: value for name, value in changed.items() if name not in self.removes}
