"""A conversation as it is kept between turns, and the changes that a message makes to it. Pure: no clock, no store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.core.run.dialogue.turn import DialogueReply, Spoken
from service.kit.frame.errors import FailureCode, ServiceError

ConversationChannel = Literal["chat", "voice"]
ConversationState = Literal["open", "handed_over", "closed"]
MOST_MESSAGES = 20  # of both sides: what the next turn is given
MOST_WAITING = 4
MOST_TURNS = 200
# What one item may hold: messages of 2,000 characters and replies of 4,000 stay below DynamoDB's 400 KB.
MOST_SAID = 2_000
_KEPT_EXCHANGES = MOST_MESSAGES // 2
_KEPT_FOR_A_PERSON = 30
# While a person answers, there is no telling how many messages there are on both sides; the oldest exchanges go.
_MOST_KEPT_CHARS = 90_000
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


class PersonAnswer(_Kept):
    """What the person who has taken over said to the customer."""

    message_id: str
    text: str
    at: datetime


class Exchange(_Kept):
    """What the customer said, and the reply: None if there was none, because a person had taken over or no model answered.

    ``answers`` is what a person said after it, until the customer's next message.
    """

    message_id: str
    said: str
    at: datetime
    reply: DialogueReply | None = None
    made_by: MadeBy | None = None
    answers: tuple[PersonAnswer, ...] = ()

    @property
    def chars(self) -> int:
        """How many characters both sides said."""
        reply = 0 if self.reply is None else len(self.reply.model_dump_json())
        return len(self.said) + reply + sum(len(each.text) for each in self.answers)


class WaitingMessage(_Kept):
    """A message that was taken in and is not answered yet; ``tries`` counts the processes that began to answer it."""

    message_id: str
    said: str
    at: datetime
    tries: int = 0


class Holder(_Kept):
    """Who answers the first waiting message now, and until when nobody else does."""

    token: str
    until: datetime


class Conversation(_Kept):
    """Everything that the next turn needs. ``session`` holds values that the channel has verified.

    ``person`` is the name, for the customer, of whoever has taken the conversation over; None as long as nobody has.
    """

    id: str
    task: str
    channel: ConversationChannel
    started_at: datetime
    greeting: str | None = None
    session: Mapping[str, str] = Field(default_factory=dict)
    state: ConversationState = "open"
    reason: str | None = None  # of the handover
    person: str | None = None
    exchanges: tuple[Exchange, ...] = ()
    waiting: tuple[WaitingMessage, ...] = ()
    older: tuple[str, ...] = ()  # ids of messages whose texts are gone
    holder: Holder | None = None

    def exchange(self, message_id: str) -> Exchange | None:
        """Return the exchange that a message began; None if it waits or is unknown."""
        return next((each for each in self.exchanges if each.message_id == message_id), None)

    def is_held(self, now: datetime) -> bool:
        """Return whether somebody answers the first waiting message at ``now``."""
        return self.holder is not None and now < self.holder.until

    @property
    def turns(self) -> int:
        """How many messages of the customer's were answered or kept; those that wait are not counted."""
        return len(self.older) + len(self.exchanges)

    @property
    def spoken(self) -> tuple[Spoken, ...]:
        """What both sides said last, oldest first, without what waits."""
        said = [] if self.greeting is None else [Spoken(by="assistant", text=self.greeting)]
        for each in self.exchanges:
            said.append(Spoken(by="customer", text=each.said))
            if each.reply is not None:
                said.append(Spoken(by="assistant", text=each.reply.reply))
        return tuple(said[-MOST_MESSAGES:])

    def received(self, message: WaitingMessage, holder: Holder) -> "Conversation":
        """Return the conversation with ``message``, held by ``holder`` if it is the only one that waits.

        A message that is known changes nothing, unless it has no answer yet: then it waits again.

        Raises:
            ConversationRefused: the id was used for other words, or the conversation takes no further message.
        """
        known = self.exchange(message.message_id)
        if known is not None and known.said != message.said:
            raise ConversationRefused("this message id was used for another message; give each message its own")
        if message.message_id in self.older:
            raise ConversationRefused("this message was answered earlier in the conversation, and its reply is gone")
        if known is not None and (known.reply is not None or self.state != "open"):
            return self
        if self.state == "closed":
            raise ConversationEnded("the conversation is closed; start a new one")
        if self.state == "handed_over":
            return self._with(Exchange(message_id=message.message_id, said=message.said, at=message.at))
        if len(self.exchanges) + len(self.older) >= MOST_TURNS:
            raise ConversationEnded(f"the conversation has {MOST_TURNS} turns; start a new one")
        changed = self
        if known is not None:  # it failed, and the customer sends it again
            changed = self._changed(exchanges=tuple(each for each in self.exchanges if each is not known))
        if any(each.message_id == message.message_id for each in changed.waiting):
            return changed
        if len(changed.waiting) >= MOST_WAITING:
            raise ConversationRefused(f"{MOST_WAITING} messages wait for their answers already; send this one later")
        alone = not changed.waiting and not changed.is_held(message.at)
        changed = changed._changed(waiting=(*changed.waiting, message))
        return changed.held(holder) if alone else changed

    def held(self, holder: Holder) -> "Conversation":
        """Return the conversation in which ``holder`` answers the first waiting message.

        A message that two processes began and did not end is put aside: it may be what ends them.
        """
        first, *others = self.waiting
        if first.tries >= _MOST_TRIES:
            return self.settled(first.message_id, None, None)
        tried = first.model_copy(update={"tries": first.tries + 1})
        return self._changed(waiting=(tried, *others), holder=holder)

    def settled(self, message_id: str, reply: DialogueReply | None, made_by: MadeBy | None) -> "Conversation":
        """Return the conversation after a waiting message got its reply (None: it got none); one that is gone changes nothing."""
        found = next((each for each in self.waiting if each.message_id == message_id), None)
        if found is None:
            return self
        rest = tuple(each for each in self.waiting if each is not found)
        changed = self._changed(waiting=rest, holder=None)
        changed = changed._with(
            Exchange(message_id=message_id, said=found.said, at=found.at, reply=reply, made_by=made_by)
        )
        if reply is not None and reply.action == "handover":
            assert reply.handover is not None
            changed = changed._handed_over(reply.handover.reason)
        elif reply is not None and reply.action == "close" and not rest:
            changed = changed._changed(state="closed")
        return changed

    def taken_over(self, person: str) -> "Conversation":
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

    def answered(self, answer: PersonAnswer) -> "Conversation":
        """Return the conversation after a person said something; the same ``message_id`` again changes nothing.

        Raises:
            ConversationRefused: it was not handed over, has ended, or the person has said too much in a row.
        """
        self._must_be_with_a_person()
        if not self.exchanges:
            raise ConversationRefused("the customer has said nothing yet")
        if any(known.message_id == answer.message_id for each in self.exchanges for known in each.answers):
            return self
        last = self.exchanges[-1]
        if len(last.answers) >= _MOST_IN_A_ROW:
            raise ConversationRefused(f"{_MOST_IN_A_ROW} messages in a row; wait until the customer answers")
        return self._with_answer(answer)

    def ended(self, told: PersonAnswer | None = None) -> "Conversation":
        """Return the conversation closed by a person, with ``told`` as the last words; a closed one is returned as it is.

        The last words tell what was arranged already, so that no limit on messages in a row holds them back.
        """
        if self.state == "closed":
            return self
        changed = self if told is None or not self.exchanges else self._with_answer(told)
        return changed._changed(state="closed", waiting=(), holder=None)

    def _with_answer(self, answer: PersonAnswer) -> "Conversation":
        last = self.exchanges[-1]
        changed = last.model_copy(update={"answers": (*last.answers, answer)})
        return self._changed(exchanges=self.exchanges[:-1])._with(changed)

    def _handed_over(self, reason: str | None) -> "Conversation":
        changed = self._changed(state="handed_over", reason=reason, waiting=(), holder=None)
        for each in self.waiting:  # they are for the person now
            changed = changed._with(Exchange(message_id=each.message_id, said=each.said, at=each.at))
        return changed

    def _must_be_with_a_person(self) -> None:
        if self.state == "closed":
            raise ConversationEnded("the conversation has ended")
        if self.state != "handed_over":
            raise ConversationRefused("the assistant still answers this conversation; it was not handed over")

    def _with(self, exchange: Exchange) -> "Conversation":
        handed_over = self.state == "handed_over"
        every = (*self.exchanges, exchange)
        kept = every[-(_KEPT_FOR_A_PERSON if handed_over else _KEPT_EXCHANGES) :]
        while handed_over and len(kept) > 1 and sum(each.chars for each in kept) > _MOST_KEPT_CHARS:
            kept = kept[1:]
        gone = tuple(each.message_id for each in every[: len(every) - len(kept)])
        return self._changed(exchanges=kept, older=(*self.older, *gone)[-MOST_TURNS:])

    def _changed(self, **fields: object) -> "Conversation":
        return self.model_copy(update=fields)
