"""Makes the entry of a request's conversation into the queue of handovers."""

from typing import Any

from fastapi import Request
from pydantic import BaseModel

from service.api.answering import owner_of, runtime_of
from service.conversations.conversation import Conversation
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.task import Task
from service.desk.entering import HandoverEntry


def entry_of(
    task: Task[Any], inputs: BaseModel, request: Request, conversation: Conversation | None
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


def entry_again(task: DialogueTask[Any], request: Request, conversation: Conversation) -> HandoverEntry | None:
    """Return the entry of a conversation that was handed over already, as it was at that message; None if that is gone."""
    queue, at = runtime_of(request).conversing.handovers, None
    for number, each in enumerate(conversation.exchanges):
        if each.reply is not None and each.reply.action == "handover":
            at = number
    if queue is None or at is None:
        return None
    before = conversation.model_copy(update={"exchanges": conversation.exchanges[:at], "waiting": ()})
    inputs = task.input_model(
        conversation_id=conversation.id,
        message=conversation.exchanges[at].said,
        history=before.spoken,
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
