"""The words of a text in one spelling, with the places between them where a clause may begin or end."""

import re
from dataclasses import dataclass

from service.core.statements.answers.support import content_of
from service.core.statements.grounding.sentence import clean
from service.core.statements.grounding.text import fold_values

_TOKEN = re.compile(r"\$?\d[\d,]*(?:\.\d+)?%?|[^\W_]+(?:'[^\W_]+)*|[^\w\s]|\n")
_ARTICLES = frozenset({"a", "an", "the"})
_STRONG, _WEAK = frozenset(".!?;|\n•*>"), frozenset(',:()[]"-/')
_BARE_AMOUNT = re.compile(r"\d[\d,]*\.\d\d")
# A clause may begin with these; between the words before and after them nothing is said of who did what.
_JOINS = frozenset({"and", "but", "so", "then", "also"})
# What is left out of a statement must not hold one of these: it would turn round, limit or attribute what was repeated.
_TURNING = frozenset(
    """not no never none nothing nobody neither nor without cannot hardly unless until till except only but however though
    although despite instead if whether when once would could might may maybe perhaps should possibly probably likely claim
    claims claimed say says said state states stated think thinks thought believe believes believed allege alleges alleged
    want wants wanted ask asks asked request requests requested demand demands demanded hope hopes wish wishes refuse refuses
    refused deny denies denied decline declines declined reject rejects rejected cancel cancels cancelled canceled reverse
    reversed void voided false wrong incorrect mistaken mistake error correction corrected supposed supposedly promised
    promise promises try tries tried fail fails failed stop stops stopped almost nearly before unlike rather""".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpelledText:
    """A text as ``words`` in lower case with one spelling of each figure.

    ``breaks`` has one entry more than there are words: how strongly a clause ends before each word, 2 at a sentence's end, 1 at
    a comma or conjunction, 0 inside a clause.
    """

    words: tuple[str, ...]
    breaks: tuple[int, ...]

    def repeats(self, wanted: tuple[str, ...]) -> bool:
        """Return whether ``wanted`` is a passage of whole clauses from which nothing that turns its meaning was left out."""
        size, first = len(wanted), wanted[0]
        return any(
            self.words[start] == first
            and self.words[start : start + size] == wanted
            and self._is_whole(start, start + size)
            for start in range(len(self.words) - size + 1)
        )

    def _is_whole(self, start: int, end: int) -> bool:
        if not (self.breaks[start] and self.breaks[end]):
            return False
        left, right = start, end
        while self.breaks[left] < 2:
            left -= 1
        while self.breaks[right] < 2:
            right += 1
        left_out = (*self.words[left:start], *self.words[end:right])
        return _TURNING.isdisjoint(left_out) and not any(word.endswith("n't") for word in left_out)


def worded(text: str) -> SpelledText:
    """Return the words of ``text``; articles are left out, and "$45.00", "45 dollars" and a bare "45.00" are one word."""
    words, breaks, strength = list[str](), list[int](), 2
    for token in _TOKEN.findall(fold_values(clean(text))):
        if token in _STRONG:
            strength = 2
        elif token in _WEAK:
            strength = max(strength, 1)
        elif token[0].isalnum() or token[0] == "$":
            if token in _ARTICLES:
                continue
            words.append(f"${token.removesuffix('.00')}" if _BARE_AMOUNT.fullmatch(token) else token)
            breaks.append(max(strength, 1) if token in _JOINS else strength)
            strength = 1 if token in _JOINS else 0
    return SpelledText(words=tuple(words), breaks=(*breaks, 2))


def stems_of(text: str) -> frozenset[str]:
    """Return the stems of the words of ``text`` that carry meaning."""
    return content_of(text)
