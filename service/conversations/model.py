"""A conversation with its newest messages, and the changes that a message makes to it. Pure: no clock, no store."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from service.core.run.dialogue.turn import DialogueReply, Spoken
from service.core.unit.channel import Channel
from service.core.unit.conversation import Conversation
from service.core.unit.customer import Customer
from service.core.unit.message import NOT_PLACED, Message
from service.core.unit.tenant import Tenant
from service.kit.frame.errors import FailureCode, ServiceError

MOST_MESSAGES = 20  # of both sides: what the next turn is given
MOST_READ = 60  # of all sides: the newest messages, which are read with the conversation
MOST_WAITING = 4
MOST_TURNS = 200
MOST_SAID = 2_000
# Ids of messages beyond the newest, by which one that arrives again is known. With 80 characters each: 40 KB.
_MOST_PLACES = 400
_MOST_IN_A_ROW = 20
_MOST_TRIES = 2


class ConversationRefused(ServiceError):
    """The conversation does not take this message now; answered with 409."""

    status = 409
    code = FailureCode.INTERNAL_ERROR


class ConversationEnded(ConversationRefused):
    """The conversation takes no message any more, this one or another."""


def conversation_key(task: str, owner: str, conversation_id: str) -> str:
    """Return the key under which a conversation is kept; ``owner`` is the client or tenant whose it is."""
    return f"{task}/{owner}/{conversation_id}"


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MadeBy(_Kept):
    """Which pair made a reply, and in which request, so that feedback and audits find it. ``tools`` are those it called."""

    request_id: str
    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    model: str
    degraded: bool
    tools: tuple[str, ...] = ()


class KeptMessage(Message):
    """A message as it is stored. Of the assistant's replies: the whole ``reply``, and what made it."""

    reply: DialogueReply | None = None
    made_by: MadeBy | None = None


class MessageWaiting(_Kept):
    """A message that was taken in and is not answered yet; ``tries`` counts the processes that began to answer it.

    It has its place in the conversation once it is answered; one that got no answer and was sent again has it already.
    """

    message: KeptMessage
    tries: int = 0

    @property
    def id(self) -> str:
        """The message's id."""
        return self.message.id


class Holder(_Kept):
    """Who answers the first waiting message now, and until when nobody else does."""

    token: str
    until: datetime


class KeptConversation(Conversation):
    """Everything that the next turn needs: the conversation's own record, with the newest ``messages`` beside it.

    Attributes:
        task: the task that answers.
        session: values that the channel has verified.
        reason: why it was handed over.
        person: the name, for the customer, of whoever has taken it over; None as long as nobody has.
        last_seq: the place of its last message.
        heard: how many of the customer's messages have a place.
        places: places of the newest messages of the customer and of persons, by ``Message.key``.
        waiting: messages that are not answered yet, in the order of their arrival.
        holder: who answers the first of them.
        messages: the newest messages with a place, oldest first: all of them, or at least ``MOST_READ``.
    """

    task: str
    started_at: datetime
    session: Mapping[str, str] = Field(default_factory=dict)
    reason: str | None = None
    person: str | None = None
    last_seq: int = 0
    heard: int = 0
    places: Mapping[str, int] = Field(default_factory=dict)
    waiting: tuple[MessageWaiting, ...] = ()
    holder: Holder | None = None
    messages: tuple[KeptMessage, ...] = Field(default=(), exclude=True)

    @classmethod
    def begun(
        cls,
        *,
        id: str,
        task: str,
        channel: Channel,
        at: datetime,
        owner: str = "",
        greeting: str | None = None,
        session: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a conversation that begins at ``at``, with ``greeting`` as the assistant's first words."""
        tenant = Tenant.of_owner(owner)
        conversation = cls(
            id=id,
            tenant=None if tenant is None else tenant.id,
            customer=Customer.verified(session or {}),
            channels=(channel,),
            task=task,
            started_at=at,
            session=session or {},
        )
        if greeting is None:
            return conversation
        return conversation.placed(conversation.message("assistant", f"{id}-greeting", greeting, at))

    def message(self, author: Any, id: str, text: str, at: datetime, **more: Any) -> KeptMessage:
        """Return a message of this conversation, which has no place yet, on the channel where the customer is."""
        fields: dict[str, Any] = {"conversation": self.id, "channel": self.channel} | more
        return KeptMessage(id=id, author=author, text=text, at=at, **fields)

    def reply(self, asked: KeptMessage, reply: DialogueReply, made_by: MadeBy | None, at: datetime) -> KeptMessage:
        """Return the assistant's reply to a message of the customer's, which has no place yet, on that message's channel."""
        more = {"channel": asked.channel, "reply_to": asked.id, "reply": reply, "made_by": made_by}
        return self.message("assistant", f"re-{asked.id}", reply.reply, at, **more)

    def said(self, message_id: str) -> KeptMessage | None:
        """Return what the customer said under an id, if it is among the newest messages; a message may wait again."""
        return self._found(f"customer/{message_id}")

    def reply_to(self, message_id: str) -> KeptMessage | None:
        """Return the assistant's reply to a message of the customer's; None if there is none among the newest messages."""
        replies = (each for each in self.messages if each.author == "assistant" and each.reply_to == message_id)
        return next(replies, None)

    def is_waiting(self, message_id: str) -> bool:
        """Return whether a message of the customer's waits for its answer."""
        return any(each.id == message_id for each in self.waiting)

    def is_held(self, now: datetime) -> bool:
        """Return whether somebody answers the first waiting message at ``now``."""
        return self.holder is not None and now < self.holder.until

    def forgotten(self, message_id: str) -> int | None:
        """Return the place of a message of the customer's that is not among the newest; None if it is, or is unknown."""
        return None if self.said(message_id) is not None else self.places.get(f"customer/{message_id}")

    @property
    def turns(self) -> int:
        """How many messages of the customer's were answered or kept; those that wait are not counted."""
        return self.heard - sum(each.message.seq != NOT_PLACED for each in self.waiting)

    @property
    def shown(self) -> tuple[KeptMessage, ...]:
        """The newest messages that do not wait, each reply right after the message that it answers."""
        answered = {each.reply_to for each in self.messages if each.author == "assistant"}
        asked = {each.id: each for each in self.messages if each.author == "customer"}
        found: list[KeptMessage] = []
        for each in self.messages:
            if each.author == "customer" and (each.id in answered or self.is_waiting(each.id)):
                continue
            if each.author == "assistant" and each.reply_to in asked:
                found.append(asked[each.reply_to])
            found.append(each)
        return tuple(found)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The ids of the customer's newest messages that do not wait and have no reply of the assistant's."""
        answered = {each.reply_to for each in self.messages if each.author == "assistant"}
        return tuple(each.id for each in self.shown if each.author == "customer" and each.id not in answered)

    @property
    def spoken(self) -> tuple[Spoken, ...]:
        """What customer and assistant said last, oldest first, without what waits: what the next turn is given."""
        said = (each for each in self.shown if each.author != "person")
        return tuple(
            Spoken(by="customer" if each.author == "customer" else "assistant", text=each.text) for each in said
        )[-MOST_MESSAGES:]

    def received(self, message: KeptMessage, holder: Holder) -> Self:
        """Return the conversation with a message of the customer's, held by ``holder`` if it is the only one that waits.

        A message that is known changes nothing, unless it has no answer yet: then it waits again. One that is known and not
        among the newest was answered long ago, and changes nothing either.

        Raises:
            ConversationRefused: the id was used for other words, or the conversation takes no further message.
        """
        known = self.said(message.id)
        if known is not None and known.text != message.text:
            raise ConversationRefused("this message id was used for another message; give each message its own")
        if self.forgotten(message.id) is not None:
            return self
        if known is not None and (self.reply_to(message.id) is not None or self.state != "open"):
            return self
        if self.state == "closed":
            raise ConversationEnded("the conversation is closed; start a new one")
        if self.state == "handed_over":
            return self.placed(message)
        if self.turns >= MOST_TURNS:
            raise ConversationEnded(f"the conversation has {MOST_TURNS} turns; start a new one")
        if self.is_waiting(message.id):
            return self
        if len(self.waiting) >= MOST_WAITING:
            raise ConversationRefused(f"{MOST_WAITING} messages wait for their answers already; send this one later")
        alone = not self.waiting and not self.is_held(message.at)
        # One that got no answer keeps its place when the customer sends it again.
        changed = self._on(message.channel)._changed(waiting=(*self.waiting, MessageWaiting(message=known or message)))
        return changed.held(holder) if alone else changed

    def held(self, holder: Holder) -> Self:
        """Return the conversation in which ``holder`` answers the first waiting message.

        A message that two processes began and did not end is put aside: it may be what ends them.
        """
        first, *others = self.waiting
        if first.tries >= _MOST_TRIES:
            return self.settled(first.id, None, None)
        tried = first.model_copy(update={"tries": first.tries + 1})
        return self._changed(waiting=(tried, *others), holder=holder)

    def settled(
        self, message_id: str, reply: DialogueReply | None, made_by: MadeBy | None, at: datetime | None = None
    ) -> Self:
        """Return the conversation after a waiting message got its reply (None: it got none); one that is gone changes nothing.

        ``at`` is when the reply was made; None: when its message arrived.
        """
        found = next((each for each in self.waiting if each.id == message_id), None)
        if found is None:
            return self
        rest = tuple(each for each in self.waiting if each is not found)
        changed = self._changed(waiting=rest, holder=None).placed(found.message)
        if reply is None:
            return changed
        changed = changed.placed(self.reply(found.message, reply, made_by, at or found.message.at))
        if reply.action == "handover":
            assert reply.handover is not None
            return changed._handed_over(reply.handover.reason)
        return changed._changed(state="closed") if reply.action == "close" and not rest else changed

    def taken_over(self, person: str) -> Self:
        """Return the conversation that a person named ``person`` has taken over; the assistant says nothing more.

        A turn may have asked for a person and failed before its reply handed over.

        Raises:
            ConversationEnded: it has ended.
        """
        if self.state == "closed":
            raise ConversationEnded("the conversation has ended")
        if self.state == "handed_over":
            return self if self.person == person else self._changed(person=person)
        return self._changed(person=person)._handed_over(self.reason)

    def answered(self, answer: KeptMessage) -> Self:
        """Return the conversation after a person said something, also before the customer did; the same id again changes nothing.

        Raises:
            ConversationRefused: it was not handed over, has ended, or the person has said too much in a row.
        """
        if self.state == "closed":
            raise ConversationEnded("the conversation has ended")
        if self.state != "handed_over":
            raise ConversationRefused("the assistant still answers this conversation; it was not handed over")
        if self._found(answer.key) is not None or answer.key in self.places:
            return self
        last = self.messages[-_MOST_IN_A_ROW:]
        if len(last) == _MOST_IN_A_ROW and all(each.author == "person" for each in last):
            raise ConversationRefused(f"{_MOST_IN_A_ROW} messages in a row; wait until the customer answers")
        return self.placed(answer)

    def ended(self, told: KeptMessage | None = None) -> Self:
        """Return the conversation closed by a person, with ``told`` as the last words; a closed one is returned as it is.

        The last words tell what was arranged already, so that no limit on messages in a row holds them back.
        """
        if self.state == "closed":
            return self
        changed = self._all_in_place()
        changed = changed if told is None else changed.placed(told)
        return changed._changed(state="closed", holder=None)

    def with_newest(self, messages: Iterable[KeptMessage]) -> Self:
        """Return the conversation with the newest messages beside it, oldest first."""
        return self._changed(messages=tuple(messages))

    def _found(self, key: str) -> KeptMessage | None:
        return next((each for each in self.messages if each.key == key), None)

    def _handed_over(self, reason: str | None) -> Self:
        # What waits is for the person now.
        return self._all_in_place()._changed(state="handed_over", reason=reason, holder=None)

    def _all_in_place(self) -> Self:
        changed = self._changed(waiting=())
        for each in self.waiting:
            changed = changed.placed(each.message)
        return changed

    def placed(self, message: KeptMessage) -> Self:
        """Return the conversation with a message at its end; one that has its place changes nothing."""
        if message.seq != NOT_PLACED:
            return self
        seq = self.last_seq + 1
        changed: dict[str, object] = {
            "last_seq": seq,
            "messages": (*self.messages, message.model_copy(update={"seq": seq})),
        }
        if message.author != "assistant":
            changed["places"] = dict([*self.places.items(), (message.key, seq)][-_MOST_PLACES:])
        if message.author == "customer":
            changed["heard"] = self.heard + 1
        return self._on(message.channel)._changed(**changed)

    def _on(self, channel: Channel) -> Self:
        return self if channel in self.channels else self._changed(channels=(*self.channels, channel))

    def _changed(self, **fields: object) -> Self:
        return self.model_copy(update=fields)
