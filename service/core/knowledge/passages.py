"""Splits documents into passages: at headings first, then paragraphs, lines, sentences and words, never longer than a bound."""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.core.knowledge.documents import Document

_FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6})[ \t]+(\S.*)$", re.MULTILINE)
_VISIBLE = re.compile(r"\S")
_LONGEST_HEADING = 200
# Where a text may be cut, the best places first; a cut is at the end of the match.
_CUTS = (
    re.compile(r"\n[ \t]*\n"),
    re.compile(r"\n"),
    re.compile(r"[.!?\u3002\uff01\uff1f\u06d4\u0964][\"')\u201d\u2019]*(?:\s+|(?<=[\u3002\uff01\uff1f]))"),
    re.compile(r"\s+"),
)


class Splitter(BaseModel):
    """How documents are split; part of an index's digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    most_characters: Annotated[int, Field(ge=100, le=10_000)] = (
        600  # chosen on the dev split of `omni knowledge measure`
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPassage:
    """The characters ``start`` to ``end`` of a document's text.

    ``id`` is the document's id, ``#`` and a digest of headings and text: it stays the same as long as these do, whatever
    happens to the rest of the document.
    """

    id: str
    start: int
    end: int
    headings: tuple[str, ...]  # above the passage, from the outermost to the innermost, the document's title left out
    text: str


def split(document: Document, splitter: Splitter) -> tuple[DocumentPassage, ...]:
    """Return the passages of ``document`` in their order; together they hold all of its text but space between them."""
    text = document.text
    headings = _headings(text)
    passages: list[DocumentPassage] = []
    seen: dict[str, int] = {}
    for start, end in _packed(text, 0, len(text), headings, splitter.most_characters):
        start, end = _trimmed(text, start, end)
        if start == end:
            continue
        above = _above(start, headings)
        content = text[start:end]
        short = hashlib.sha256("\0".join((*above, content)).encode()).hexdigest()[:12]
        seen[short] = seen.get(short, 0) + 1
        number = f"-{seen[short]}" if seen[short] > 1 else ""  # a text that stands twice in one document
        passages.append(
            DocumentPassage(id=f"{document.id}#{short}{number}", start=start, end=end, headings=above, text=content)
        )
    return tuple(passages)


@dataclass(frozen=True, slots=True)
class _Heading:
    place: int
    level: int
    path: tuple[str, ...]  # from the outermost heading to this one
    below: int  # where the first text below its line begins


def _headings(text: str) -> list[_Heading]:
    found: list[_Heading] = []
    open_above: list[tuple[int, str]] = []
    fences = [match.span() for match in _FENCE.finditer(text)]
    for match in _HEADING.finditer(text):
        fence = bisect_right(fences, (match.start(), len(text))) - 1
        if fence >= 0 and match.start() < fences[fence][1]:
            continue  # a comment in a block of code
        level = len(match[1])
        open_above = [above for above in open_above if above[0] < level]
        open_above.append((level, match[2][:_LONGEST_HEADING].rstrip("# \t")))
        below = _VISIBLE.search(text, match.end())
        path = tuple(title for _, title in open_above)
        found.append(_Heading(match.start(), level, path, below.start() if below else len(text)))
    return found


def _above(place: int, headings: list[_Heading]) -> tuple[str, ...]:
    """The headings that a passage which begins at ``place`` stands under; one at its very beginning is part of its text."""
    last = bisect_right(headings, place, key=_place) - 1
    if last < 0:
        return ()
    return headings[last].path[:-1] if headings[last].place == place else headings[last].path


def _place(heading: _Heading) -> int:
    return heading.place


def _packed(text: str, start: int, end: int, headings: list[_Heading], most: int) -> Iterator[tuple[int, int]]:
    """Yield spans of at most ``most`` characters: neighbouring pieces of the best kind are joined while they fit."""
    if end - start <= most:
        yield start, end
        return
    held: tuple[int, int] | None = None
    for piece in _pieces(text, start, end, headings, most):
        if held and piece[1] - held[0] <= most:
            held = held[0], piece[1]
            continue
        if held:
            yield from _packed(text, *held, headings, most)
        held = piece
    if held:
        yield from _packed(text, *held, headings, most)


def _pieces(text: str, start: int, end: int, headings: list[_Heading], most: int) -> list[tuple[int, int]]:
    """Cut a span in at least two at the best places that it has."""
    inside = headings[bisect_right(headings, start, key=_place) : bisect_left(headings, end, key=_place)]
    if inside:
        outermost = min(heading.level for heading in inside)
        return _between(start, end, [heading.place for heading in inside if heading.level == outermost])
    for pattern in _CUTS:
        ends = (match.end() for match in pattern.finditer(text, start, end))
        cuts = [cut for cut in ends if start < cut < end and not _parts_heading(text, start, cut, headings)]
        if cuts:
            return _between(start, end, cuts)
    return _between(start, end, list(range(start + most, end, most)))


def _parts_heading(text: str, start: int, cut: int, headings: list[_Heading]) -> bool:
    """Whether a cut would leave a heading without anything below it."""
    last = bisect_right(headings, cut, key=_place) - 1
    return last >= 0 and headings[last].place >= start and cut <= headings[last].below


def _between(start: int, end: int, cuts: list[int]) -> list[tuple[int, int]]:
    return list(zip([start, *cuts], [*cuts, end], strict=True))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
