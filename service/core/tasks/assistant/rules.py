"""The floors without a language model: rules over the state of the conversation, replies worded from the tools' answers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs, HandoverNote, ReplyAction
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.callback import arrange_callback
from service.core.tasks.assistant.first_help import first_help
from service.core.tasks.assistant.form import MOST_WORDS, fitted, more_question, pieces_of, words_in
from service.core.tasks.assistant.knowledge import TransferReason, bank_knowledge
from service.core.tasks.assistant.persona import discloses, in_turn, must_disclose, persona, remembered
from service.core.tasks.assistant.reply import AssistantReply, Claim
from service.core.tasks.assistant.story import known_of, topics_of
from service.core.tasks.assistant.turn import OpenTurn, TurnTools, saying
from service.core.tasks.assistant.understanding.by_meaning import guess_by_meaning
from service.core.tasks.assistant.understanding.intent import Aspect, Topic
from service.core.tasks.assistant.understanding.intents import GuessIntent
from service.core.tasks.assistant.understanding.talk import Talk, asks_to_compare, talk_of
from service.core.tasks.assistant.understanding.trouble import HelpLanguage, TroubleKind
from service.core.tasks.assistant.wording import (
    Worded,
    account_name,
    branches_worded,
    card_worded,
    channel_name,
    compared_worded,
    hours_worded,
    joined,
    message_worded,
    opening_worded,
    queue_worded,
)
from service.core.unit.question import Said

MODEL_ID = "local.assistant-rules-v1"
BY_MEANING_ID = "local.assistant-rules-minilm-v1"
_MOST_LOST = 3  # the third message in a row that nothing could be made of goes to a person
_QUOTED_CHARS, _MOST_QUOTED = 240, 6
# In danger, hours and a request for a number help nobody, and a call may be heard by whoever is feared.
_NO_CALL: frozenset[TroubleKind] = frozenset({"danger_to_life", "abuse", "child"})
_WORDS_OF_QUESTION = 10  # of the longest question whether to go on
# The things that one question asks for.
_SLOTS = ("account_type", "channel", "card_type", "location", "phone")
_MOST_PAGES = 4  # as many messages back begins what is gone on with
_OPENING_TOOLS = {"branch": "get_branch_account_opening_info", "digital": "get_digital_account_opening_info"}
_SORRY: Mapping[TransferReason, str] = {
    "customer_frustration": "frustrated",
    "repeated_query": "repeated",
    "sensitive_topic": "sensitive",
}


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


def rules_go_first(inputs: DialogueInputs, guess_intent: GuessIntent | None) -> bool:
    """Return whether a turn is the rules' own, whoever answers the rest: the customer is in trouble, or a call is arranged."""
    talk = talk_of(inputs, bank_knowledge(), guess_intent)
    return talk.heard.trouble is not None or _goes_on(talk) or "callback" in talk.open or talk.agreed


def _answered(document: object, guess_intent: GuessIntent | None) -> str | Said:
    assert isinstance(document, DialogueSoFar)
    inputs = document.inputs
    turn = OpenTurn(inputs=inputs, talk=talk_of(inputs, bank_knowledge(), guess_intent), tools=TurnTools(document))
    turn.help = _first_help(turn)
    reason = _reason(turn.talk)
    if reason is None:
        _answer(turn)
        if turn.tools.wanted and document.may_use_tools:
            return Said(output="", uses=tuple(turn.tools.wanted))
        if turn.failed:
            reason = "technical_issues"
        elif any(use.tool == "request_callback" for use in turn.tools.wanted):
            turn.parts = [Worded(saying("late"))]
        elif turn.tools.wanted:
            reason = "complex_scenario"  # nothing can be looked up now, so a person must answer
    if reason is not None:
        return _handed_over(turn, reason, may_use_tools=document.may_use_tools)
    return _reply(turn, _action(turn))


def _first_help(turn: OpenTurn) -> str:
    """Return what a customer in trouble is told at once, and again while nothing else is spoken of; "" else."""
    talk = turn.talk
    if _goes_on(talk):
        return _told(turn, talk.trouble)
    told = _told(turn, talk.heard.trouble)
    return "" if told in talk.question else told


def _goes_on(talk: Talk) -> bool:
    """Return whether the trouble told before is still what the customer writes about: nothing else can be made of the message.

    In danger a short word ends nothing, either: nobody is wished a lovely day.
    """
    heard = talk.heard
    if talk.trouble is None or heard.trouble is not None or heard.handover is not None or talk.open or talk.left:
        return False
    return talk.trouble in _NO_CALL if talk.understood else not heard.off_topic


def _told(turn: OpenTurn, kind: TroubleKind | None) -> str:
    return "" if kind is None else first_help().told(kind, turn.talk.language, spoken=turn.spoken)


def _reason(talk: Talk) -> TransferReason | None:
    reason = _due(talk)
    asked_for = ("sensitive_topic", "explicit_request")
    return None if talk.no_person and reason not in asked_for else reason


def _due(talk: Talk) -> TransferReason | None:
    if talk.heard.handover is not None:
        return talk.heard.handover
    if talk.asked == "late" and talk.consent == "refused":
        return "complex_scenario"  # it may be arranged already, and only a person can undo that
    if talk.asked == "transfer" and talk.heard.yes:
        return "explicit_request"
    if talk.repeated and not (talk.left or talk.heard.yes or talk.heard.no or talk.heard.bye):
        return "repeated_query"
    if talk.declined and (talk.heard.off_topic or not (talk.understood or talk.open)):
        return "capability_limitation"  # to say a second time that it cannot help would help nobody
    if talk.lost < _MOST_LOST:
        return None
    return "capability_limitation" if talk.trouble is None else "sensitive_topic"


def _answer(turn: OpenTurn) -> None:
    talk, heard = turn.talk, turn.talk.heard
    if heard.asks_if_ai:
        turn.say(persona().about_itself)
    if heard.other_customer:
        turn.say(saying("private"))
        return
    if heard.off_topic:
        turn.say(saying("declines", "specialist").format(matter=_spoken(heard.off_topic)))
    for topic in talk.open:
        _TOPICS[topic](turn)
    if talk.open or heard.asks_if_ai or heard.off_topic or turn.help:
        return
    if talk.asked == "more" and heard.no:
        turn.ask("request", f"{saying('left')} {persona().questions['request'][0]}")
    elif talk.left and not heard.bye:
        turn.say(saying("no_call" if talk.asked in ("phone", "callback") else "left"))
    elif talk.language != "en":
        turn.say(first_help().languages[talk.language].greeting)
    elif heard.bye or (heard.no and talk.asked in ("", "request", "transfer")):
        turn.say(_farewell(turn))
    elif heard.hello:
        turn.ask("request", f"{saying('offers')} {persona().questions['request'][0]}")
    else:
        turn.ask("request", f"{saying('not_understood', 'offers')} {in_turn(persona().clarifications, turn.inputs)}")


def _farewell(turn: OpenTurn) -> str:
    """Return how the assistant takes leave: it wishes nobody in trouble a lovely day."""
    return saying("bye", "nice_day" if turn.talk.trouble is None else "take_care")


def _spoken(matter: str) -> str:
    countable = matter.endswith(("loan", "mortgage", "card", "overdraft", "pension", "isa", "investment"))
    return f"{matter}s" if countable else matter


def _account(turn: OpenTurn) -> None:
    slots = turn.talk.slots
    if not slots.accounts:
        turn.ask("account_type")
    elif not slots.channels:
        turn.ask("channel")
    else:
        aspects, before = turn.talk.aspects.get("account", frozenset[Aspect]()), len(turn.parts)
        for account in slots.accounts:
            for channel in slots.channels:
                tool = _OPENING_TOOLS[channel]
                turn.look_up(
                    tool,
                    partial(opening_worded, tool, aspects=aspects, question=_asked(turn), spoken=turn.spoken),
                    account_type=account,
                )
        kinds = [
            (account_name(account), channel_name(channel)) for account in slots.accounts for channel in slots.channels
        ]
        several = len(slots.accounts) > 1, len(slots.channels) > 1
        names = [", ".join(name for name, told in zip(kind, several, strict=True) if told) for kind in kinds]
        _side_by_side(turn, before, [name[:1].upper() + name[1:] for name in names])


def _asked(turn: OpenTurn) -> str:
    """Return the customer's words that the answer is for: the message, and what it answers a question about."""
    said = [item.text for item in turn.inputs.history if item.by == "customer"]
    before = said[-2:] if turn.talk.asked in _SLOTS else said[-_MOST_PAGES:] if turn.talk.goes_on else ()
    return " ".join([*before, turn.inputs.message])


def _card(turn: OpenTurn) -> None:
    slots = turn.talk.slots
    if not slots.cards:
        turn.ask("card_type")
    aspects = turn.talk.aspects.get("card", frozenset[Aspect]())
    tool, before = "get_debit_card_info", len(turn.parts)
    worded = partial(card_worded, tool, aspects=aspects, question=_asked(turn), spoken=turn.spoken)
    for card in slots.cards:
        turn.look_up(tool, worded, card_type=card)
    _side_by_side(turn, before, [card.capitalize() for card in slots.cards])


def _side_by_side(turn: OpenTurn, before: int, names: Sequence[str]) -> None:
    """Put what was told of several products since part ``before`` side by side, where a comparison was asked for."""
    told = turn.parts[before:]
    if len(names) > 1 and len(told) == len(names) and asks_to_compare(_asked(turn)):
        turn.parts[before:] = [compared_worded(list(zip(names, told, strict=True)), spoken=turn.spoken)]


def _branch(turn: OpenTurn) -> None:
    slots, tool = turn.talk.slots, "find_nearest_branch"
    if not slots.place:
        turn.ask("location")
        return
    service = {} if slots.service is None else {"service_type": slots.service}
    turn.look_up(tool, partial(branches_worded, tool), location=slots.place, **service)


def _hours(turn: OpenTurn) -> None:
    turn.look_up("check_hours", partial(hours_worded, "check_hours"))


def _queue(turn: OpenTurn) -> None:
    turn.look_up("queue_position", partial(queue_worded, "queue_position"))


_TOPICS: Mapping[Topic, Callable[[OpenTurn], None]] = {
    "account": _account,
    "card": _card,
    "branch": _branch,
    "hours": _hours,
    "queue": _queue,
    "callback": arrange_callback,
}


def _handed_over(turn: OpenTurn, reason: TransferReason, *, may_use_tools: bool) -> str | Said:
    """Transfer first and say so afterwards. Out of hours nobody takes over, so a callback is offered instead."""
    note = HandoverNote(reason=reason, context=_context(turn, reason))
    turn.parts, turn.asks = [], ()
    if not may_use_tools:  # the channel connects whoever is handed over
        now = tools.live_bank().hours()
        if not now["open"]:
            return _closed(turn, reason, Worded(hours_worded("check_hours", now).text))
        turn.say(_handing_over(turn, reason))
        return _reply(turn, "handover", note)
    turn.tools.wanted.clear()
    found = turn.tools.answer("transfer_to_agent", reason=reason, summary=note.context)
    if found is None:
        return Said(output="", uses=tuple(turn.tools.wanted))
    if found == "failed":
        hours = turn.tools.answer("check_hours")
        if hours is None:
            return Said(output="", uses=tuple(turn.tools.wanted))
        if hours == "failed":  # the clock needs no tool, and at night no person may be promised
            if not tools.live_bank().hours()["open"]:
                return _closed(turn, reason, Worded(saying("nobody_there")))
        elif hours["open"] is False:
            return _closed(turn, reason, hours_worded("check_hours", hours))
        turn.say(_handing_over(turn, reason))
        return _reply(turn, "handover", note)
    turn.say(_handing_over(turn, reason))
    if turn.talk.language == "en":
        turn.parts.append(message_worded("transfer_to_agent", found))
    return _reply(turn, "handover", note)


def _closed(turn: OpenTurn, reason: TransferReason, hours: Worded) -> str:
    """Reply where nobody takes over now: offer a call, unless what the customer is told at once says all."""
    language = turn.talk.language
    if turn.unsure:  # by day a person clears that up; the next message's turn looks again
        turn.say(saying("late"))
        return _reply(turn, "answer")
    if turn.talk.trouble in _NO_CALL:
        turn.help = turn.help or _told(turn, turn.talk.trouble)
        return _reply(turn, "answer")
    if language != "en":
        turn.say(first_help().languages[language].closed)
    else:
        if not turn.help:
            turn.say(saying(_SORRY.get(reason, "to_a_person")))
        turn.parts.append(hours)
    turn.talk = _only_callback(turn.talk)
    arrange_callback(turn)
    return _reply(turn, _action(turn))


def _handing_over(turn: OpenTurn, reason: TransferReason) -> str:
    if turn.talk.language != "en":
        return first_help().languages[turn.talk.language].handover
    if turn.help:
        return persona().handovers[reason]
    sorry = f"{saying(_SORRY[reason])} " if reason in _SORRY else ""
    return sorry + persona().handovers[reason]


def _only_callback(talk: Talk) -> Talk:
    return Talk(slots=talk.slots, open=("callback",), said_phone=talk.said_phone, language=talk.language)


def _context(turn: OpenTurn, reason: TransferReason) -> str:
    said = [item.text for item in remembered(turn.inputs) if item.by == "customer"]
    quotes = [f'"{text[:_QUOTED_CHARS]}"' for text in [*said, turn.inputs.message][-_MOST_QUOTED:]]
    topics = ", ".join(topics_of(turn.talk)) or "none"
    known = "; ".join(f"{name}: {value}" for name, value in known_of(turn.talk.slots).items())
    return (
        f"The customer said: {' '.join(quotes)} Messages of the customer: {len(said) + 1}. Topics: {topics}. "
        f"Known: {known or 'nothing yet'}. Reason: {reason}."
    )


def _action(turn: OpenTurn) -> ReplyAction:
    if turn.asks:
        return "clarify"
    return "close" if any(part.text == _farewell(turn) for part in turn.parts) else "answer"


def _disclosure(language: HelpLanguage) -> str:
    return persona().disclosure if language == "en" else first_help().languages[language].disclosure


def _reply(turn: OpenTurn, action: ReplyAction, note: HandoverNote | None = None) -> str:
    told = [item.text for item in turn.inputs.history if item.by == "assistant"] if turn.talk.goes_on else []
    pieces, asks = pieces_of(turn.parts, told) or pieces_of(turn.parts), turn.asks
    before, lead, closing = list[str](), "", ""
    if action == "answer" and any(piece.claims for piece in pieces):
        lead, closing = in_turn(persona().transitions, turn.inputs), in_turn(persona().closings, turn.inputs)
    elif asks and asks[0] in _SLOTS and len(pieces) == 1:
        lead = in_turn(persona().acknowledgments, turn.inputs)
    if must_disclose(turn.inputs) and not discloses(" ".join((turn.help, lead, *(piece.text for piece in pieces)))):
        before.append(_disclosure(turn.talk.language))
    before.append(turn.help)
    room, size = MOST_WORDS - words_in(*before), words_in(*(piece.text for piece in pieces))
    if note is None and size > room and any(piece.claims for piece in pieces):
        pieces, rest = fitted(pieces, room - words_in(lead) - _WORDS_OF_QUESTION)
        if rest:  # a question that was to come waits until all is told
            action, asks, closing = "clarify", ("more",), more_question(rest, pieces[-1])
            pieces = [piece for piece in pieces if piece.claims or not piece.text.endswith("?")]
    else:  # what is said besides leaves the answer its room
        lead = lead if size + words_in(lead) <= room else ""
        closing = closing if size + words_in(lead, closing) <= room else ""
    claims: Sequence[Claim] = [claim for piece in pieces for claim in piece.claims]
    reply = AssistantReply(
        reply=joined((*before, lead, *(piece.text for piece in pieces), closing))[:4_000],
        action=action,
        asks=asks,
        handover=note,
        claims=tuple(claims)[: AssistantReply.most_claims],
    )
    return reply.model_dump_json()
