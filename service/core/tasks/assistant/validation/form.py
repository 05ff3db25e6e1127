"""Checks the form of a reply: its length on a phone's screen, steps line by line, one question, a comparison where asked for."""

import re
from collections.abc import Iterator

from service.core.run.guard import Objection
from service.core.statements.grounding.text import fold, sentences
from service.core.tasks.assistant.form import MOST_WORDS, words_in
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.understanding.slots import read_slots
from service.core.tasks.assistant.understanding.talk import asks_to_compare
from service.core.tasks.assistant.validation.seen import SeenTurn

_MOST_IN_PROSE = 2  # "choose a card, then confirm the order" is a sentence; three steps are a list
_STEPS = ("process_steps", "ordering_process")
_COMPARED = {"checking": "current"}  # as customers hear it


def form_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield what makes a reply hard to read; ``low``, because every word of it may be right."""
    if (size := words_in(reply.reply)) > MOST_WORDS:
        told = f"Say at most {MOST_WORDS} words and ask whether to go on:"
        yield Objection(kind="too_long", value=f"{size} words", told=told, severity="low")
    questions = [sentence for sentence in sentences(reply.reply) if sentence.endswith("?")]
    if len(questions) > 1:
        yield Objection(
            kind="several_questions", value=questions[1], told="Ask one question at a time:", severity="low"
        )
    if not seen.spoken and (line := _steps_in_prose(reply.reply, seen)):
        told = "Write steps as a numbered list, one line each:"
        yield Objection(kind="steps_in_prose", value=line, told=told, severity="low")
    if missing := _not_compared(reply, seen):
        told = "The customer asked for a comparison; say the same of each, side by side. Not spoken of:"
        yield Objection(kind="not_compared", value=missing, told=told, severity="low")


def _steps_in_prose(text: str, seen: SeenTurn) -> str:
    """Return the line that tells more steps than a sentence should; "" if there is none."""
    steps = [fold(item) for name in _STEPS for items in seen.lists(name) for item in items]
    for line in text.splitlines():
        folded = fold(line)
        if sum(step in folded for step in steps) > _MOST_IN_PROSE:
            return re.sub(r"\s+", " ", line)[:80]
    return ""


def _not_compared(reply: AssistantReply, seen: SeenTurn) -> str:
    """Return what the customer wants compared and the reply, which answers, does not name; "" if nothing."""
    if reply.action not in ("answer", "close") or not asks_to_compare(seen.message) or not seen.answers:
        return ""
    slots, said = read_slots(seen.message, "", bank_knowledge()), fold(reply.reply).split()
    for named in (slots.cards, slots.accounts):
        if len(named) > 1:
            return next((name for name in named if _COMPARED.get(name, name) not in said), "")
    return ""
