"""Whether an output has the shape that was asked for: its length and a whole last sentence."""

import re

from eval.spine.results import Score
from eval.spine.scorer import ScorerContext

# A model that was cut off ends in a word or an ellipsis; a full stop before a closing quote or bracket ends a sentence.
_WHOLE = re.compile(r"(?<!\.\.)[.!?][\"'”’)\]]*\s*\Z")


class StructureScorer:
    """Scores ``words`` (count), and 1.0 or 0.0 for ``length_ok`` and ``whole``.

    ``min_words`` and ``max_words`` are the band of ``length_ok``, both inside it; ``whole`` ends as a sentence does.
    """

    name = "structure"
    scores = ("words", "length_ok", "whole")

    def __init__(self, *, min_words: int, max_words: int) -> None:
        if not 0 <= min_words <= max_words:
            raise ValueError(f"a word band needs 0 <= min_words <= max_words, not {min_words} to {max_words}")
        self._min, self._max = min_words, max_words

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return all three scores; words are what white space separates."""
        output = context.output
        words = len(output.split())
        band = f"{self._min} to {self._max} words"
        # A task's own fixed message is not a model's sentence.
        whole = context.result.arm == "none" or bool(_WHOLE.search(output))
        return {
            "words": Score(value=float(words)),
            "length_ok": _yes_no(self._min <= words <= self._max, f"{words} words; the band is {band}"),
            "whole": _yes_no(whole, f"ends in {output.rstrip()[-12:]!r}"),
        }


def _yes_no(good: bool, finding: str) -> Score:
    return Score(value=1.0 if good else 0.0, findings=() if good else (finding,))
