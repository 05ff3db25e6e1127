"""Checks what a reply says to be free, against the tools' own sentences about what is free."""

import re
from collections.abc import Iterator
from pathlib import Path

from service.core.run.guard import Objection
from service.core.statements.grounding.text import fold, sentences
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "fees")

_FREE = re.compile(_TEXTS["free"])
_FREE_STATED = re.compile(r"\bfree\b|\bno (?:\w+ ){0,3}(?:fees?|charges?)\b|\bwithout interest\b")
# What is free is one of these, or the thing itself.
_TOPICS = (
    re.compile(r"\breplac\w*|\bnew (?:one|card)\b|\blos[et]\b|\blost\b|\banother one\b|\bcreate a new\b"),
    re.compile(r"\babroad\b|\bforeign\b|\boverseas\b|\bother currenc\w+|\beuros?\b|\bdollars?\b|\bholiday\b"),
    re.compile(r"\bwithdraw\w*|\bcash machines?\b|\bcash ?points?\b|\b(?:take|taking|took) (?:\w+ )?out\b"),
    re.compile(r"\boverdraft\b|\binterest\b"),
)
_FOR_A_TIME = re.compile(r"\bfirst \d+ (?:months?|years?)\b")
_COSTS = re.compile(r"£\s*\d[\d,.]* (?:a|per|each) month|£\s*\d[\d,.]* monthly")
_TOLD = "No tool said that this costs nothing; leave it out:"


def fee_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield what the reply says to be free where no tool, nor an earlier reply, said so of the same thing."""
    stated = [
        fold(sentence)
        for text in (*(text for _, _, text in seen.fields), *seen.assistant)
        for sentence in sentences(text)
    ]
    free = [sentence for sentence in stated if _FREE_STATED.search(sentence)]
    costs = any(_COSTS.search(sentence) for sentence in stated)
    for sentence in sentences(reply.reply):
        text = fold(sentence)
        for clause in re.split(r",|\bbut\b|\band\b|;", sentence):
            found = _FREE.search(fold(clause))
            if found and not _is_stated(
                _topics(fold(clause)) or _topics(text) or _asked(text, seen), text, free, costs
            ):
                yield Objection(kind="fabricated_data", value=found[0], told=_TOLD)


def _asked(text: str, seen: SeenTurn) -> frozenset[int]:
    """Return the topics of the customer's message; none where the sentence says itself what is free."""
    return (
        frozenset() if re.search(r"\bmonthly\b|\bmonth\b|\baccount\b|\bcard\b", text) else _topics(fold(seen.message))
    )


def _topics(text: str) -> frozenset[int]:
    return frozenset(number for number, topic in enumerate(_TOPICS) if topic.search(text))


def _is_stated(topics: frozenset[int], text: str, free: list[str], costs: bool) -> bool:
    if topics:
        return any(topics & _topics(sentence) for sentence in free)
    general = [sentence for sentence in free if not _topics(sentence)]
    if any(_FOR_A_TIME.search(sentence) for sentence in general):
        return bool(re.search(r"\d", text))
    return bool(general) and not costs
