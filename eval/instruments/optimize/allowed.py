"""What may stand in a prompt that a model proposes: nothing that a case says, and not more than the model's cache makes cheap."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from eval.instruments.optimize.quality import texts_in
from eval.spine.cases import Case
from service.core.llm.pricing import estimated_tokens
from service.core.unit.cards import ModelCard

MOST_WORDS = 8  # that a prompt may share with a case in a row
_SHORT_SENTENCE = 4  # words; a shorter sentence, such as "Thank you", is anybody's
_GROWTH = 2  # without a cache: a prompt of twice the length
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
# What names something outside the prompt: an address, or a mark that somebody made up (letters with digits, four digits or more).
_MARK = re.compile(r"https?://\S+|www\.\S+|\S+@\S+\.\S+|\b(?=\w*\d)(?=\w*[^\W\d_])\w{4,}\b|\b\d[\d ,.-]{2,}\d\b")


def longest_prompt(start: str, card: ModelCard, *, cached: bool) -> int:
    """Return how many tokens (estimated) the instructions may have that replace ``start``; never fewer than those of ``start``.

    ``cached`` says whether the pair asks the provider to cache them. A cache takes prefixes from a minimum length on, and reads
    them at a fraction of the price. So a cached prompt may be as long as it can be read for what the shortest cacheable prompt
    costs in full: 4,000 tokens for Nova Lite, whose minimum is 1,000 and which reads at a quarter. Without a cache every token of
    every call is billed in full; then a prompt may double.
    """
    own = estimated_tokens(start)
    if not cached or card.cache_minimum_tokens is None:
        return own * _GROWTH
    prices = card.prices
    cheaper = prices.input / prices.cache_read if prices is not None and prices.cache_read else 1
    return max(own, int(card.cache_minimum_tokens * cheaper))


@dataclass(frozen=True, kw_only=True)
class CaseTexts:
    """What the cases of a search say, ready to be compared with a prompt.

    ``runs`` are all rows of nine words in inputs and labels, ``sentences`` the short whole sentences of inputs, ``marks`` the
    addresses and numbers in inputs and labels; all in lower case.
    """

    runs: frozenset[tuple[str, ...]]
    sentences: frozenset[tuple[str, ...]]
    marks: frozenset[str]

    @classmethod
    def of(cls, cases: Iterable[Case]) -> "CaseTexts":
        """Read all texts of ``cases``, at any depth."""
        runs: set[tuple[str, ...]] = set()
        sentences: set[tuple[str, ...]] = set()
        marks: set[str] = set()
        for case in cases:
            inputs = list(texts_in(case.inputs))
            for text in (*inputs, *texts_in(case.expectations.model_dump(mode="json"))):
                runs.update(_runs(_words(text)))
                marks.update(_marks(text))
            for text in inputs:
                said = (tuple(_words(sentence)) for sentence in _SENTENCE_END.split(text))
                sentences.update(words for words in said if _SHORT_SENTENCE <= len(words) <= MOST_WORDS)
        return cls(runs=frozenset(runs), sentences=frozenset(sentences), marks=frozenset(marks))

    def fault(self, text: str, start: str) -> str | None:
        """Return why ``text`` may not stand in a prompt that began as ``start``, or None. What ``start`` says is no fault."""
        words, before = _words(text), _words(start)
        shared = set(_runs(words)) & self.runs - set(_runs(before))
        if shared:
            return f"it repeats more than {MOST_WORDS} words of a case in a row: say in general what is wanted"
        lengths = {len(sentence) for sentence in self.sentences}
        for length in sorted(lengths):
            said = set(_runs(words, length)) & self.sentences - set(_runs(before, length))
            if said:
                return "it repeats a whole sentence of a case: say in general what is wanted"
        marks = set(_marks(text)) & self.marks - set(_marks(start))
        if marks:
            return "it holds an address, a number or a code of a case: a prompt is for all cases"
        return None


def template_fault(text: str) -> str | None:
    """Return why ``text`` is no instruction, or None."""
    if not text.strip():
        return "it is empty"
    for mark in ("{{", "{%", "{#", "<|"):
        if mark in text:
            return f"it holds {mark!r}: instructions have no variables and no markers of a chat template"
    return None


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _marks(text: str) -> Iterator[str]:
    return (found.lower().rstrip(".,;:!?") for found in _MARK.findall(text))


def _runs(words: list[str], length: int = MOST_WORDS + 1) -> Iterator[tuple[str, ...]]:
    return (tuple(words[place : place + length]) for place in range(len(words) - length + 1))
