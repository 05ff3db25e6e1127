"""Takes the turns of conversations: one at a time in each, in the order of arrival, each answered once, by any process."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from service.conversations.model import ConversationRefused, Holder, KeptConversation, KeptMessage, MadeBy
from service.conversations.store import ConversationChanged, ConversationFound, ConversationStore, TimelinePage
from service.core.run.dialogue.turn import DialogueReply
from service.core.unit.channel import Channel
from service.kit.frame.errors import DeadlineExceeded, ServiceError, StoreError

# Gives the reply to the first waiting message of a conversation.
Answering = Callable[[KeptConversation, KeptMessage], Awaitable[tuple[DialogueReply, MadeBy]]]
_ATTEMPTS = 12
_LOOK_AGAIN_S = 0.05
_NEAR = 20  # messages among which the reply to the first of them stands, if it was not sent again later
# How long a message is left to the request that brought it before another request of the conversation answers it.
_LEFT_ALONE_S = 0.5


class ConversationMissing(ServiceError):
    """There is no such conversation, or it has expired; answered with 404."""

    status = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenTurn:
    """What came of a message. ``reply`` is None if there is none; ``repeated``: it was answered before this request."""

    message: KeptMessage
    reply: KeptMessage | None
    conversation: KeptConversation
    repeated: bool


@dataclass(slots=True, kw_only=True)
class Turns:
    """Takes turns over one store. ``now`` is aware UTC, ``ids`` returns a text that nobody else has."""

    store: ConversationStore
    now: Callable[[], datetime]
    ids: Callable[[], str]
    _running: set["asyncio.Task[KeptConversation]"] = field(default_factory=set)

    async def start(self, key: str, conversation: KeptConversation) -> KeptConversation:
        """Keep a new conversation and return it; one that is kept under ``key`` already is returned as it is."""
        known = await self.store.get(key) if self.store.has_former else None
        if known is not None:
            return known.conversation
        try:
            await self.store.put(key, conversation, over=None)
        except ConversationChanged:
            return await self.find(key)
        return conversation

    async def find(self, key: str) -> KeptConversation:
        """Return a conversation with its newest messages."""
        return (await self._found(key)).conversation

    async def timeline(self, key: str, *, after: int = 0, most: int = 50) -> TimelinePage:
        """Return one page of everything that was said in a conversation, from behind the place ``after`` on."""
        return await self.store.timeline(key, await self._found(key), after=after, most=most)

    async def take(
        self,
        key: str,
        message_id: str,
        said: str,
        answering: Answering,
        *,
        hold_s: float,
        patience_s: float,
        channel: Channel | None = None,
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
            channel: on which it arrived; None: where the customer was last.

        Raises:
            DeadlineExceeded: the messages before this one were not answered in time; this one still waits for its answer.
            ServiceError: what ``answering`` raised; the message may be sent again under its id.
        """
        at, holder, more = self.now(), self._holder(hold_s), {} if channel is None else {"channel": channel}
        conversation = await self.change(
            key, lambda found: found.received(found.message("customer", message_id, said, at, **more), holder)
        )
        if (place := conversation.forgotten(message_id)) is not None:
            return await self._repeated(key, conversation, said, place)
        before, until = conversation.reply_to(message_id), time.monotonic() + patience_s
        while conversation.is_waiting(message_id):
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
        message, reply = conversation.said(message_id), conversation.reply_to(message_id)
        if message is None:  # many others were placed behind it meanwhile
            place = conversation.forgotten(message_id)
            return await self._repeated(key, conversation, said, 0 if place is None else place)
        return TakenTurn(message=message, reply=reply, conversation=conversation, repeated=before is not None)

    async def change(self, key: str, decide: Callable[[KeptConversation], KeptConversation]) -> KeptConversation:
        """Return the conversation after ``decide``, which is called again if somebody else was faster."""
        for attempt in range(1, _ATTEMPTS + 1):
            found = await self._found(key)
            changed = decide(found.conversation)
            if changed is found.conversation:
                return changed
            try:
                await self.store.put(key, changed, over=found)
            except ConversationChanged:
                await asyncio.sleep(random.uniform(0, 0.02 * attempt))
                continue
            return changed
        raise StoreError("the conversation is changed all the time; send the message again")

    async def aclose(self) -> None:
        """Wait for the answers that are being made for callers who have gone."""
        if self._running:
            await asyncio.wait(self._running)

    async def _found(self, key: str) -> ConversationFound:
        found = await self.store.get(key)
        if found is None:
            raise ConversationMissing(
                "there is no such conversation of this client, or it has expired; start a new one"
            )
        return found

    async def _repeated(self, key: str, conversation: KeptConversation, said: str, place: int) -> TakenTurn:
        """Return what came of a message long ago, which stands at ``place``, or did before its text was dropped."""
        messages: tuple[KeptMessage, ...] = ()
        if place:
            messages = (await self.timeline(key, after=place - 1, most=_NEAR)).messages
        if not messages:
            raise ConversationRefused("this message was answered earlier in the conversation, and its reply is gone")
        if messages[0].text != said:
            raise ConversationRefused("this message id was used for another message; give each message its own")
        replies = (each for each in messages if each.author == "assistant" and each.reply_to == messages[0].id)
        reply = next(replies, None)
        if reply is None and conversation.state == "open":  # it was never answered, or much later
            raise ConversationRefused("this message stands far back in the conversation, and its reply is gone")
        return TakenTurn(message=messages[0], reply=reply, conversation=conversation, repeated=True)

    async def _answered(
        self, key: str, conversation: KeptConversation, answering: Answering, *, wanted: str
    ) -> KeptConversation:
        first = conversation.waiting[0].message

        async def answer() -> KeptConversation:
            reply: DialogueReply | None = None
            made_by: MadeBy | None = None
            try:
                reply, made_by = await answering(conversation, first)
            finally:
                settled = await self.change(key, lambda found: found.settled(first.id, reply, made_by, self.now()))
            return settled

        running = asyncio.create_task(answer())
        self._running.add(running)
        running.add_done_callback(self._ended)
        try:
            # A customer who closes the page must find the reply when it opens again.
            return await asyncio.shield(running)
        except Exception:
            if first.id == wanted:
                raise
            return await self.find(key)  # the other message's own request reports it

    def _ended(self, running: "asyncio.Task[KeptConversation]") -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # the caller has it, or has gone

    def _holder(self, hold_s: float) -> Holder:
        return Holder(token=self.ids(), until=self.now() + timedelta(seconds=hold_s))

    @staticmethod
    def _is_ours(conversation: KeptConversation, holder: Holder) -> bool:
        return (
            conversation.holder is not None and conversation.holder.token == holder.token and bool(conversation.waiting)
        )

    def _may_take(self, conversation: KeptConversation, message_id: str) -> bool:
        if not conversation.waiting or conversation.is_held(self.now()):
            return False
        first = conversation.waiting[0].message
        left_alone = self.now() - first.at < timedelta(seconds=_LEFT_ALONE_S)
        return first.id == message_id or not left_alone

    def _taken(self, holder: Holder, found: KeptConversation) -> KeptConversation:
        if not found.waiting or found.is_held(self.now()):
            return found
        return found.held(holder)
