"""Reads sentiment and key phrases of English turns by words: the local stand-in for Amazon Comprehend."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from service.calls.insights.insight import TurnInsight, TurnSentiment

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_TAG = re.compile(r"\[[^\]]*\]")
_ENDS = re.compile(r"[.,;:!?()\"\[\]\n–—-]+")
_LISTS: dict[str, str] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
_GOOD, _BAD = tuple(_LISTS["good"].split()), tuple(_LISTS["bad"].split())
_NOT_BAD, _TURNED, _PLAIN = (frozenset(_LISTS[name].split()) for name in ("not_bad", "turned", "plain"))
_REACH = 3  # words after a negation that it turns
_LONGEST = 4  # words of a phrase


class WordReader:
    """Implements ``InsightReader`` without a model."""

    by = "local-words-v1"
    languages = frozenset({"en"})

    def read(self, turns: Sequence[tuple[int, str]], language: str) -> list[TurnInsight]:
        """See ``InsightReader.read``."""
        return [_read(number, text) for number, text in turns]


def _read(number: int, text: str) -> TurnInsight:
    words = _WORD.findall(_TAG.sub(" ", text.lower().replace("’", "'")))
    good = bad = 0
    for place, word in enumerate(words):
        felt = 1 if word.startswith(_GOOD) else -1 if word.startswith(_BAD) else 0
        if not felt or word in _NOT_BAD:
            continue
        # "never" is bad by itself; before a good word it turns it.
        turned = _TURNED.intersection(words[max(place - _REACH, 0) : place])
        if (felt > 0) != bool(turned):
            good += 1
        else:
            bad += 1
    balance = (good - bad) / (good + bad + 1)
    sentiment: TurnSentiment = (
        "NEUTRAL" if not good + bad else "MIXED" if good == bad else "POSITIVE" if good > bad else "NEGATIVE"
    )
    return TurnInsight(turn=number, sentiment=sentiment, balance=round(balance, 4), key_phrases=_phrases(text))


def _phrases(text: str) -> tuple[str, ...]:
    """Return runs of words that carry meaning, of two to four words or one long word, each once."""
    found: dict[str, None] = {}
    for clause in _ENDS.split(_TAG.sub(".", text.replace("’", "'"))):
        run: list[str] = []
        for word in [*clause.split(), "the"]:
            if word.lower() in _PLAIN or not word.isascii() or not any(map(str.isalpha, word)):
                if 2 <= len(run) <= _LONGEST or (len(run) == 1 and len(run[0]) > 6):
                    found[" ".join(run)] = None
                run = []
            else:
                run.append(word)
    return tuple(found)
