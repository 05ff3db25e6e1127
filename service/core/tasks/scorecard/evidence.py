"""Verifies a model's quotes: a quote is evidence only if a turn of the transcript holds it literally.

Differences in case, white space, the style of quotation marks, apostrophes and dashes, and punctuation at the two ends of the
quote are ignored. A quote with an omitted, added or changed word is not verified, and it must start and end with whole words.
Two words are evidence only as a whole sentence, and one word only as the whole turn, since "thank you" occurs in every call.
A tag of the redaction, as ``[name]``, is the word that stands in the transcript. Tags alone are evidence only as the whole turn.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.core.statements.tags import ANY_TAG
from service.core.tasks.scorecard.transcript import Turn

# ``missing``: the verdict needs evidence and has no quote. ``none``: there is no quote, and none is needed.
Status = Literal["verified", "unverified", "missing", "none"]
LEAST_WORDS = 3
_SAME = str.maketrans(
    {"‘": "'", "’": "'", "‛": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
)
_DASHES = re.compile(r"\s*[‐‑‒–—―-]+\s*")
_SPACES = re.compile(r"\s+")
_ENDS = re.compile(r"^[\W_]+|[\W_]+$")
_SENTENCE_BEGINS = re.compile(r"(?:^|[.!?:;][\"')\]]*\s)[\"'(\[]*$")
_SENTENCE_ENDS = re.compile(r"[\"')\]]*(?:[.!?:;]|$)")
_WHOLE_WORDS = re.compile(r"\w+(?:'\w+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteEvidence:
    """The verification of a quote. ``turn`` is the turn that holds it, not the one that the model named; None if not found."""

    status: Status
    turn: int | None = None


def folded(text: str) -> str:
    """Return ``text`` normalised for comparing quotes."""
    text = unicodedata.normalize("NFKC", text).translate(_SAME).casefold()
    return _SPACES.sub(" ", _DASHES.sub("-", text)).strip()


def find_quote(quote: str, claimed: int | None, turns: Sequence[Turn]) -> QuoteEvidence:
    """Search ``quote`` in the turns: the claimed one first, then by distance from it, the earlier of two first.

    A quote from another turn than the claimed one is still verified; the result has the right turn.
    """
    wanted = _ENDS.sub("", folded(quote))
    if not wanted:
        return QuoteEvidence(status="none")
    tags_alone = not _WHOLE_WORDS.search(ANY_TAG.sub(" ", quote))
    start = claimed if claimed is not None and 0 <= claimed < len(turns) else 0
    for index in sorted(range(len(turns)), key=lambda index: (abs(index - start), index)):
        said = turns[index].text
        if wanted == _ENDS.sub("", folded(said)) if tags_alone else holds(said, wanted):
            return QuoteEvidence(status="verified", turn=index)
    return QuoteEvidence(status="unverified")


def holds(text: str, wanted: str) -> bool:
    """Return whether ``text`` holds the folded, trimmed quote ``wanted``, and the quote is long enough to be evidence."""
    whole = folded(text)
    # Whole words only: "account" is no quote of "accountant", nor "t" of "don't".
    words = [found.span() for found in _WHOLE_WORDS.finditer(whole)]
    starts, ends = {start for start, _ in words}, {end for _, end in words}
    count = len(_WHOLE_WORDS.findall(wanted))
    place = whole.find(wanted)
    while place >= 0:
        end = place + len(wanted)
        if place in starts and end in ends:
            if count >= LEAST_WORDS or wanted == _ENDS.sub("", whole):
                return True
            if count > 1 and _SENTENCE_BEGINS.search(whole[:place]) and _SENTENCE_ENDS.match(whole[end:]):
                return True
        place = whole.find(wanted, place + 1)
    return False


def shared_words(text: str, one: str, other: str) -> float:
    """Return how much two quotes from ``text`` overlap: their common words as a share (0 to 1) of the shorter one's words.

    Of several places that hold the same quote, those that overlap most count. 0 if ``text`` lacks one of them.
    """
    words = _WHOLE_WORDS.findall(folded(text))
    places = [_places(words, _WHOLE_WORDS.findall(folded(quote))) for quote in (one, other)]
    common = [len(range(max(a.start, b.start), min(a.stop, b.stop))) for a in places[0] for b in places[1]]
    return max(common, default=0) / min((len(found[0]) for found in places if found), default=1)


def _places(words: Sequence[str], wanted: Sequence[str]) -> list[range]:
    starts = range(len(words) - len(wanted) + 1) if wanted else ()
    return [range(at, at + len(wanted)) for at in starts if words[at : at + len(wanted)] == list(wanted)]
