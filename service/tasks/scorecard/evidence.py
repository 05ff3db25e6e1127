"""Is a quote in the transcript? A model's quote is evidence only when its words stand in a turn, letter by letter.

What is not compared: upper and lower case, white space, typographic against plain quotation marks, apostrophes and dashes, and
punctuation or an ellipsis at the quote's own two ends. Everything else is: a word left out, added or changed makes it no quote,
and it must begin and end with whole words. Two words prove something only as a whole sentence, one word only as the whole turn:
"thank you" stands in every call.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.tasks.scorecard.transcript import Turn

# ``missing``: a verdict that needs evidence and quotes nothing. ``none``: nothing quoted, nothing needed.
Status = Literal["verified", "unverified", "missing", "none"]
LEAST_WORDS = 3
_SAME = str.maketrans(
    {"‘": "'", "’": "'", "‛": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
)
_DASHES = re.compile(r"\s*[‐‑‒–—―-]+\s*")
_SPACES = re.compile(r"\s+")
_ENDS = re.compile(r"^[\W_]+|[\W_]+$")
_SENTENCE_BEGINS = re.compile(r"(?:^|[.!?:;][\"')]*\s)[\"'(]*$")
_SENTENCE_ENDS = re.compile(r"[\"')]*(?:[.!?:;]|$)")
_WHOLE_WORDS = re.compile(r"\w+(?:'\w+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteEvidence:
    """Where a quote was found. ``turn`` is the turn that really holds it, whatever the model said; None when none does."""

    status: Status
    turn: int | None = None


def folded(text: str) -> str:
    """Return ``text`` as quotes are compared."""
    text = unicodedata.normalize("NFKC", text).translate(_SAME).casefold()
    return _SPACES.sub(" ", _DASHES.sub("-", text)).strip()


def find_quote(quote: str, claimed: int | None, turns: Sequence[Turn]) -> QuoteEvidence:
    """Return whether ``quote`` stands in a turn: the claimed one first, then the nearest to it, the earlier of two.

    A quote that the model puts into the wrong turn is still the speaker's words; the turn is then set right.
    """
    wanted = _ENDS.sub("", folded(quote))
    if not wanted:
        return QuoteEvidence(status="none")
    start = claimed if claimed is not None and 0 <= claimed < len(turns) else 0
    for index in sorted(range(len(turns)), key=lambda index: (abs(index - start), index)):
        if holds(turns[index].text, wanted):
            return QuoteEvidence(status="verified", turn=index)
    return QuoteEvidence(status="unverified")


def holds(text: str, wanted: str) -> bool:
    """Return whether the folded, trimmed quote ``wanted`` proves something in ``text``."""
    whole = folded(text)
    # "account" is in "accountant" and "t" in "don't": neither is a quote of it.
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
