"""Checks what a reply says that was done, and how it speaks: promises, handovers, disclosure, talk of technical trouble."""

import re
from collections.abc import Iterator
from pathlib import Path

from service.core.run.guard import Objection
from service.core.statements.grounding.text import sentences
from service.core.tasks.assistant.persona import discloses
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.understanding.intent import hear
from service.core.tasks.assistant.understanding.talk import cannot_help
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "promises")

_I = re.IGNORECASE
_TRANSFER = re.compile(_TEXTS["transfer"], re.I)
_CALLBACK = re.compile(_TEXTS["callback"], re.I)
_OTHER_DEED = re.compile(_TEXTS["other_deed"], re.I)
# A place that a customer has whom nobody is transferring; the queue's tool told it.
_PLACE = re.compile(r"\byou(?:'re| are| would be)\s+(?:now\s+)?(?:number \d+|in the queue)", _I)
# What is offered or depends on something is no statement that it happens.
_OFFERED = re.compile(_TEXTS["offered"], re.I)
_DENIES = re.compile(_TEXTS["denies"], re.I)
_TECHNICAL = re.compile(_TEXTS["technical"], re.I)


def promise_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield what is said and was not done, done and not said, and what the assistant must not say of itself."""
    yield from _said_not_done(reply, seen)
    yield from _done_not_said(reply, seen)
    yield from _about_itself(reply, seen)
    if reply.action != "handover" and seen.assistant and cannot_help(reply.reply) and cannot_help(seen.assistant[-1]):
        told = "You have said before that you cannot help: transfer the customer to a specialist."
        yield Objection(kind="no_help_twice", told=told)
    if found := _TECHNICAL.search(reply.reply):
        yield Objection(
            kind="technical_talk", value=found[0], told="Customers hear nothing of technical trouble; say it without:"
        )


def _said_not_done(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    # Where the transfer failed, the channel still connects whoever is handed over.
    handed = seen.did("transfer_to_agent") or (reply.action == "handover" and "transfer_to_agent" in seen.tried)
    called = seen.did("request_callback")
    if reply.action == "handover" and not handed:
        yield _not_done("a handover", "call transfer_to_agent first")
    for sentence in sentences(reply.reply):
        if _OFFERED.search(sentence):
            continue
        transfer = _PLACE.sub("", sentence) if seen.did("queue_position") else sentence
        if not handed and _TRANSFER.search(transfer) and not _said_before(_TRANSFER, seen):
            yield _not_done(sentence, "call transfer_to_agent first")
        if not called and _CALLBACK.search(sentence) and not _said_before(_CALLBACK, seen):
            yield _not_done(sentence, "ask for a yes and call request_callback first")
        if _OTHER_DEED.search(_CALLBACK.sub("", sentence)):
            yield _not_done(sentence, "no tool can do this, so do not say it")


def _said_before(pattern: re.Pattern[str], seen: SeenTurn) -> bool:
    """Return whether the assistant said so in an earlier turn, whose reply was checked then."""
    return any(pattern.search(text) for text in seen.assistant)


def _not_done(value: str, remedy: str) -> Objection:
    return Objection(
        kind="said_not_done", value=value, told=f"No call of this conversation did this ({remedy}):", severity="high"
    )


def _done_not_said(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    if seen.did("transfer_to_agent") and reply.action != "handover":
        yield Objection(
            kind="done_not_said", told="The customer was transferred: say so, with action handover and its note."
        )
    if seen.did("request_callback") and not re.search(r"\bcall", reply.reply, _I):
        yield Objection(kind="done_not_said", told="A callback was arranged: tell the customer when it comes.")


def _about_itself(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    if found := _DENIES.search(reply.reply):
        yield Objection(kind="denies_ai", value=found[0], told="Never deny being an AI:", severity="high")
    asked = hear(seen.message).asks_if_ai if seen.message else False
    if (seen.must_disclose or asked) and not discloses(reply.reply):
        yield Objection(kind="not_disclosed", told="This reply must say that you are an AI assistant.")
