"""The scripted customer: a state machine that answers what it is asked, seeded by case and repeat."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eval.dialogue.questions import asked_in_words, further_facts, only_offers_more
from eval.dialogue.record import Ending
from eval.dialogue.scenario import CONFIRMATION, CustomerScript, KnownFact
from service.core.run.dialogue.turn import DialogueReply
from service.core.statements.grounding.text import fold

_YES = ("Yes, please.", "Yes, that's right.", "That is correct, go ahead.")
_NO = ("No, please don't.", "No, leave it as it is.", "No.")
_UNKNOWN = ("I don't know that.", "I'm afraid I don't have that.", "No idea, sorry.")
_WHAT = ("Sorry, I don't understand. What do you need from me?", "I'm not sure what you mean. What should I tell you?")
_SPELT_CONFIRMATION = ("confirm", "confirmed")  # as models spell it, too
_ANSWER_OWED = "the customer was asked something that nobody could make out"


@dataclass(frozen=True, slots=True)
class Over:
    """The end of a conversation."""

    ending: Ending


class Counterpart(Protocol):
    """Whoever talks to the task in one conversation.

    ``unscored`` says why the conversation proves nothing about the pair; "" as long as it does. ``confirms`` is whether the last
    message said yes to what they were asked to confirm, ``reopens`` whether it took a fact back or made another request.
    """

    unscored: str
    confirms: bool
    reopens: bool

    async def next(self, reply: DialogueReply | None) -> str | Over:
        """Return the next message after ``reply``, the first one for None, or the end of the conversation."""
        ...


@dataclass(slots=True)
class ScriptedCustomer:
    """See ``Counterpart``. Equal scripts, cases and repeats say the same to the same replies."""

    script: CustomerScript
    case_id: str
    repeat: int
    unscored: str = ""
    confirms: bool = False
    reopens: bool = False
    _knows: dict[str, KnownFact] = field(init=False)
    _random: random.Random = field(init=False)
    _sent: int = field(init=False, default=0)
    _just_told: set[str] = field(init=False, default_factory=set)
    _left: set[str] = field(init=False)
    _asked_back: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._knows = dict(self.script.knows)
        self._random = random.Random(f"{self.case_id}/{self.repeat}")
        planned = {"then": self.script.then, "corrects": self.script.corrects, "interrupts": self.script.interrupts}
        self._left = {name for name, what in planned.items() if what}

    async def next(self, reply: DialogueReply | None) -> str | Over:
        """See ``Counterpart.next``."""
        return self.opening() if reply is None else self.hears(reply)

    def opening(self) -> str:
        """Return the first message."""
        told = [self._told(name) for name in self.script.volunteers]
        return self._send(" ".join([self._drawn(self.script.opens), *told]))

    def hears(self, reply: DialogueReply) -> str | Over:
        """Return the next message, or the end of the conversation."""
        self.confirms = self.reopens = False
        if reply.action == "handover":
            return Over("handover")
        own = self._own_words()
        done = reply.action in ("answer", "close") or self._offers_more(reply)
        if done and own is None and "then" not in self._left:
            return Over("closed" if reply.action == "close" else "answered")
        if self._sent >= self.script.patience:
            return Over("patience")
        if own is not None:
            return self._send(own)
        if done:
            self._left.discard("then")
            self.reopens = True
            return self._send(self._drawn(self.script.then))
        asked = self._asked(reply)
        if asked:
            return self._send(" ".join(map(self._answer, asked)))
        if self._asked_back:
            self.unscored = _ANSWER_OWED
            return Over("not understood")
        self._asked_back = True
        return self._send(self._drawn(_WHAT))

    def _own_words(self) -> str | None:
        """Return what the customer says whatever was replied: an interruption, or a correction of what they just said."""
        told, self._just_told = self._just_told, set()
        interrupts, corrects = self.script.interrupts, self.script.corrects
        if interrupts is not None and "interrupts" in self._left and self._sent + 1 == interrupts.at:
            self._left.discard("interrupts")
            self._just_told = told
            return self._drawn(interrupts.says)
        if corrects is not None and "corrects" in self._left and corrects.fact in told:
            self._left.discard("corrects")
            self._knows[corrects.fact] = corrects.then
            self.reopens = True
            return self._drawn(corrects.says)
        return None

    def _offers_more(self, reply: DialogueReply) -> bool:
        """Return whether the reply only asks what else the customer wants: it is an answer then, whatever it calls itself."""
        return only_offers_more(reply.reply) and not self._named(reply)[1]

    def _named(self, reply: DialogueReply) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what the reply claims to ask, in the script's spelling, and which of it the script knows."""
        spelled = {fold(name): name for name in (*self._knows, CONFIRMATION, *_SPELT_CONFIRMATION)}
        named = (spelled.get(fold(name), name) for name in reply.asks)
        names = tuple(dict.fromkeys(CONFIRMATION if name in _SPELT_CONFIRMATION else name for name in named))
        return names, tuple(name for name in names if name in self._knows or name == CONFIRMATION)

    def _asked(self, reply: DialogueReply) -> tuple[str, ...]:
        """Return what the reply asks for; nothing where its words and what it claims to ask contradict each other."""
        words = asked_in_words(reply.reply, self._knows)
        named, understood = self._named(reply)
        in_words = (*sorted(words.facts), *((CONFIRMATION,) if words.confirmation else ()))
        if not understood:
            # It names what it asks in its own way, as models do; then its words decide, and it did not ask for nothing.
            return in_words or named
        recognisable = {name for name in understood if name in self._knows and self._knows[name].asked_by}
        other_facts = words.facts and recognisable and not words.facts & recognisable
        not_yes_or_no = understood == (CONFIRMATION,) and words.openly and not words.confirmation
        if other_facts or not_yes_or_no or not words.anything:
            return ()
        further = further_facts(reply.reply, self._knows, understood) if understood == named else sorted(words.facts)
        return tuple(dict.fromkeys((*understood, *further)))

    def _answer(self, name: str) -> str:
        if name == CONFIRMATION:
            self.confirms = not self.script.refuses
            return self._drawn(_YES if self.confirms else _NO)
        return self._told(name) if name in self._knows else self._drawn(_UNKNOWN)

    def _told(self, name: str) -> str:
        self._just_told.add(name)
        return self._drawn(self._knows[name].says)

    def _drawn(self, wordings: Sequence[str]) -> str:
        return self._random.choice(wordings)

    def _send(self, text: str) -> str:
        self._sent += 1
        return text
