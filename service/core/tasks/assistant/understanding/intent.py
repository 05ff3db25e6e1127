"""What a customer's message wants, read from whole words: "personal" is no person, "current" no account by itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

from service.core.tasks.assistant.knowledge import TransferReason
from service.core.tasks.assistant.understanding.language import language_of
from service.core.tasks.assistant.understanding.triggers import (
    OTHER_BANKS,
    asks_if_ai,
    handover_reason,
    names_other_customer,
    off_topic,
    reason_besides_trouble,
    refuses_person,
)
from service.core.tasks.assistant.understanding.trouble import HelpLanguage, TroubleKind, trouble_in
from service.kit.frame.patterns import pattern_texts

_FILE = Path(__file__).with_name("patterns.yaml")
_TEXTS = pattern_texts(_FILE, "intent")

Topic = Literal["account", "card", "branch", "hours", "queue", "callback"]
# Which part of an answer the customer asks for; none: all of it.
Aspect = Literal[
    "documents", "steps", "time", "benefits", "requirements", "fees", "features", "replacement", "activation"
]

_CALLBACK = re.compile(_TEXTS["callback"], re.I)
_NO_CALL = re.compile(_TEXTS["no_call"], re.I)
_QUEUE = re.compile(_TEXTS["queue"], re.I)
_HOURS = re.compile(_TEXTS["hours"], re.I)
_ACCOUNT = re.compile(_TEXTS["account"], re.I)
_CARD = re.compile(_TEXTS["card"], re.I)
_BRANCH = re.compile(_TEXTS["branch"], re.I)
_NEAR = re.compile(r"\b(?:near(?:est|by)?|closest|close to|round|address|where(?:'?s| is| are)?)\b", re.IGNORECASE)
_ORDERS_CARD = re.compile(_TEXTS["orders_card"], re.I)
_BRANCH_WORD = re.compile(r"\bbranch(?:es)?\b", re.IGNORECASE)
_ASPECTS = cast(Mapping[Aspect, str], pattern_texts(_FILE, "aspects"))
_OF_TOPIC: Mapping[Topic, frozenset[Aspect]] = {
    "account": frozenset({"documents", "steps", "time", "benefits", "requirements"}),
    "card": frozenset({"fees", "features", "time", "requirements", "steps", "replacement", "activation"}),
}
_YES = re.compile(_TEXTS["agrees"], re.I)
_NO = re.compile(_TEXTS["declines"], re.I)
_BYE = re.compile(_TEXTS["bye"], re.I)
_HELLO = re.compile(_TEXTS["hello"], re.I)
_ASKS_FOR_NEW_CARD = re.compile(_TEXTS["asks_for_new_card"], re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a message wants: its ``topics`` in their order, ``aspects`` of them, and why a person must take over.

    ``language`` is None where the message has too few words to tell. ``no_person``: the customer wants to speak to nobody.
    """

    topics: tuple[Topic, ...] = ()
    aspects: frozenset[Aspect] = frozenset()
    handover: TransferReason | None = None
    no_person: bool = False
    trouble: TroubleKind | None = None
    language: HelpLanguage | None = None
    asks_if_ai: bool = False
    off_topic: str = ""
    other_customer: bool = False
    names_branch: bool = False
    looks_near: bool = False
    orders_card: bool = False
    asks_for_new_card: bool = False
    yes: bool = False
    no: bool = False
    bye: bool = False
    hello: bool = False

    def aspects_of(self, topic: Topic) -> frozenset[Aspect]:
        """Return what the message asks about ``topic``."""
        return self.aspects & _OF_TOPIC.get(topic, frozenset())

    def in_trouble(self, kind: TroubleKind) -> "Wish":
        """Return this wish of a customer in trouble: a person takes over, unless they ask only how a lost card is replaced."""
        only_asks = kind == "lost_or_stolen" and self.asks_for_new_card
        return replace(self, trouble=kind, handover=None if only_asks else "sensitive_topic")


@lru_cache(maxsize=2_048)  # each turn hears the messages before it again
def hear(message: str, spoken: HelpLanguage = "en", *, in_trouble: bool = True) -> Wish:
    """Read a message by itself, without what was said before; ``spoken`` is its language where it has too few words to tell.

    Without ``in_trouble`` no word of it is read as trouble.
    """
    text = message.replace("’", "'")
    topics = _topics(text)
    matter = off_topic(text, topics)
    language = language_of(text)
    only_off_topic = matter == OTHER_BANKS or (matter and not {"account", "card"}.intersection(topics))
    heard = Wish(
        topics=() if only_off_topic else topics,
        aspects=frozenset(name for name, pattern in _ASPECTS.items() if re.search(rf"\b(?:{pattern})", text, re.I)),
        handover=handover_reason(text, topics, language or spoken)
        or (handover_reason(text, topics) if language is None else None),
        no_person=refuses_person(text),
        language=language,
        asks_if_ai=asks_if_ai(text),
        off_topic=matter,
        other_customer=names_other_customer(text),
        names_branch=_BRANCH_WORD.search(text) is not None,
        looks_near=_NEAR.search(text) is not None,
        asks_for_new_card=_ASKS_FOR_NEW_CARD.search(text) is not None
        and reason_besides_trouble(text, topics) in (None, "capability_limitation"),
        orders_card=_ORDERS_CARD.search(text) is not None,
        yes=_YES.search(text) is not None,
        no=_NO.search(text) is not None,
        bye=_BYE.search(text) is not None and not topics,
        hello=_HELLO.search(text) is not None and not topics,
    )
    if not in_trouble:
        return heard
    kind = trouble_in(text, language or spoken)
    if kind is None and (kind := trouble_in(text)):
        heard = replace(heard, language=None)  # one stray word makes English look like another language
    return heard if kind is None else heard.in_trouble(kind)


def _topics(text: str) -> tuple[Topic, ...]:
    patterns: Mapping[Topic, re.Pattern[str]] = {
        "account": _ACCOUNT,
        "card": _CARD,
        "branch": _BRANCH,
        "hours": _HOURS,
        "queue": _QUEUE,
        "callback": _CALLBACK,
    }
    found = {topic: match for topic, pattern in patterns.items() if (match := pattern.search(text))}
    if "branch" in found:
        found.pop("hours", None)  # a branch's answer has its hours
    if "callback" in found and _NO_CALL.search(text):
        found.pop("callback")
    if {"card", "account"} <= found.keys() and not re.search(r"\bcards?\b", _ACCOUNT.sub("", text), re.I):
        found.pop("card")
    return tuple(sorted(found, key=lambda topic: found[topic].start()))
