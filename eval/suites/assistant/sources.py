"""What accounts for the replies and handover notes of a conversation: see ``validation.approved``, turn by turn."""

import json
from collections.abc import Mapping
from typing import Any

from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import ConversationScenario
from eval.spine.accounts import FreeText
from eval.spine.scorer import ScorerContext
from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.statements.accounting.source import AccountSource, SourceStatement
from service.core.tasks.assistant.story import handover_facts
from service.core.tasks.assistant.validation.approved import approved

_MOST_REMEMBERED = 40


def free_texts_of(context: ScorerContext) -> tuple[FreeText, ...]:
    """Return every reply and handover note, each with what was said and returned until then."""
    scenario = ConversationScenario.model_validate(context.case.inputs)
    answers, history, found = list[tuple[str, Mapping[str, Any]]](), list[Spoken](), list[FreeText]()
    for number, turn in enumerate(context.parsed(ConversationRecord).turns, 1):
        for use in turn.uses:
            answer = json.loads(use.content) if use.status == "done" else None
            if isinstance(answer, dict):
                answers.append((use.tool, answer))
        if turn.reply is None:
            continue
        said = (*(one.text for one in history if one.by == "customer"), turn.message)
        source = AccountSource(tuple(approved(answers, (*said, *scenario.session.values()))))
        found.append(FreeText(text=turn.reply.reply, source=source, place=f"turn {number}"))
        if turn.reply.handover is not None:
            inputs = DialogueInputs(
                conversation_id="conversation",
                message=turn.message,
                history=tuple(history[-_MOST_REMEMBERED:]),
                session=scenario.session,
            )
            known = (*source.statements, *_note_labels(inputs, turn.reply.handover.reason))
            note = FreeText(text=turn.reply.handover.context, source=AccountSource(known), place=f"note {number}")
            found.append(note)
        history += [Spoken(by="customer", text=turn.message), Spoken(by="assistant", text=turn.reply.reply)]
    return tuple(found)


def _note_labels(inputs: DialogueInputs, reason: str) -> tuple[SourceStatement, ...]:
    """Return what code reads out of the conversation for whoever takes it over, in the words of the rules' notes."""
    facts = handover_facts(inputs)
    known = "; ".join(f"{name}: {value}" for name, value in facts.collected.items())
    lines = (
        f"Messages of the customer: {len(inputs.said)}.",
        f"Topics: {', '.join(facts.topics) or 'none'}.",
        f"Known: {known or 'nothing yet'}.",
        *(f"{name}: {value}" for name, value in facts.collected.items()),
        *(f"Known: {name}: {value}" for name, value in facts.collected.items()),
        f"Reason: {reason}.",
    )
    return tuple(SourceStatement(text=line, how="label") for line in lines)
