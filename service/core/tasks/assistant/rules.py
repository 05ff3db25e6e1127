"""The floors without a language model: rules over the state of the conversation, replies worded from the tools' answers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs, HandoverNote, ReplyAction
from service.core.tasks.assistant.knowledge import TransferReason, bank_knowledge
from service.core.tasks.assistant.persona import in_turn, must_disclose, persona, remembered
from service.core.tasks.assistant.reply import AssistantReply, Claim
from service.core.tasks.assistant.story import known_of, topics_of
from service.core.tasks.assistant.understanding.by_meaning import guess_by_meaning
from service.core.tasks.assistant.understanding.intent import Aspect, Topic
from service.core.tasks.assistant.understanding.intents import GuessIntent
from service.core.tasks.assistant.understanding.talk import Talk, talk_of
from service.core.tasks.assistant.wording import (
    Worded,
    branches_worded,
    card_worded,
    hours_worded,
    message_worded,
    opening_worded,
    queue_worded,
)
from service.core.unit.question import Said, ToolTurn, Use

MODEL_ID = "local.assistant-rules-v1"
BY_MEANING_ID = "local.assistant-rules-minilm-v1"
_TRIES = 3  # a reading tool that failed three times is not asked again
_MOST_LOST = 3  # the third message in a row that nothing could be made of goes to a person
_QUOTED_CHARS, _MOST_QUOTED = 240, 6
# The things that one question asks for.
_SLOTS = ("account_type", "channel", "card_type", "location", "phone")
_OPENING_TOOLS = {"branch": "get_branch_account_opening_info", "digital": "get_digital_account_opening_info"}
_SORRY: Mapping[TransferReason, str] = {
    "customer_frustration": "frustrated",
    "repeated_query": "repeated",
    "sensitive_topic": "sensitive",
}
_NEEDED = {
    "get_debit_card_info": ("card_details", "ordering_process"),
    "find_nearest_branch": ("branches", "branches_found"),
    "check_hours": ("open", "hours"),
    "queue_position": ("position",),
    "request_callback": ("callback_id",),
    "transfer_to_agent": ("transfer_id",),
}


@dataclass(slots=True)
class _Tools:
    """The uses of this turn: what they returned, and the next one that is wanted."""

    so_far: DialogueSoFar
    wanted: list[Use] = field(default_factory=list)

    def answer(self, tool: str, **arguments: Any) -> Mapping[str, Any] | Literal["failed"] | None:
        """Return the answer of a tool; None as long as it has not been asked, and then it will be."""
        answers = [answer for use, answer in self._uses() if (use.tool, dict(use.arguments)) == (tool, arguments)]
        found: Mapping[str, Any] | None = next((answer for answer in answers if _is_answer(tool, answer)), None)
        if found is not None:
            return found
        tries = 1 if tool in ("request_callback", "transfer_to_agent") else _TRIES
        if len(answers) >= tries:
            return "failed"
        self.wanted.append(Use(tool=tool, arguments=arguments, call_id=f"{tool}-{len(self.wanted)}-{len(answers)}"))
        return None

    def _uses(self) -> Iterator[tuple[Use, Any]]:
        for turn in self.so_far.turns:
            if isinstance(turn, ToolTurn):
                for use, content in zip(turn.uses, turn.contents, strict=True):
                    yield use, json.loads(content)


def _is_answer(tool: str, answer: Any) -> bool:
    needed = _NEEDED.get(tool, ("documents_required", "process_steps", "processing_time"))
    return isinstance(answer, dict) and all(name in answer for name in needed)


@dataclass(slots=True, kw_only=True)
class _Turn:
    """One turn of the assistant: collects what to say, or the uses of tools that it waits for."""

    inputs: DialogueInputs
    talk: Talk
    tools: _Tools
    parts: list[Worded] = field(default_factory=list)
    asks: tuple[str, ...] = ()
    failed: bool = False

    def say(self, text: str) -> None:
        self.parts.append(Worded(text))

    def ask(self, name: str, question: str = "") -> None:
        """Ask for one thing; a second question waits."""
        if not self.asks:
            self.asks = (name,)
            self.say(question or persona().questions[name][0])


def rules(document: object) -> str | Said:
    """Answer a turn: the uses of tools that are needed next, or the reply as JSON."""
    return _answered(document, None)


def rules_by_meaning(document: object) -> str | Said:
    """Answer a turn as ``rules`` does, but guess by its meaning what a message wants whose words say nothing.

    Raises:
        ModelUnusable: what guesses is not installed here.
    """
    assert isinstance(document, DialogueSoFar)
    return _answered(document, guess_by_meaning(document.pair))


def _answered(document: object, guess_intent: GuessIntent | None) -> str | Said:
    assert isinstance(document, DialogueSoFar)
    inputs = document.inputs
    turn = _Turn(inputs=inputs, talk=talk_of(inputs, bank_knowledge(), guess_intent), tools=_Tools(document))
    reason = _reason(turn.talk)
    if reason is None:
        _answer(turn)
        if turn.tools.wanted and document.may_use_tools:
            return Said(output="", uses=tuple(turn.tools.wanted))
        if turn.failed:
            reason = "technical_issues"
        elif turn.tools.wanted:
            reason = "complex_scenario"  # nothing can be looked up now, so a person must answer
    if reason is not None:
        return _handed_over(turn, reason, may_use_tools=document.may_use_tools)
    return _reply(turn, _action(turn))


def _reason(talk: Talk) -> TransferReason | None:
    if talk.heard.handover is not None:
        return talk.heard.handover
    if talk.asked == "transfer" and talk.heard.yes:
        return "explicit_request"
    if talk.repeated and not (talk.heard.yes or talk.heard.no or talk.heard.bye):
        return "repeated_query"
    if talk.declined and (talk.heard.off_topic or not talk.understood):
        return "capability_limitation"  # to say a second time that it cannot help would help nobody
    return "capability_limitation" if talk.lost >= _MOST_LOST else None


def _answer(turn: _Turn) -> None:
    talk, heard = turn.talk, turn.talk.heard
    if heard.asks_if_ai:
        turn.say(persona().about_itself)
    if heard.other_customer:
        turn.say(_saying("private"))
        return
    if heard.off_topic:
        turn.say(_saying("declines", "specialist").format(matter=_spoken(heard.off_topic)))
    for topic in talk.open:
        _TOPICS[topic](turn)
    if talk.open or heard.asks_if_ai or heard.off_topic:
        return
    if heard.bye or (heard.no and talk.asked in ("", "request", "transfer")):
        turn.say(_saying("bye", "nice_day"))
    elif heard.hello:
        turn.ask("request", f"{_saying('offers')} {persona().questions['request'][0]}")
    else:
        turn.ask("request", f"{_saying('not_understood', 'offers')} {in_turn(persona().clarifications, turn.inputs)}")


def _saying(*names: str) -> str:
    return " ".join(persona().sayings[name] for name in names)


def _spoken(matter: str) -> str:
    countable = matter.endswith(("loan", "mortgage", "card", "overdraft", "pension", "isa", "investment"))
    return f"{matter}s" if countable else matter


def _account(turn: _Turn) -> None:
    slots = turn.talk.slots
    if not slots.accounts:
        turn.ask("account_type")
    elif not slots.channels:
        turn.ask("channel")
    else:
        aspects = turn.talk.aspects.get("account", frozenset[Aspect]())
        for account in slots.accounts:
            for channel in slots.channels:
                tool = _OPENING_TOOLS[channel]
                _look_up(
                    turn,
                    tool,
                    partial(opening_worded, tool, aspects=aspects, question=_asked(turn)),
                    account_type=account,
                )


def _asked(turn: _Turn) -> str:
    """Return the customer's words that the answer is for: the message, and what it answers a question about."""
    said = [item.text for item in turn.inputs.history if item.by == "customer"]
    return " ".join([*(said[-2:] if turn.talk.asked in _SLOTS else ()), turn.inputs.message])


def _card(turn: _Turn) -> None:
    slots = turn.talk.slots
    if not slots.cards:
        turn.ask("card_type")
    aspects = turn.talk.aspects.get("card", frozenset[Aspect]())
    tool = "get_debit_card_info"
    for card in slots.cards:
        _look_up(turn, tool, partial(card_worded, tool, aspects=aspects, question=_asked(turn)), card_type=card)


def _branch(turn: _Turn) -> None:
    slots, tool = turn.talk.slots, "find_nearest_branch"
    if not slots.place:
        turn.ask("location")
        return
    service = {} if slots.service is None else {"service_type": slots.service}
    _look_up(turn, tool, partial(branches_worded, tool), location=slots.place, **service)


def _hours(turn: _Turn) -> None:
    _look_up(turn, "check_hours", partial(hours_worded, "check_hours"))


def _queue(turn: _Turn) -> None:
    _look_up(turn, "queue_position", partial(queue_worded, "queue_position"))


def _callback(turn: _Turn) -> None:
    """Ask for the number, then for a yes, and only then request the callback."""
    talk = turn.talk
    phone = talk.slots.phone or talk.said_phone
    if talk.asked in ("callback", "phone") and talk.heard.no and not talk.slots.phone:
        if talk.asked == "callback":
            turn.ask("phone", persona().questions["phone"][1])
        else:
            turn.say(_saying("no_call"))
    elif talk.asked == "callback" and talk.heard.no:
        turn.say(_saying("no_call"))
    elif not phone:
        turn.ask("phone")
    elif talk.asked == "callback" and talk.heard.yes:
        when = {} if talk.slots.when is None else {"when": talk.slots.when}
        _look_up(turn, "request_callback", partial(message_worded, "request_callback"), phone=phone, **when)
    else:
        time = "" if talk.slots.when is None else f" in the {talk.slots.when}".replace(" in the soon", "")
        turn.ask("confirmation", f"Shall I arrange a call to {phone}{time}?")


_TOPICS: Mapping[Topic, Callable[[_Turn], None]] = {
    "account": _account,
    "card": _card,
    "branch": _branch,
    "hours": _hours,
    "queue": _queue,
    "callback": _callback,
}


def _look_up(turn: _Turn, tool: str, worded: Callable[[Mapping[str, Any]], Worded], **arguments: Any) -> None:
    found = turn.tools.answer(tool, **arguments)
    if found == "failed":
        turn.failed = True
    elif found is not None:
        turn.parts.append(worded(found))


def _handed_over(turn: _Turn, reason: TransferReason, *, may_use_tools: bool) -> str | Said:
    """Transfer first and say so afterwards. Out of hours nobody takes over, so a callback is offered instead."""
    note = HandoverNote(reason=reason, context=_context(turn, reason))
    turn.parts, turn.asks = [], ()
    if not may_use_tools:  # the channel connects whoever is handed over
        turn.say(_handing_over(reason))
        return _reply(turn, "handover", note)
    turn.tools.wanted.clear()
    found = turn.tools.answer("transfer_to_agent", reason=reason, summary=note.context)
    if found is None:
        return Said(output="", uses=tuple(turn.tools.wanted))
    if found == "failed":
        hours = turn.tools.answer("check_hours")
        if hours is None:
            return Said(output="", uses=tuple(turn.tools.wanted))
        if hours != "failed" and hours["open"] is False:
            turn.say(_saying(_SORRY.get(reason, "to_a_person")))
            turn.parts.append(hours_worded("check_hours", hours))
            turn.talk = _only_callback(turn.talk)
            _callback(turn)
            return _reply(turn, _action(turn))
        turn.say(_handing_over(reason))
        return _reply(turn, "handover", note)
    turn.say(_handing_over(reason))
    turn.parts.append(message_worded("transfer_to_agent", found))
    return _reply(turn, "handover", note)


def _handing_over(reason: TransferReason) -> str:
    sorry = f"{_saying(_SORRY[reason])} " if reason in _SORRY else ""
    return sorry + persona().handovers[reason]


def _only_callback(talk: Talk) -> Talk:
    return Talk(slots=talk.slots, open=("callback",), said_phone=talk.said_phone)


def _context(turn: _Turn, reason: TransferReason) -> str:
    said = [item.text for item in remembered(turn.inputs) if item.by == "customer"]
    quotes = [f'"{text[:_QUOTED_CHARS]}"' for text in [*said, turn.inputs.message][-_MOST_QUOTED:]]
    topics = ", ".join(topics_of(turn.talk)) or "none"
    known = "; ".join(f"{name}: {value}" for name, value in known_of(turn.talk.slots).items())
    return (
        f"The customer said: {' '.join(quotes)} Messages of the customer: {len(said) + 1}. Topics: {topics}. "
        f"Known: {known or 'nothing yet'}. Reason: {reason}."
    )


def _action(turn: _Turn) -> ReplyAction:
    if turn.asks:
        return "clarify"
    return "close" if any(part.text == _saying("bye", "nice_day") for part in turn.parts) else "answer"


def _reply(turn: _Turn, action: ReplyAction, note: HandoverNote | None = None) -> str:
    words = [part.text for part in turn.parts if part.text]
    if action == "answer" and any(part.claims for part in turn.parts):
        words = [in_turn(persona().transitions, turn.inputs), *words, in_turn(persona().closings, turn.inputs)]
    elif turn.asks and turn.asks[0] in _SLOTS and len(words) == 1:
        words.insert(0, in_turn(persona().acknowledgments, turn.inputs))
    if must_disclose(turn.inputs) and not turn.talk.heard.asks_if_ai:
        words.insert(0, persona().disclosure)
    claims: Sequence[Claim] = [claim for part in turn.parts for claim in part.claims]
    reply = AssistantReply(
        reply=" ".join(words)[:4_000],
        action=action,
        asks=turn.asks,
        handover=note,
        claims=tuple(claims)[: AssistantReply.most_claims],
    )
    return reply.model_dump_json()
