"""Takes persons out of structured values before they are stored: ids become pseudonyms, texts lose personal data by patterns."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from service.core.redaction.free_text import RedactionFailed, redacted_text
from service.core.redaction.spoken import redact_said_names
from service.kit.telemetry.fields import pseudonym_of

_PSEUDONYM = re.compile(r"id-[a-p]{16}")
_SHORTEST_ID = 4  # a shorter id occurs by chance in many texts
_SHORTEST_ANYWHERE = 7  # a shorter id occurs by chance in other words and numbers
_OWN_DIGITS = 7
_WORD = re.compile(r"[\w.@+-]*\w")
_PART = re.compile(r"\w+")
_NOT_DIGITS = re.compile(r"\D+")
# Values of these types are written as text in JSON and are no free text.
_EXACT = (date, time, timedelta, Decimal, UUID, Enum)
_SHORTEST_NUMBER = 1_000_000  # a whole number of seven digits can be an account or telephone number

Jsonable = Any  # what the module json reads and writes


def is_pseudonym(text: str) -> bool:
    """Return whether ``text`` is one pseudonym and nothing else."""
    return _PSEUDONYM.fullmatch(text) is not None


class Persons:
    """The ids of persons in one request, and how texts of this request lose them."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    @property
    def pseudonyms(self) -> tuple[str, ...]:
        """The pseudonyms given so far, sorted."""
        return tuple(sorted(set(self._known.values())))

    def pseudonym(self, value: str) -> str:
        """Return the pseudonym of ``value``, which no text of this request may hold from now on."""
        self._known[value] = pseudonym_of(value)
        return self._known[value]

    def clean_text(self, text: str) -> str:
        """Return ``text`` without the known ids and without what the patterns find.

        Raises:
            RedactionFailed: it is too long, or the digits of an id are still in it.
        """
        if not text or is_pseudonym(text):
            return text
        # Twice: the patterns bring a text into its plain form, without the invisible characters that could hide an id.
        text = self._without_ids(redacted_text(redact_said_names(self._without_ids(text))))
        left = _NOT_DIGITS.sub("", text)
        if any(len(own) >= _OWN_DIGITS and own in left for own in map(_digits, self._known)):
            raise RedactionFailed("the digits of a person's id are still in the text after redaction")
        return text

    def _without_ids(self, text: str) -> str:
        # The longest first: an id may be part of another.
        for value in sorted(self._known, key=len, reverse=True):
            if len(value) < _SHORTEST_ID:
                continue
            wanted = re.escape(value)
            if len(value) < _SHORTEST_ANYWHERE:
                wanted = rf"(?<!\w){wanted}(?!\w)"
            text = re.sub(wanted, self._known[value], text, flags=re.IGNORECASE)
        return text

    def clean_json(self, value: Jsonable) -> Jsonable:
        """Return a JSON value with all its texts and keys clean, and without whole numbers of seven digits or more.

        Raises:
            RedactionFailed: as for ``clean_text``.
        """
        return _changed(value, self.clean_text)

    def clean_output(self, output: str) -> str:
        """Return a task's output, which is a text or JSON, clean; JSON stays JSON.

        Raises:
            RedactionFailed: as for ``clean_text``.
        """
        found = json_in(output)
        return self.clean_text(output) if found is None else json_text(self.clean_json(found))

    def clean_model(self, model: BaseModel) -> Jsonable:
        """Return a model as a JSON value, clean; its times, amounts and enumerations stay.

        Raises:
            RedactionFailed: as for ``clean_text``.
        """
        return _changed(model.model_dump(mode="json"), self.clean_text, model.model_dump(mode="python"))


def without_pseudonyms(text: str, pseudonyms: Iterable[str]) -> str:
    """Return ``text`` with each word whose pseudonym is among ``pseudonyms`` replaced by it: the ids are no longer known.

    An id is found as it was given, and in upper or lower case.
    """
    known = frozenset(pseudonyms)

    def hidden(word: re.Match[str]) -> str:
        found = (pseudonym_of(one) for one in dict.fromkeys((word[0], word[0].lower(), word[0].upper())))
        short = len(word[0]) < _SHORTEST_ID
        return word[0] if short else next((pseudonym for pseudonym in found if pseudonym in known), word[0])

    # The whole word first: an address is one id.
    return _PART.sub(hidden, _WORD.sub(hidden, text)) if known else text


def json_in(text: str) -> Jsonable:
    """Return the JSON object or list that ``text`` is, or None if it is a text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def json_text(value: Jsonable) -> str:
    """Return a JSON value as text, as it is kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def texts_in(value: Jsonable) -> list[str]:
    """Return the texts of a JSON value that may hold personal data, in the order in which ``with_texts`` takes them."""
    found: list[str] = []

    def note(text: str) -> str:
        if text.strip() and not is_pseudonym(text):
            found.append(text)
        return text

    _values_changed(value, note)
    return found


def with_texts(value: Jsonable, texts: Iterable[str]) -> Jsonable:
    """Return a JSON value with other ``texts``, those of ``texts_in`` in their order."""
    given = iter(texts)
    return _values_changed(value, lambda text: next(given) if text.strip() and not is_pseudonym(text) else text)


def output_texts(output: str) -> list[str]:
    """Return the texts of a task's output, which is a text or JSON, in the order in which ``with_output_texts`` takes them."""
    found = json_in(output)
    return [output] if found is None else texts_in(found)


def with_output_texts(output: str, texts: Iterator[str]) -> str:
    """Return a task's output with the next of ``texts``, as many as ``output_texts`` gives."""
    found = json_in(output)
    return next(texts) if found is None else json_text(with_texts(found, texts))


def _digits(text: str) -> str:
    return _NOT_DIGITS.sub("", text)


def _changed(value: Jsonable, clean: Callable[[str], str], typed: object = None) -> Jsonable:
    """Change texts and keys; ``typed`` is the same value with its Python types where they are known."""
    if isinstance(value, Mapping):
        inner = list(typed.values()) if isinstance(typed, Mapping) and len(typed) == len(value) else [None] * len(value)
        return {clean(key): _changed(one, clean, of) for (key, one), of in zip(value.items(), inner, strict=True)}
    if isinstance(value, list):
        known = isinstance(typed, list | tuple) and len(typed) == len(value)
        inner = list(typed) if known else [None] * len(value)  # type: ignore[call-overload]
        return [_changed(one, clean, of) for one, of in zip(value, inner, strict=True)]
    if isinstance(value, str):
        return value if isinstance(typed, _EXACT) else clean(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _SHORTEST_NUMBER:
        return "[number]"
    return value


def _values_changed(value: Jsonable, change: Callable[[str], str]) -> Jsonable:
    if isinstance(value, Mapping):
        return {key: _values_changed(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [_values_changed(one, change) for one in value]
    return change(value) if isinstance(value, str) else value
