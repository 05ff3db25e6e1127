"""A judge's answers to numbered items: their JSON schema, and how they are read from whatever the model wrote."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA_NAME = "judge-claims-v1"
CHOICES = ("a", "b", "neither")
_NUMBER = re.compile(r"\d{1,3}")
_CHOICE = re.compile(r"[\s\"'(*]*(a|b|neither)\b", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAnswer:
    """The answer to one item, one of ``CHOICES``, with the sentence that is said to show it."""

    choice: str
    evidence: str = ""


def claims_form(choices: Sequence[str] = CHOICES) -> dict[str, Any]:
    """Return the JSON schema of the answers: per item the evidence first, so that the choice follows from it.

    Only what every provider takes: lengths and counts cannot be bounded in Bedrock's own structured output.
    """
    item = {
        "type": "object",
        "properties": {
            "item": {"type": "integer"},
            "evidence": {"type": "string"},
            "answer": {"type": "string", "enum": list(choices)},
        },
        "required": ["item", "evidence", "answer"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": item}},
        "required": ["answers"],
        "additionalProperties": False,
    }


def read_answers(text: str, count: int) -> dict[int, ItemAnswer]:
    """Return the answers in ``text`` by item, 1 to ``count``; an item that is missing or answered in two ways has none.

    Takes a JSON object with ``answers``, a list, or the objects one by one, with prose around them or cut off at the end.
    """
    found: dict[int, ItemAnswer] = {}
    contradicted: set[int] = set()
    for raw in _items(text):
        number, choice = _number(raw.get("item")), _choice(raw.get("answer"))
        if number is None or not 1 <= number <= count or choice is None:
            continue
        answer = ItemAnswer(choice=choice, evidence=str(raw.get("evidence") or ""))
        if number in found and found[number].choice != choice:
            contradicted.add(number)
        found[number] = answer
    return {number: answer for number, answer in found.items() if number not in contradicted}


def _items(text: str) -> list[dict[str, Any]]:
    """Return every object with an ``answer`` in ``text``, however it is nested."""
    decoder, place, found = json.JSONDecoder(), text.find("{"), []
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError:
            end = place + 1  # a list that was cut off: the objects in it are read one by one
        else:
            inner = value.get("answers")
            found += [item for item in inner if isinstance(item, dict)] if isinstance(inner, list) else [value]
        place = text.find("{", end)
    return found


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    match = _NUMBER.search(str(value))
    return int(match[0]) if match else None


def _choice(value: object) -> str | None:
    match = _CHOICE.match(value) if isinstance(value, str) else None
    return match[1].lower() if match else None
