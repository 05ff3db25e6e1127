"""The form of a reply on a phone's screen: at most 90 words, steps line by line, one question; the rest is offered."""

import re
from collections.abc import Iterable, Sequence

from service.core.tasks.assistant.wording import Worded

MOST_WORDS = 90  # about as many fit on a phone's screen, 420 pixels wide, without scrolling
# What is told next, in the words of the question whether to go on.
_NEXT = {
    "documents": "the documents",
    "requirements": "what else you need",
    "time": "how long it takes",
    "steps": "the steps",
    "benefits": "the benefits",
    "fees": "the fees",
    "features": "the features",
    "branches": "the next branch",
}
_MARK = re.compile(r"(?m)^[ \t]*(?:\d{1,2}[.)]|[-*•])[ \t]+")


def words_in(*texts: str) -> int:
    """Return how many words ``texts`` have; the number or dot before a line of a list is none."""
    return sum(len(_MARK.sub("", text).split()) for text in texts)


def pieces_of(parts: Iterable[Worded], told: Sequence[str] = ()) -> list[Worded]:
    """Return what ``parts`` say, piece by piece, without the pieces that the replies ``told`` have said already."""
    before = [" ".join(one.split()) for one in told]  # a channel may keep a reply without its lines
    pieces = (piece for part in parts for piece in (part.pieces or (part,)))
    return [
        piece
        for piece in pieces
        if piece.text and not (piece.claims and any(" ".join(piece.text.split()) in one for one in before))
    ]


def fitted(pieces: list[Worded], room: int) -> tuple[list[Worded], list[Worded]]:
    """Return the first pieces that have at most ``room`` words together, and the others; the first is told in any case."""
    size = 0
    for number, piece in enumerate(pieces):
        size += words_in(piece.text)
        if number and size > room:
            return pieces[:number], pieces[number:]
    return pieces, []


def more_question(rest: Sequence[Worded], last: Worded | None = None) -> str:
    """Return the question whether to go on with what is left to tell after the piece ``last``."""
    about = next((piece.about for piece in rest if piece.about), "")
    if about == "steps" and last is not None and last.about == "steps":
        return "Shall I go on with the rest of the steps?"
    return f"Shall I go on with {_NEXT[about]}?" if about in _NEXT else "Shall I go on?"
