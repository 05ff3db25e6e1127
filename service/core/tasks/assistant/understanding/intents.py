"""The intents that a message may have, by name, and what the assistant makes of one that its words alone did not show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from service.core.tasks.assistant.knowledge import TransferReason
from service.core.tasks.assistant.understanding.intent import Topic, Wish
from service.core.tasks.assistant.understanding.trouble import TroubleKind

# The topics, the reasons for which a message by itself calls a person in, and the rest: off topic, the question whether the
# customer writes with an AI, thanks and the like, and what nobody understands.
Intent = Literal[
    "account",
    "card",
    "branch",
    "hours",
    "queue",
    "callback",
    "person",
    "frustration",
    "sensitive",
    "complex",
    "capability",
    "off_topic",
    "ai",
    "talk",
    "unclear",
]
# What weights tell apart: intents, or kinds of trouble, ordinary messages and pictures of speech ("my phone died").
MessageLabel = Literal[Intent, TroubleKind, "ordinary", "picture"]
LEAST_CONFIDENCE = 0.7  # the requirement: what is less sure is asked about

_TOPICS: Mapping[Intent, Topic] = {
    "account": "account",
    "card": "card",
    "branch": "branch",
    "hours": "hours",
    "queue": "queue",
    "callback": "callback",
}
_REASONS: Mapping[Intent, TransferReason] = {
    "person": "explicit_request",
    "frustration": "customer_frustration",
    "sensitive": "sensitive_topic",
    "complex": "complex_scenario",
    "capability": "capability_limitation",
}
_OF_REASON: Mapping[TransferReason, Intent] = {reason: intent for intent, reason in _REASONS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """The likeliest intent of a message by its meaning, its probability, and the trouble that it tells of by its meaning.

    ``no_trouble``: the meaning is so far from trouble that words of it are used for something else.
    """

    intent: Intent
    confidence: float
    trouble: TroubleKind | None = None
    no_trouble: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether the assistant may act on it; otherwise it asks."""
        return self.confidence >= LEAST_CONFIDENCE


GuessIntent = Callable[[str], Guess]


def meant(heard: Wish, intent: Intent) -> Wish:
    """Return ``heard``, in whose words no wish was found, with the wish of ``intent``; the same for small talk and the like."""
    if intent in _TOPICS:
        return replace(heard, topics=(_TOPICS[intent],))
    if intent in _REASONS:
        return replace(heard, handover=_REASONS[intent])
    if intent == "off_topic":
        return replace(heard, off_topic="that")
    return replace(heard, asks_if_ai=True) if intent == "ai" else heard


def intent_of(heard: Wish, topics: tuple[Topic, ...]) -> Intent:
    """Return the name of what a message wants first; ``topics`` are what it is about, also by what was said before it."""
    if heard.handover is not None:
        return _OF_REASON[heard.handover]
    if heard.other_customer:
        return "capability"
    if heard.off_topic:
        return "off_topic"
    if topics:
        return topics[0]
    if heard.asks_if_ai:
        return "ai"
    return "talk" if heard.yes or heard.no or heard.bye or heard.hello else "unclear"
