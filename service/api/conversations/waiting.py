"""What a customer's page is told while they wait for a person: place and wait, who takes over, and what that person says."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio.to_thread
from fastapi import Request
from fastapi.sse import format_sse_event

from service.api.answering import owner_of, runtime_of
from service.api.conversations.models import ConversationAnswer, PlaceInQueue
from service.api.entry import entry_again
from service.conversations.model import KeptConversation
from service.conversations.service import ConversationMissing
from service.core.run.dialogue.task import DialogueTask
from service.desk.entering import handover_id_of
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log

FOLLOWED_EXAMPLE = (
    'event: conversation\ndata: {"conversation_id": "conv-0123456789abcdef01234567", "state": "handed_over", ...}\n\n'
    'event: queue\ndata: {"position": 1, "estimated_wait_minutes": 3, "message": "You\'re next in line."}\n\n'
)
_LOOK_S = 1.0
_LASTS_S = 300.0  # then the page asks again, with a token that was renewed
_QUIET_S = 15.0  # connections on which nothing is sent are cut by what lies between
_SEEN_AGAIN_AFTER = timedelta(seconds=10)


class WaitingCustomer:
    """One reader of a kept conversation, whose customer may be waiting for a person."""

    def __init__(self, task: DialogueTask[Any], key: str, request: Request) -> None:
        self._task = task
        self._key = key
        self._request = request
        self._runtime = runtime_of(request)

    async def find(self) -> ConversationAnswer:
        """Return the conversation, with the customer's place if they wait; that shows that they are still there.

        Raises:
            ConversationMissing: there is no such conversation.
        """
        conversation = await self._runtime.conversing.turns.find(self._key)
        return ConversationAnswer.of(conversation, await self._place(conversation))

    async def follow(self, found: ConversationAnswer) -> AsyncIterator[bytes]:
        """Yield events from ``found`` on: ``conversation`` whenever it changes, ``queue`` from time to time. Ends with it."""
        every_s = self._runtime.settings.stores.handover_update_s
        ends = time.monotonic() + _LASTS_S
        yield format_sse_event(data_str=found.model_dump_json(), event="conversation")
        told, sent = time.monotonic(), time.monotonic()
        while found.state != "closed" and time.monotonic() < ends and not self._runtime.leaving.is_set():
            await asyncio.sleep(_LOOK_S)
            try:
                conversation = await self._runtime.conversing.turns.find(self._key)
            except ConversationMissing:
                return
            except StoreError:  # it comes back, and so does the page
                continue
            now = ConversationAnswer.of(conversation, found.queue if _waits(conversation) else None)
            if now != found:
                now = ConversationAnswer.of(conversation, await self._place(conversation))
                yield format_sse_event(data_str=now.model_dump_json(), event="conversation")
                found, told, sent = now, time.monotonic(), time.monotonic()
            elif _waits(conversation) and time.monotonic() - told >= every_s:
                told = time.monotonic()
                place = await self._place(conversation)
                if place is not None:
                    found = found.model_copy(update={"queue": place})
                    sent = told
                    yield format_sse_event(data_str=place.model_dump_json(), event="queue")
            elif time.monotonic() - sent >= _QUIET_S:
                sent = time.monotonic()
                yield format_sse_event(comment="still here")

    async def _place(self, conversation: KeptConversation) -> PlaceInQueue | None:
        if not _waits(conversation) or self._runtime.conversing.handovers is None:
            return None
        try:
            return await anyio.to_thread.run_sync(self._placed, conversation)
        except StoreError as err:
            log(Event.HANDOVER_UNQUEUED, task=self._task.name, error=type(err).__name__)
            return None

    def _placed(self, conversation: KeptConversation) -> PlaceInQueue | None:
        queue = self._runtime.conversing.handovers
        assert queue is not None
        name = handover_id_of(self._task.name, owner_of(self._request), conversation.id)
        known = queue.see(name, again_after=_SEEN_AGAIN_AFTER)
        if known is None or known.ended == "abandoned":
            # The queue could not be reached when the conversation was handed over, or the customer had left and is back.
            again = entry_again(self._task, self._request, conversation)
            if again is None:
                return None
            again.enter(conversation.reason or "explicit_request", "")
        place = queue.place(name)
        if place is None:
            return None
        minutes = place.estimated_wait_minutes
        message = self._task.queue_message(position=place.position, minutes=minutes)
        return PlaceInQueue(position=place.position, estimated_wait_minutes=minutes, message=message)


def _waits(conversation: KeptConversation) -> bool:
    return conversation.state == "handed_over" and conversation.person is None
