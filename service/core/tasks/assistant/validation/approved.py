"""What a reply may consist of: approved wordings, and passages or the usual wording of the tools' answers of the conversation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from service.core.statements.accounting.account import sentences_of
from service.core.statements.accounting.source import SourceStatement
from service.core.tasks.assistant.first_help import first_help
from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.phone import with_digits
from service.core.tasks.assistant.understanding.intent import Aspect
from service.core.tasks.assistant.wording import (
    Worded,
    account_name,
    branches_worded,
    card_worded,
    channel_name,
    compared_worded,
    hours_worded,
    is_clean,
    message_worded,
    opening_worded,
    queue_worded,
)

# How a list of a tool's answer may be led in.
_HEADS: Mapping[str, tuple[str, ...]] = {
    "documents_required": ("You need", "You'll need", "You will need", "Please bring", "Bring", "Once more"),
    "requirements": ("You also need", "You need", "You'll also need"),
    "process_steps": ("The steps are", "These are the steps", "Once more"),
    "benefits": ("The benefits are", "Benefits"),
    "features": ("It offers", "It has", "Features"),
    "fees": ("The fees are", "Fees", "It costs"),
    "eligibility": ("Who can have it",),
    "services": ("Services", "It offers"),
}
_ASPECTS: tuple[Aspect, ...] = ("documents", "requirements", "steps", "time", "benefits")
_CARD_ASPECTS: tuple[Aspect, ...] = ("features", "fees", "requirements", "replacement", "time", "activation", "steps")


def approved(answers: Iterable[tuple[str, Mapping[str, Any]]], customer: Iterable[str]) -> Iterator[SourceStatement]:
    """Yield the statements that may account for a reply.

    ``answers`` are tool and answer of each answered use, ``customer`` the customer's words and what the channel verified.
    """
    answers = list(answers)
    yield from _wordings()
    for tool in {tool for tool, _ in answers}:
        yield from _deeds(tool)
    said = [part for text in customer for part in (text, with_digits(text))]
    for text in dict.fromkeys(part for one in said for part in (one, *sentences_of(one))):
        yield SourceStatement(text=text, how="echo", heads=("The customer said", "The customer says", "The customer"))
    for tool, answer in answers:
        for text in dict.fromkeys(sentence for part in _worded(tool, answer) for sentence in sentences_of(part.text)):
            yield SourceStatement(text=text, how="tool")
        yield from _fields(answer, "")


@cache
def _wordings() -> tuple[SourceStatement, ...]:
    return tuple(_by_sentence(persona().wordings, first_help().wordings))


@cache
def _deeds(tool: str) -> tuple[SourceStatement, ...]:
    """Return how the assistant says what ``tool`` did: without its answer nothing accounts for these."""
    said = (*persona().deeds.get(tool, ()), *(persona().handovers.values() if tool == "transfer_to_agent" else ()))
    return tuple(_by_sentence(said))


def _by_sentence(*wordings: Iterable[str]) -> Iterator[SourceStatement]:
    """Yield the sentences of approved wordings: a reply may have one of them alone."""
    for text in dict.fromkeys(sentence for texts in wordings for one in texts for sentence in sentences_of(one)):
        yield SourceStatement(text=text, how="wording")


def _worded(tool: str, answer: Mapping[str, Any]) -> Iterator[Worded]:
    """Yield what the assistant's own wording makes of a tool's answer; nothing of one that lacks what it needs."""
    try:
        if "account_type" in answer:
            names = account_name(answer["account_type"]), channel_name(answer["channel"])
            for aspects in (frozenset[Aspect](), *map(frozenset, zip(_ASPECTS, strict=True))):
                for spoken in (False, True):
                    worded = opening_worded(tool, answer, aspects=aspects, question="", spoken=spoken)
                    yield worded
                    yield from (compared_worded([(name, worded)]) for name in (*names, ", ".join(names)))
        elif "card_details" in answer:
            for aspects in (frozenset[Aspect](), *map(frozenset, zip(_CARD_ASPECTS, strict=True))):
                for spoken in (False, True):
                    worded = card_worded(tool, answer, aspects=aspects, question="", spoken=spoken)
                    yield from (worded, compared_worded([(str(answer["card_type"]), worded)]))
        elif "branches" in answer:
            yield branches_worded(tool, answer)
        elif tool == "check_hours":
            yield hours_worded(tool, answer)
        elif tool == "queue_position":
            yield queue_worded(tool, answer)
        else:
            yield message_worded(tool, answer)
    except (KeyError, TypeError, AttributeError):  # whoever answered was tampered with, or is another tool
        return


def _fields(value: Any, name: str) -> Iterator[SourceStatement]:
    """Yield every text of an answer, and every list of texts as such; what was tampered with is no source."""
    if isinstance(value, Mapping):
        texts = [text for text in value.values() if is_clean(text)]
        if "address" in value:
            yield _list(texts, ("The nearest branch is", "Then there is", "It is", "That is", "That's"))
        for inner, item in value.items():
            yield from _fields(item, str(inner))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        texts = [text for text in value if is_clean(text)]
        if texts:
            yield _list(texts, _HEADS.get(name, ()))
        for item in value:
            yield from _fields(item, name)
    elif is_clean(value):
        yield SourceStatement(text=value, how="tool")


def _list(texts: Sequence[str], heads: tuple[str, ...]) -> SourceStatement:
    return SourceStatement(text=", ".join(texts), how="tool", heads=heads, items=tuple(texts))
