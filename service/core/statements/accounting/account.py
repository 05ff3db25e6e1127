"""Accounts for the sentences of a text: which statement of the source each one repeats, if any.

It is strict, because what it accounts for nobody reads: a sentence counts only as a passage of one statement, with its words in
their order, every figure, and nothing left out that would turn its meaning. Paraphrases are not accounted for. No model.
"""

import re
from dataclasses import dataclass
from math import fsum

from service.core.statements.accounting.source import AccountSource, How, SourceStatement
from service.core.statements.accounting.wording import SpelledText, stems_of, worded
from service.core.statements.grounding.lexicon import ORDINARY
from service.core.statements.grounding.sentence import clean, split_sentences

_LEAST_WORDS = 3  # fewer words say something else in another place, unless they are a statement of their own
_MOST_HEADS = 2
_MOST_FILLED = 8  # words in a wording's blank
_AFTER_QUOTE = re.compile(r"(?<=[\"”])\s+(?=[A-Z0-9\"“])")
_SEPARATES = frozenset({"and", "or"})
_ORDINARY_WEIGHT = 0.3

Head = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """One sentence: ``how`` it is accounted for and by which ``statement``, or None; ``novelty`` as in ``novelty_of``."""

    text: str
    how: How | None = None
    statement: str = ""
    novelty: float = 0.0


def account(text: str, source: AccountSource) -> tuple[Accounted, ...]:
    """Return every sentence of ``text``, in order.

    A head ("Oct 7 chat:") holds for the sentences behind it as well, until the next one: they must be passages of its statement.
    """
    found, under = list[Accounted](), frozenset[Head]()
    for sentence in sentences_of(text):
        said = worded(sentence)
        if not said.words:
            continue
        heads, start = _heads_of(said, source)
        under = frozenset(heads) or under
        by = _by(said.words, start, under, source)
        if by is not None and by.how in ("label", "wording"):
            under = frozenset()
        if by is None:
            found.append(Accounted(text=sentence, novelty=novelty_of(sentence, source)))
        else:
            found.append(Accounted(text=sentence, how=by.how, statement=by.text))
    return tuple(found)


def sentences_of(text: str) -> list[str]:
    """Return the sentences of ``text``; a quotation ends one."""
    return [part for one in split_sentences(clean(text)) for part in _AFTER_QUOTE.split(one)]


def novelty_of(sentence: str, source: AccountSource) -> float:
    """Return the share (0 to 1) of a sentence's words of meaning that its source lacks; words of every case weigh less."""
    weights = {stem: _ORDINARY_WEIGHT if stem in ORDINARY else 1.0 for stem in stems_of(sentence)}
    lacking = fsum(weight for stem, weight in weights.items() if stem not in source.stems)  # exact in any order
    return lacking / fsum(weights.values()) if weights else 0.0


def _heads_of(said: SpelledText, source: AccountSource) -> tuple[list[Head], int]:
    """Return the heads that a sentence begins with, and the place of the first word behind them."""
    heads, start = list[Head](), 0
    for _ in range(_MOST_HEADS):
        head = next((one for one in source.heads if _begins(said, start, one)), None)
        if head is None:
            break
        heads.append(head)
        start += len(head)
    return heads, start


def _begins(said: SpelledText, start: int, head: Head) -> bool:
    end = start + len(head)
    return end < len(said.words) and bool(said.breaks[end]) and said.words[start:end] == head


def _by(words: Head, start: int, under: frozenset[Head], source: AccountSource) -> SourceStatement | None:
    """Return the statement that accounts for ``words``, of which the first ``start`` are heads, or None."""
    for one in source.statements:
        if one.how in ("label", "wording"):
            if one.words.words == words or _filled(words, one, source):
                return one
        elif one.items:
            if any(_lists(words[len(head) :], one) for head in ((), *one.head_words) if words[: len(head)] == head):
                return one
        elif under <= one.head_words and _passage(words[start:], one):
            return one
    return None


def _passage(wanted: Head, one: SourceStatement) -> bool:
    if len(wanted) < _LEAST_WORDS:
        return bool(wanted) and wanted == one.words.words
    return one.words.repeats(wanted)


def _lists(wanted: Head, one: SourceStatement) -> bool:
    """Return whether ``wanted`` are items of the list ``one``, each once and whole."""
    place, left = 0, list(one.item_words)
    while place < len(wanted):
        item = next((item for item in left if wanted[place : place + len(item)] == item), None)
        if item is not None:
            left.remove(item)
            place += len(item)
        elif wanted[place] in _SEPARATES:
            place += 1
        else:
            return False
    return len(left) < len(one.item_words)


def _filled(words: Head, one: SourceStatement, source: AccountSource) -> bool:
    """Return whether ``words`` are the wording ``one`` with its blank filled from what was said or returned."""
    if one.blank is None:
        return False
    before, after = one.blank
    size = len(words) - len(before) - len(after)
    if not 0 < size <= _MOST_FILLED or words[: len(before)] != before or words[len(words) - len(after) :] != after:
        return False
    filled = words[len(before) : len(words) - len(after)]
    return any(_within(filled, other.words.words) for other in source.statements if other.how in ("echo", "tool"))


def _within(wanted: Head, words: Head) -> bool:
    return any(words[place : place + len(wanted)] == wanted for place in range(len(words) - len(wanted) + 1))
