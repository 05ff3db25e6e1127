"""Makes the entry of a request's conversation into the queue of handovers."""

from typing import Any

from fastapi import Request
from pydantic import BaseModel

from service.api.answering import owner_of, runtime_of
from service.conversations.model import KeptConversation
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.task import Task
from service.desk.entering import HandoverEntry


def entry_of(
    task: Task[Any], inputs: BaseModel, request: Request, conversation: KeptConversation | None
) -> HandoverEntry | None:
    """Return the entry for a turn; None where there is no queue, or the task answers in no conversations.

    ``conversation`` is the kept one; None if the caller keeps its conversations itself.
    """
    queue = runtime_of(request).conversing.handovers
    if queue is None or not isinstance(task, DialogueTask) or not isinstance(inputs, DialogueInputs):
        return None
    if conversation is None:
        channel, turns = "other", len(inputs.said)
    else:
        channel, turns = conversation.channel, conversation.turns + len(conversation.waiting[:1])
    return HandoverEntry(queue=queue, task=task, inputs=inputs, owner=owner_of(request), channel=channel, turns=turns)


def entry_again(task: DialogueTask[Any], request: Request, conversation: KeptConversation) -> HandoverEntry | None:
    """Return the entry of a conversation that was handed over already, as it was at that message; None if that is gone."""
    queue, said = runtime_of(request).conversing.handovers, conversation.shown
    handed = [at for at, each in enumerate(said) if each.reply is not None and each.reply.action == "handover"]
    if queue is None or not handed:
        return None
    answered = said[handed[-1]].reply_to
    asked = next((at for at, each in enumerate(said) if each.id == answered), None)
    if asked is None:
        return None
    inputs = task.input_model(
        conversation_id=conversation.id,
        message=said[asked].text,
        history=conversation.with_newest(said[:asked]).spoken,
        session=dict(conversation.session),
    )
    assert isinstance(inputs, DialogueInputs)
    return HandoverEntry(
        queue=queue,
        task=task,
        inputs=inputs,
        owner=owner_of(request),
        channel=conversation.channel,
        turns=conversation.turns,
    )
