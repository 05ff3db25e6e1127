"""Describes statements by features: their signals, where they stand, and how their words recur in the history."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.core.tasks.summarize.signals import SIGNALS
from service.core.tasks.summarize.statements import NoteSentence
from service.core.unit.channel import Channel

_TOKEN = re.compile(r"[a-z]{3,}|\d[\d.,/:-]*\d|\d")
_ZERO_CENTS = re.compile(r"\.00(?!\d)")
_COMMON = frozenset(
    """the and for that this with was were are you your have has had not but from they she him her his our out its all
    can will who what when there been their would about which one get got did does just now then than said says told
    customer agent""".split()
)
# The channels with enough labelled statements to learn from.
_CHANNELS = (
    *(Channel.AGENT, Channel.CHAT, Channel.EMAIL, Channel.IVR),
    *(Channel.SMS, Channel.WEB, Channel.SOCIAL),
)
# One of these shows that a statement is about the customer's account or household.
_ACCOUNT = ("matter", "money", "day", "reference", "safety", "household")
_MOST_DESCRIBED = 1_000  # 50 contacts hold about 300; a flood of text must not use up the deadline
_TRADE = re.compile(
    r"\b(?:power|lights?|electric\w{0,4}|gas|kwh|breakers?|fuse|poles?|wires?|lines?|trees?|branch|pump|crew|trucks?|tech\w{0,8}"
    r"|gate|yard|visits?|house|home|property|privacy|unauthorized|signed?|fax\w{0,3}|e-?mail\w{0,3}|phone\w{0,3}|call\w{0,4}"
    r"|queue|profile|remarks|cust\w{0,6})\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A statement that the digest may choose, with its features and its content words."""

    statement: NoteSentence
    features: Mapping[str, float]
    content: frozenset[str]


@dataclass(slots=True)
class _Use:
    """How a word recurs: in how many statements, notes and blocks, and in which notes first and last."""

    statements: int = 0
    notes: int = 0
    blocks: int = 0
    first: int = -1
    last: int = -1
    last_block: int = -1

    def add(self, position: int, block: int) -> None:
        self.statements += 1
        if position != self.last:
            self.notes += 1
        if (position, block) != (self.last, self.last_block):
            self.blocks += 1
        if self.first < 0:
            self.first = position
        self.last, self.last_block = position, block


def content_words(text: str) -> frozenset[str]:
    """Return the words of three letters or more and the figures of ``text``, without the commonest words."""
    return frozenset(_TOKEN.findall(_ZERO_CENTS.sub("", text.lower()))) - _COMMON


def candidates_of(statements: Sequence[NoteSentence], notes: int) -> list[Candidate]:
    """Return the statements that belong to the history, with their features; ``notes`` is how many notes there are.

    ``statements`` are in the history's order; the newest 1,000 are described. The time is proportional to their words.
    """
    statements = statements[-_MOST_DESCRIBED:]
    contents = [content_words(statement.source) for statement in statements]
    uses: dict[str, _Use] = {}
    for statement, content in zip(statements, contents, strict=True):
        for word in content:
            uses.setdefault(word, _Use()).add(statement.position, statement.block)
    last_places = {statement.position: statement.place for statement in statements}
    found = []
    for statement, content in zip(statements, contents, strict=True):
        words = [uses[word] for word in content]
        features = (
            _signals(statement)
            | _place(statement, notes, last_places[statement.position])
            | _recurrence(statement, words, [uses[word] for word in content if word[0].isdigit()])
        )
        if _belongs(statement, features, sum(use.blocks > 1 for use in words), len(words)):
            found.append(Candidate(statement, features, content))
    return found


def _signals(s: NoteSentence) -> dict[str, float]:
    found = {name: 1.0 for name, pattern in SIGNALS.items() if pattern.search(s.source)}
    words = len(s.source.split())
    if s.note.item.channel in _CHANNELS:
        found[f"channel_{s.note.item.channel}"] = 1.0
    return found | {
        "one": 1.0,
        "words": min(words, 30) / 10,
        "short": float(words < 5),
        "quoted": float(s.shown.startswith('"')),
        "thread": float(s.from_thread),
    }


def _place(s: NoteSentence, notes: int, last_place: int) -> dict[str, float]:
    age = notes - 1 - s.position
    place = s.place / max(last_place, 1)
    found = {
        "recency": (s.position + 1) / notes,
        "newest": float(age == 0),
        "second_newest": float(age == 1),
        "oldest": float(s.position == 0),
        "alone": float(notes == 1),
        "few": float(notes <= 3),
        "place": place,
        "first_in_note": float(s.place == 1),
        "last_in_note": float(s.place == last_place),
    }
    if notes == 1:
        found["alone_place"] = place
    if s.speaker:
        found |= {
            "spoken": 1.0,
            "spoken_by_customer": float(s.speaker == "Customer"),
            "spoken_first": float(s.place <= 2),
            "spoken_place": place,
        }
    return found


def _recurrence(s: NoteSentence, words: Sequence[_Use], figures: Sequence[_Use]) -> dict[str, float]:
    size = max(len(words), 1)
    return {
        "content": math.log1p(len(words)),
        "shared": sum(use.notes > 1 for use in words) / size,
        "repeated": sum(use.statements > 1 for use in words) / size,
        "central": sum(math.log(use.statements) for use in words) / size,
        "new": sum(use.first == s.position for use in words) / size,
        "figures": min(len(figures), 4) / 2,
        "shared_figure": float(any(use.notes > 1 for use in figures)),
        "later_figure": float(any(use.last > s.position for use in figures)),
    }


def _belongs(s: NoteSentence, features: Mapping[str, float], shared: int, size: int) -> bool:
    """Return whether ``s`` has to do with the account or with the rest of the history: planted texts seldom do.

    ``shared`` of its ``size`` content words occur in other paragraphs or contacts too. A question or an order needs more than
    a statement, since that is what injected texts consist of.
    """
    if any(name in features for name in _ACCOUNT):
        return True
    if "question" in features or s.order:
        return shared >= (1 if s.speaker else 2)
    return size < 4 or shared >= 1 or "number" in features or s.speaker != "" or _TRADE.search(s.source) is not None
