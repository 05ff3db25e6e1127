"""The assistant's guard: looks a model's reply up in what the turn's tools returned before a customer reads it."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.guard import Objection
from service.core.statements.answers.prose import words_of
from service.core.statements.grounding.text import sentences
from service.core.tasks.assistant.first_help import first_help
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.closed import closed_findings
from service.core.tasks.assistant.validation.facts import fact_findings
from service.core.tasks.assistant.validation.form import form_findings
from service.core.tasks.assistant.validation.promises import promise_findings
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.core.tasks.assistant.validation.vocabulary import vocabulary_findings
from service.core.tools.use import TracedStep

_LEAST_REPEATED = 4  # words


def reply_findings(reply: AssistantReply, seen: SeenTurn) -> tuple[Objection, ...]:
    """Return what is wrong with a reply, each finding once; what is released for customers in trouble is read by people."""
    whole, reply = reply, reply.model_copy(update={"reply": first_help().without(reply.reply)})
    return tuple(
        dict.fromkeys(
            (
                *fact_findings(reply, seen),
                *promise_findings(reply, seen),
                *closed_findings(reply, seen),
                *vocabulary_findings(reply, seen),
                *form_findings(whole, seen),
                *_said_twice(reply.reply),
            )
        )
    )


def _said_twice(text: str) -> Iterator[Objection]:
    """Yield each sentence that the reply holds twice; "Thank you. Thank you." is no sentence."""
    said = set[str]()
    for sentence in sentences(text):
        words = words_of(sentence)
        if words in said and len(words.split()) >= _LEAST_REPEATED:
            yield Objection(kind="said_twice", value=sentence, told="Say each thing once; leave out the second:")
        said.add(words)


@dataclass(frozen=True, slots=True)
class AssistantGuard:
    """See ``service.core.run.guard.Guard``. ``steps`` are the run's; they grow until the reply is checked."""

    inputs: DialogueInputs
    steps: Sequence[TracedStep]
    heavy: bool = False

    def prepare(self) -> None:
        """Do nothing: what the tools will return is not known yet."""

    def prepare_soon(self) -> asyncio.Handle:
        """See ``Guard.prepare_soon``."""
        return asyncio.get_running_loop().call_soon(self.prepare)

    def __call__(self, text: str) -> tuple[Objection, ...]:
        """See ``Guard.__call__``."""
        return reply_findings(AssistantReply.model_validate_json(text), SeenTurn.of(self.inputs, self.steps))
