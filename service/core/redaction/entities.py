"""Replaces detected personal details in a text by tags such as ``[name]``; tags that are already in the text stay."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from service.core.statements.tags import ANY_TAG

EntityKind = Literal["name", "number", "email", "link", "address", "secret", "birthdate", "agent"]
TAG = re.compile(r"\[(name|number|email|link|address|secret|birthdate|agent)\]")
_HELD = re.compile(r"\w(?:.*\w)?", re.S)
_TWICE = re.compile(r"\[(name|address)\](?:[\s,]+\[\1\])+")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class EntitySpan:
    """A personal detail at ``text[start:end]`` (code points)."""

    start: int
    end: int
    kind: EntityKind


def redact_entities(text: str, spans: Iterable[EntitySpan]) -> str:
    """Return ``text`` with each span replaced by its kind in brackets.

    Overlapping spans are replaced as a whole; the part that they share gets the kind of the first. Tags in the text are kept.

    Raises:
        ValueError: a span lies outside the text.
    """
    parts: list[str] = []
    done = 0
    tags = [match.span() for match in ANY_TAG.finditer(text)]
    for span in sorted(spans):
        if not 0 <= span.start < span.end <= len(text):
            raise ValueError(f"span {span.start} to {span.end} lies outside a text of {len(text)} characters")
        for start, end in _around(tags, max(span.start, done), span.end):
            if held := _HELD.search(text, start, end):
                parts += (text[done : held.start()], f"[{span.kind}]")
                done = held.end()
    return _TWICE.sub(r"[\1]", "".join((*parts, text[done:]))) if parts else text


def _around(tags: list[tuple[int, int]], start: int, end: int) -> Iterable[tuple[int, int]]:
    for opens, closes in tags:
        if closes <= start or opens >= end:
            continue
        if start < opens:
            yield start, opens
        start = closes
    if start < end:
        yield start, end
