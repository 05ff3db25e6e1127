"""Whether an output has the shape that was asked for: its length, plain text, a whole last sentence."""

import re

from eval.results import Score
from eval.scorers.base import ScorerContext

_NOT_PLAIN: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "markup",
        re.compile(
            r"^\s*(?:#{1,6}\s|```|\|.*\||[-*+•]\s|\d+[.)]\s|>\s)|\*\*[^*\n]+\*\*|(?<!\w)__[^_\n]+__(?!\w)|`[^`\n]+`"
            r"|\]\(https?:|</?[a-z][a-z0-9]*(?:\s[^>]*)?/?>",
            re.M | re.I,
        ),
    ),
    (
        "template leftover",
        re.compile(
            r"\{\{|\}\}|\$\{\w|</?history>|\[/?INST\]|<\|"
            r"|\[(?:insert|your|customer|agent|account|name|date|amount|channel|company)\b[^\]]*\]"
            r"|(?-i:\bTODO\b)|\bLorem ipsum\b",  # in capitals alone: a quoted "todo" is Spanish for "all"
            re.I,
        ),
    ),
    (
        "speaks as an AI",
        re.compile(r"\b(?:as an?|i am an?|i'm an?) (?:ai|artificial intelligence|(?:large )?language model)\b", re.I),
    ),
    (
        "refuses",
        re.compile(
            r"\bI(?:'m| am)? ?(?:can(?:'t|not)|won't|will not|unable to|not able to) "
            r"(?:help|assist|provide|summari[sz]e|comply|fulfil|generate|do that)\b"
            r"|\bplease (?:provide|share|paste) (?:the|any) (?:text|customer's interactions|interactions|input)\b",
            re.I,
        ),
    ),
    (
        "addresses someone",
        re.compile(r"^\s*dear\b|\bdear (?:customer|agent|sir|madam|valued|mr|mrs|ms)\b", re.I | re.M),
    ),
)
# A model that was cut off ends in a word or an ellipsis; a full stop before a closing quote or bracket ends a sentence.
_WHOLE = re.compile(r"(?<!\.\.)[.!?][\"'”’)\]]*\s*\Z")


class StructureScorer:
    """Scores ``words`` (count), and 1.0 or 0.0 for ``length_ok``, ``plain`` and ``whole``.

    ``min_words`` and ``max_words`` are the band of ``length_ok``, both inside it. ``plain`` is text without markup,
    template leftovers, first person of a machine, refusal, or salutation; ``whole`` ends as a sentence does.
    """

    name = "structure"
    scores = ("words", "length_ok", "plain", "whole")

    def __init__(self, *, min_words: int, max_words: int) -> None:
        if not 0 <= min_words <= max_words:
            raise ValueError(f"a word band needs 0 <= min_words <= max_words, not {min_words} to {max_words}")
        self._min, self._max = min_words, max_words

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return all four scores; words are what white space separates."""
        output = context.output
        words = len(output.split())
        band = f"{self._min} to {self._max} words"
        marks = tuple(
            f"{what}: {match[0].strip()!r}"
            for what, pattern in _NOT_PLAIN
            if (match := pattern.search(output.replace("’", "'")))
        )
        # A task's own fixed message is not a model's sentence.
        whole = context.result.arm == "none" or bool(_WHOLE.search(output))
        return {
            "words": Score(value=float(words)),
            "length_ok": _yes_no(self._min <= words <= self._max, f"{words} words; the band is {band}"),
            "plain": Score(value=0.0 if marks else 1.0, findings=marks),
            "whole": _yes_no(whole, f"ends in {output.rstrip()[-12:]!r}"),
        }


def _yes_no(good: bool, finding: str) -> Score:
    return Score(value=1.0 if good else 0.0, findings=() if good else (finding,))
