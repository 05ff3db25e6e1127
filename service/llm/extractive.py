"""The extractive digest: a deterministic summary made of statements taken from the interactions; it needs no model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.interaction import Interaction
from service.text import sentences

MODEL_ID = "local.extractive-digest-v1"

# Words that mark what the next agent must know: money, promises, what is open, what was refused. Weights were set by
# reading digests of the dev cases, not fitted.
_SIGNALS: tuple[tuple[re.Pattern[str], float], ...] = (
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
_NOISE = re.compile(
    r"^(hi|hello|hey|dear|thanks?|thank you|regards|best|sent from|ok(ay)?|agent:?\s*(hi|hello))\b", re.I
)
# Never repeated: long digit runs (accounts, cards, phones, SSNs), secrets, markup, and lines that address a machine.
_UNSAFE = re.compile(
    r"\d[\d .-]{7,}\d|[<>{}`*|]|\bpass(?:word|code|phrase|wd)s?\b|\b(?:one-time|otp|security|login) (?:code|pin)\b"
    r"|\b(ignore|disregard|forget)\b.{0,40}\b(above|previous|prior|instruction|notes?)"
    r"|\b(system prompt|as an ai)\b",
    re.I,
)
_LABELS = {"mobile_app": "mobile app"}
_WORD_BUDGET = 100
_STATEMENT_WORDS = 34


@dataclass(frozen=True, slots=True)
class _Statement:
    position: int
    place: int
    text: str
    words: int
    weight: float


def extractive_digest(interactions: Sequence[Interaction]) -> str:
    """Return a digest of at most about 105 words; the same interactions, oldest first, give the same text.

    It states counts, dates, channels and intents, then the customer's own statements that carry money, promises and open
    items, newest interactions first in line for the space. "No interactions found." for an empty history.
    """
    if not interactions:
        return "No interactions found."
    head = _head(interactions)
    left = _WORD_BUDGET - len(head.split()) - len((interactions[-1].outcome or "").split())
    chosen = _choose(_statements(interactions), left)
    parts = [head]
    last = -1
    for statement in sorted(chosen, key=lambda s: (s.position, s.place)):
        item = interactions[statement.position]
        prefix = "" if statement.position == last else f"{item.timestamp:%b} {item.timestamp.day} {_channel(item)}: "
        parts.append(f"{prefix}{statement.text}")
        last = statement.position
    closing = interactions[-1].outcome
    if closing and not _UNSAFE.search(closing):
        parts.append(f"Latest outcome: {closing.strip().rstrip('.')}.")
    return " ".join(parts)


def _choose(candidates: list[_Statement], words: int) -> list[_Statement]:
    # Dividing by the root of the length lets two short statements win over one long one, without favouring fragments.
    by_value = sorted(candidates, key=lambda s: (-s.weight / s.words**0.5, -s.position, s.place))
    chosen: list[_Statement] = []
    for statement in by_value:
        prefix = 0 if any(statement.position == other.position for other in chosen) else 3
        if statement.words + prefix <= words:
            chosen.append(statement)
            words -= statement.words + prefix
    return chosen


def _head(interactions: Sequence[Interaction]) -> str:
    first, last = interactions[0].timestamp, interactions[-1].timestamp
    channels = list(dict.fromkeys(_channel(item) for item in interactions))
    intents = list(dict.fromkeys(item.intent for item in interactions if item.intent.strip()))
    noun = "interaction" if len(interactions) == 1 else "interactions"
    when = (
        f"on {first:%b} {first.day}"
        if first.date() == last.date()
        else f"from {first:%b} {first.day} to {last:%b} {last.day}"
    )
    about = f" about {_join(intents[-2:])}" if intents else ""
    return f"{len(interactions)} {noun} {when} via {_join(channels[-3:])}{about}."


def _channel(item: Interaction) -> str:
    return _LABELS.get(item.channel, item.channel)


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _statements(interactions: Sequence[Interaction]) -> list[_Statement]:
    found: list[_Statement] = []
    seen: set[str] = set()
    for position, item in enumerate(interactions):
        recency = 1.5 * (position + 1) / len(interactions)
        for place, raw in enumerate(sentences(item.text)):
            text = " ".join(raw.split())
            quoted = text.startswith(">")  # an e-mail's copied thread: older than the mail itself
            text = text.lstrip("> ").strip()
            words = len(text.split())
            if (
                words < 3
                or words > _STATEMENT_WORDS
                or _NOISE.match(text)
                or _UNSAFE.search(text)
                or text.lower() in seen
            ):
                continue
            seen.add(text.lower())
            weight = (
                sum(value for pattern, value in _SIGNALS if pattern.search(text)) + recency - (1.5 if quoted else 0.0)
            )
            found.append(
                _Statement(position, place, text if text[-1] in ".!?" else text.rstrip(";,:") + ".", words, weight)
            )
    return found
