"""Checks what a reply says that was done, and how it speaks: promises, handovers, disclosure, talk of technical trouble."""

import re
from collections.abc import Iterator

from service.core.run.guard import Objection
from service.core.statements.grounding.text import sentences
from service.core.tasks.assistant.persona import discloses
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.understanding.intent import hear
from service.core.tasks.assistant.understanding.talk import cannot_help
from service.core.tasks.assistant.validation.seen import SeenTurn

_I = re.IGNORECASE
_TRANSFER = re.compile(
    r"\b(?:(?:i|we)(?:'m| am|'re| are|'ll| will|'ve| have)?\s+(?:now\s+|just\s+|already\s+|"
    r"going to\s+)*(?:transfer|connect|put|pass|hand)\w*\s+you\b"
    r"|let me\s+(?:transfer|connect|put|pass|hand)\s+you\b|you(?:'re| are| have been|"
    r"'ve been)\s+(?:now\s+)?(?:being\s+)?(?:transferred|connected|in the queue|put through|number \d+)"
    r"|(?:specialist|colleague|agent|adviser|person)\s+(?:will be with you|is joining|is on the way|"
    r"will take over|has been (?:told|notified|informed)))",
    _I,
)
_CALLBACK = re.compile(
    r"\b(?:(?:i|we)(?:'ve| have)\s+(?:now\s+|just\s+)?(?:arranged|booked|scheduled|requested|set up|"
    r"logged|placed|organi[sz]ed|noted)\b[^.?!,]{0,60}\bcall"
    r"|(?:will|'ll|going to|shall)\s+(?:call|ring|phone|contact)\s+you\b|you(?:'ll| will)\s+(?:get|"
    r"receive|have)\s+a\s+(?:phone\s+)?call"
    r"|call(?:[- ]?back)?\s+(?:is|has been)\s+(?:now\s+)?(?:booked|arranged|scheduled|confirmed|requested|set))",
    _I,
)
_DEED = (
    r"(?:opened|ordered|sent|cancelled|blocked|frozen|froze|updated|changed|submitted|processed|emailed|"
    r"texted|paid|refunded|closed|upgraded|reset|activated"
    r"|logged|raised|filed|lodged|added|recorded|removed|escalated|withdrawn"
    r"|approved|reported|reserved|registered|booked|applied|verified|checked your|transferred (?:£|"
    r"the money|your money))"
)
_OTHER_DEED = re.compile(
    rf"\b(?:i|we)(?:'ve| have)\s+(?:now\s+|just\s+|already\s+|successfully\s+|also\s+)*{_DEED}\b"
    rf"|\byour\s+(?:\w+\s+){{0,3}}(?:account|card|application|order|address|pin|appointment|"
    rf"payment)\s+(?:has been|is now|was|have been)\s+(?:successfully\s+)?{_DEED}\b"
    r"|\byour\s+(?:\w+\s+){0,3}account is (?:now )?open\b|\b(?:is|are) (?:now |already )?on (?:its|their|the) way\b"
    r"|\b(?:manager|colleague|specialist|team|someone|somebody)\b(?:\s+\w+){0,3}\s+(?:will|'ll)\s+(?:look into|review|"
    r"investigate|get back to)\b",
    _I,
)
# A place that a customer has whom nobody is transferring; the queue's tool told it.
_PLACE = re.compile(r"\byou(?:'re| are| would be)\s+(?:now\s+)?(?:number \d+|in the queue)", _I)
# What is offered or depends on something is no statement that it happens.
_OFFERED = re.compile(
    r"\?\s*$|\b(?:can|could|would|may|might|if|whenever|unless|happy to|able to|like me to|want me to|"
    r"once you|when you|before i|won'?t|not|nobody|no one|cannot|can'?t)\b",
    _I,
)
_DENIES = re.compile(
    r"\b(?:i'?m|i am|this is)\s+(?:definitely\s+|actually\s+|of course\s+)?(?:not\s+(?:an?\s+)?(?:ai|bot|"
    r"robot|chat ?bot|machine|computer|automated|virtual)"
    r"|(?:an?\s+)?(?:real\s+|actual\s+|live\s+)?(?:human|person)\b(?!\s+(?:will|can)))|\bi'?m human\b|"
    r"\byes,? (?:i'?m|i am) (?:a )?(?:real|human)|\bmy name is (?-i:[A-Z])"
    r"|\b(?:you'?re|you are) (?:speaking|talking|chatting) (?:with|to) (?:an? (?:real |live )?(?:human|person|advis[eo]r|agent)"
    r"|(?-i:[A-Z])\w+(?!\w|'s|’s))"
    r"|\b(?:i'?m|i am) (?:one of (?:the|our) [^.?!]{0,30}|an? (?:\w+ ){0,2})(?:advis[eo]rs?|agents?|representatives?|colleagues?|"
    r"employees?|members? of (?:the )?(?:team|staff)|humans?)\b"
    r"|\b(?:i'?m|this is|it'?s) (?-i:[A-Z])\w+ (?:from|at|speaking)\b",
    _I,
)
_TECHNICAL = re.compile(
    r"\b(?:technical\s+(?:issues?|difficult\w+|problems?|errors?|faults?|trouble)|systems?\s+(?:is|are|"
    r"was|were)?\s*(?:down|unavailable|slow|errors?|outage)"
    r"|(?:server|api|database|backend|json|time[- ]?out|timed out|glitch|malfunction\w*|outage|tool call|"
    r"tools?)\b|error\s+(?:code|message|occurred)"
    r"|experiencing\s+(?:some\s+)?(?:issues?|difficult\w+|problems?)|something went wrong)",
    _I,
)


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
