"""Reads conversations that were written as one item each, with exchanges of a message and its reply."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from service.conversations.model import Holder, KeptConversation, MadeBy, MessageWaiting
from service.core.run.dialogue.turn import DialogueReply
from service.core.unit.channel import Channel

_GONE = 0  # the place of a message whose text was dropped


def from_former(key: str, text: str) -> KeptConversation:
    """Return the conversation that an item of the former table holds, with all of its messages."""
    former = json.loads(text)
    task, name = former["task"], former["id"]
    conversation = KeptConversation.begun(
        id=name,
        task=task,
        owner=key.removeprefix(f"{task}/").removesuffix(f"/{name}"),
        channel=Channel(former["channel"]),
        at=datetime.fromisoformat(former["started_at"]),
        greeting=former.get("greeting"),
        session=former.get("session", {}),
    )
    older = former.get("older", ())
    conversation = conversation.model_copy(
        update={"places": {f"customer/{each}": _GONE for each in older}, "heard": len(older)}
    )
    for said in _said(conversation, former.get("exchanges", ())):
        conversation = conversation.placed(said)
    waiting = (
        MessageWaiting(message=_heard(conversation, each), tries=each.get("tries", 0))
        for each in former.get("waiting", ())
    )
    holder = former.get("holder")
    return conversation.model_copy(
        update={
            "state": former.get("state", "open"),
            "reason": former.get("reason"),
            "person": former.get("person"),
            "waiting": tuple(waiting),
            "holder": None if holder is None else Holder.model_validate(holder),
        }
    )


def _said(conversation: KeptConversation, exchanges: Any) -> Iterator[Any]:
    for each in exchanges:
        heard = _heard(conversation, each)
        yield heard
        if each.get("reply") is not None:
            made_by = each.get("made_by")
            yield conversation.reply(
                heard,
                DialogueReply.model_validate(each["reply"]),
                None if made_by is None else MadeBy.model_validate(made_by),
                heard.at,
            )
        for answer in each.get("answers", ()):
            at = datetime.fromisoformat(answer["at"])
            yield conversation.message("person", answer["message_id"], answer["text"], at)


def _heard(conversation: KeptConversation, said: Any) -> Any:
    return conversation.message("customer", said["message_id"], said["said"], datetime.fromisoformat(said["at"]))
