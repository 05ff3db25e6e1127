"""Takes what somebody found in a text out of it: places become words in brackets, and what stands in brackets already stays."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

EntityKind = Literal["name", "number", "email", "link", "address", "secret"]
TAG = re.compile(r"\[(name|number|email|link|address|secret)\]")
# Ours, and those that Amazon Transcribe writes: "[PII]", "[BANK_ACCOUNT_NUMBER]".
ANY_TAG = re.compile(r"\[(?:[a-z]{2,10}|[A-Z][A-Z_]{2,40})\]")
_HELD = re.compile(r"\w(?:.*\w)?", re.S)
_TWICE = re.compile(r"\[(name|address)\](?:[\s,]+\[\1\])+")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Find:
    """A detail at ``text[start:end]``, counted in code points."""

    start: int
    end: int
    kind: EntityKind


def without(text: str, finds: Iterable[Find]) -> str:
    """Return ``text`` with each find replaced by its kind in brackets.

    Of finds that overlap everything goes, under the first one's kind. Tags that stand in the text are kept whole.

    Raises:
        ValueError: a find lies outside the text.
    """
    parts: list[str] = []
    done = 0
    tags = [match.span() for match in ANY_TAG.finditer(text)]
    for find in sorted(finds):
        if not 0 <= find.start < find.end <= len(text):
            raise ValueError(f"a find from {find.start} to {find.end} in a text of {len(text)} characters")
        for start, end in _around(tags, max(find.start, done), find.end):
            if held := _HELD.search(text, start, end):
                parts += (text[done : held.start()], f"[{find.kind}]")
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
