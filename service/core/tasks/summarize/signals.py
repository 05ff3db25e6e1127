"""Signals of what the next agent must know: danger, money, promises, open, refused and settled matters."""

import re
from pathlib import Path

from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "signals")

_SAFETY = re.compile(_TEXTS["safety"], re.I)
# The weights were chosen by reading digests of the dev and challenge cases, not fitted; ``history`` uses them.
_WEIGHED: tuple[tuple[re.Pattern[str], float], ...] = (
    (_SAFETY, 3.0),
    (re.compile(r"\$\s?\d"), 3.0),
    (re.compile(r"\b(promis|will\b|by (mon|tue|wed|thu|fri|sat|sun)|within \d|call ?back|follow)", re.I), 2.0),
    (
        re.compile(
            r"\b(pending|open|unresolved|escalat|still|waiting|not (yet|been)|never|no (one|credit|response))", re.I
        ),
        2.0,
    ),
    (
        re.compile(
            r"\b(disput|refund|credit|fee|charge|shut|disconnect|outage|deposit|medical|fraud|supervisor|complain)",
            re.I,
        ),
        1.5,
    ),
    (re.compile(r"\b(\d{1,2}/\d{1,2}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*\.? ?\d", re.I), 1.0),
    (re.compile(r"\d"), 0.5),
)


def _any_of(words: str) -> re.Pattern[str]:
    # Words and phrases, comma separated; a star stands for any ending.
    parts = (
        re.escape(word).replace(r"\*", r"\w{0,14}").replace(r"\ ", " ") for word in words.replace("\n", " ").split(",")
    )
    return re.compile(rf"(?<![\w'])(?:{'|'.join(' '.join(part.split()) for part in parts)})(?![\w'])", re.I)


# What has a learned weight; each is looked for in a statement's own words.
SIGNALS: dict[str, re.Pattern[str]] = {
    "safety": _SAFETY,
    "money": re.compile(r"\$\s?\d"),
    "day": re.compile(
        r"\b(?:\d{1,2}/\d{1,2}|(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{0,6}\.? \d"
        r"|(?:the )?\d{1,2}(?:st|nd|rd|th)\b|(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\b)",
        re.I,
    ),
    "reference": re.compile(r"\b[A-Z]{2,4}[- ]?\d{2,6}(?:-\d{1,4})?\b|#\d{3,}|\b\d{4,6}\b"),
    "number": re.compile(r"\d"),
    "promise": _any_of(_TEXTS["promise"]),
    "due": _any_of("by, until, till, til, thru, through, within, before, deadline, due, expires, at the latest, held"),
    "open": _any_of(_TEXTS["open"]),
    "refused": _any_of(_TEXTS["refused"]),
    "negation": _any_of(_TEXTS["negation"]),
    "settled": _any_of(_TEXTS["settled"]),
    "matter": _any_of(_TEXTS["matter"]),
    "wish": _any_of(_TEXTS["wish"]),
    "reports": _any_of(_TEXTS["reports"]),
    "customer": _any_of(_TEXTS["customer"]),
    "mood": _any_of(_TEXTS["mood"]),
    "household": _any_of(_TEXTS["household"]),
    "first_person": _any_of("i, i'm, i've, i'd, i'll, my, mine, me"),
    "company": _any_of("we, we're, we've, we'll, our, us"),
    "reader": _any_of("you, your, you're, you've, you'll, yours"),
    "courtesy": _any_of(_TEXTS["courtesy"]),
    "question": re.compile(r"\?\s*$"),
    "shouted": re.compile(r"\b[A-Z]{4,}\b.{0,80}\b[A-Z]{4,}\b"),
    "form": re.compile(
        r"\b(?:subject|re|case|ref|date|from|to|attn|form|type|name|address|phone|ticket)\s?[:#]|^(?:menu|path|utt|auth|main|que)\b"
        r"|>\w{1,30}>",
        re.I,
    ),
}


def signal_weight(sentence: str) -> float:
    """Return how important a sentence is for the next agent: the sum of the weights of its signals, 0 for small talk."""
    return sum(value for pattern, value in _WEIGHED if pattern.search(sentence))
