"""Takes the turns of conversations: one at a time in each, in the order of arrival, each answered once, by any process."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from service.conversations.conversation import Conversation, Exchange, Holder, MadeBy, WaitingMessage
from service.conversations.store import ConversationChanged, ConversationStore
from service.core.run.dialogue.turn import DialogueReply
from service.kit.frame.errors import DeadlineExceeded, ServiceError, StoreError

# Gives the reply to the first waiting message of a conversation.
Answering = Callable[[Conversation, WaitingMessage], Awaitable[tuple[DialogueReply, MadeBy]]]
_ATTEMPTS = 12
_LOOK_AGAIN_S = 0.05
# How long a message is left to the request that brought it before another request of the conversation answers it.
_LEFT_ALONE_S = 0.5


class ConversationMissing(ServiceError):
    """There is no such conversation, or it has expired; answered with 404."""

    status = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenTurn:
    """What came of a message. ``repeated``: it was answered before this request."""

    exchange: Exchange
    conversation: Conversation
    repeated: bool


@dataclass(slots=True, kw_only=True)
class Turns:
    """Takes turns over one store. ``now`` is aware UTC, ``ids`` returns a text that nobody else has."""

    store: ConversationStore
    now: Callable[[], datetime]
    ids: Callable[[], str]
    _running: set["asyncio.Task[Conversation]"] = field(default_factory=set)

    async def start(self, key: str, conversation: Conversation) -> Conversation:
        """Keep a new conversation and return it; one that is kept under ``key`` already is returned as it is."""
        try:
            await self.store.put(key, conversation, expected=0)
        except ConversationChanged:
            return await self.find(key)
        return conversation

    async def find(self, key: str) -> Conversation:
        """Return a conversation.

        Raises:
            ConversationMissing: there is none.
        """
        found = await self.store.get(key)
        if found is None:
            raise ConversationMissing(
                "there is no such conversation of this client, or it has expired; start a new one"
            )
        return found.conversation

    async def take(
        self, key: str, message_id: str, said: str, answering: Answering, *, hold_s: float, patience_s: float
    ) -> TakenTurn:
        """Return what came of a message once it is answered; ``answering`` is called unless it was answered before.

        The answer is made and kept also if the caller is cancelled meanwhile.

        Args:
            key: the conversation's.
            message_id: names the message: sent again under the same id, it is answered with the same reply.
            said: the customer's words.
            answering: gives the reply.
            hold_s: how long an answer may take; after it another process takes the turn over.
            patience_s: how long to wait for the messages before this one.

        Raises:
            ConversationMissing: there is no such conversation.
            ConversationRefused: it does not take this message.
            DeadlineExceeded: the messages before this one were not answered in time; this one still waits for its answer.
            ServiceError: what ``answering`` raised; the message may be sent again under its id.
        """
        message = WaitingMessage(message_id=message_id, said=said, at=self.now())
        holder = self._holder(hold_s)
        conversation = await self.change(key, lambda found: found.received(message, holder))
        before, until = conversation.exchange(message_id), time.monotonic() + patience_s
        while (exchange := conversation.exchange(message_id)) is None:
            if self._is_ours(conversation, holder):
                conversation = await self._answered(key, conversation, answering, wanted=message_id)
            elif time.monotonic() >= until:
                raise DeadlineExceeded("the messages before this one are not answered yet; it waits for its answer")
            elif self._may_take(conversation, message_id):
                holder = self._holder(hold_s)
                conversation = await self.change(key, partial(self._taken, holder))
            else:
                await asyncio.sleep(_LOOK_AGAIN_S * random.uniform(0.8, 1.2))
                conversation = await self.find(key)
        repeated = before is not None and before.reply is not None
        return TakenTurn(exchange=exchange, conversation=conversation, repeated=repeated)

    async def change(self, key: str, decide: Callable[[Conversation], Conversation]) -> Conversation:
        """Return the conversation after ``decide``, which is called again if somebody else was faster.

        Raises:
            ConversationMissing: there is no such conversation.
            ConversationRefused: of ``decide``.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            found = await self.store.get(key)
            if found is None:
                raise ConversationMissing(
                    "there is no such conversation of this client, or it has expired; start a new one"
                )
            changed = decide(found.conversation)
            if changed is found.conversation:
                return changed
            try:
                await self.store.put(key, changed, expected=found.version)
            except ConversationChanged:
                await asyncio.sleep(random.uniform(0, 0.02 * attempt))
                continue
            return changed
        raise StoreError("the conversation is changed all the time; send the message again")

    async def aclose(self) -> None:
        """Wait for the answers that are being made for callers who have gone."""
        if self._running:
            await asyncio.wait(self._running)

    async def _answered(
        self, key: str, conversation: Conversation, answering: Answering, *, wanted: str
    ) -> Conversation:
        first = conversation.waiting[0]

        async def answer() -> Conversation:
            reply: DialogueReply | None = None
            made_by: MadeBy | None = None
            try:
                reply, made_by = await answering(conversation, first)
            finally:
                settled = await self.change(key, lambda found: found.settled(first.message_id, reply, made_by))
            return settled

        running = asyncio.create_task(answer())
        self._running.add(running)
        running.add_done_callback(self._ended)
        try:
            # A customer who closes the page must find the reply when it opens again.
            return await asyncio.shield(running)
        except Exception:
            if first.message_id == wanted:
                raise
            return await self.find(key)  # the other message's own request reports it

    def _ended(self, running: "asyncio.Task[Conversation]") -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # the caller has it, or has gone

    def _holder(self, hold_s: float) -> Holder:
        return Holder(token=self.ids(), until=self.now() + timedelta(seconds=hold_s))

    @staticmethod
    def _is_ours(conversation: Conversation, holder: Holder) -> bool:
        return (
            conversation.holder is not None and conversation.holder.token == holder.token and bool(conversation.waiting)
        )

    def _may_take(self, conversation: Conversation, message_id: str) -> bool:
        if not conversation.waiting or conversation.is_held(self.now()):
            return False
        first = conversation.waiting[0]
        left_alone = self.now() - first.at < timedelta(seconds=_LEFT_ALONE_S)
        return first.message_id == message_id or not left_alone

    def _taken(self, holder: Holder, found: Conversation) -> Conversation:
        if not found.waiting or found.is_held(self.now()):
            return found
        return found.held(holder)
