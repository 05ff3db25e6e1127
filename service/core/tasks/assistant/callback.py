"""Arranges a callback: asks for the number, then for a yes to exactly what is read back, and only then requests it."""

from functools import partial

from service.core.tasks.assistant.first_help import first_help
from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.phone import digits_in, phone_in
from service.core.tasks.assistant.turn import OpenTurn, saying
from service.core.tasks.assistant.understanding.slots import when_in
from service.core.tasks.assistant.wording import message_worded

_LEAST_DIGITS = 8  # as many are a number, though none that may be called
_MOST_ASKED_FOR_PRESENCE = 2  # a yes alone says a third time nothing of who is there
_MOST_WORDS_OF_NO = 3  # "no, thank you" may mean another number; what says more takes the call back


def arrange_callback(turn: OpenTurn) -> None:
    """Take the next step to a callback."""
    talk, questions = turn.talk, persona().questions["phone"]
    phone = talk.slots.phone or talk.said_phone
    if talk.agreed:
        read_back, part = phone_in(talk.question) or phone, when_in(talk.question) or talk.slots.when
        when = {} if part is None else {"when": part}
        turn.look_up("request_callback", partial(message_worded, "request_callback"), phone=read_back, **when)
    elif talk.asked == "callback" and talk.consent == "refused" and not talk.named_phone:
        if talk.heard.no and not talk.slots.phone and len(turn.inputs.message.split()) <= _MOST_WORDS_OF_NO:
            turn.ask("phone", questions[1])
        else:
            turn.say(saying("no_call"))
    elif talk.asked == "phone" and talk.heard.no and not talk.named_phone:
        turn.say(saying("no_call"))
    elif _needs_another_number(turn):
        turn.ask("phone", questions[1])
    elif talk.pieces:
        turn.ask("phone", questions[-1])
    elif talk.language != "en" and not phone:
        turn.ask("phone", first_help().languages[talk.language].phone)
    elif not phone:
        foreign = talk.asked != "callback" and len(digits_in(turn.inputs.message)) >= _LEAST_DIGITS
        turn.ask("phone", questions[3] if foreign else "")
    else:
        _read_back(turn, phone)


def _needs_another_number(turn: OpenTurn) -> bool:
    """Return whether a part of another number was said, or nothing of who is there, however often it was asked for."""
    talk = turn.talk
    asked = sum(saying("not_yours") in item.text for item in turn.inputs.history)
    return (talk.asked == "callback" and talk.renumbers) or (
        talk.others and not talk.named_phone and asked >= _MOST_ASKED_FOR_PRESENCE
    )


def _read_back(turn: OpenTurn, phone: str) -> None:
    talk = turn.talk
    if talk.consent == "unclear" and not talk.named_phone:
        turn.say(saying("plain_yes"))
    if talk.others:
        turn.say(saying("not_yours"))
    time = "" if talk.slots.when is None else f" in the {talk.slots.when}".replace(" in the soon", "")
    turn.ask("confirmation", f"Shall I arrange a call to {phone}{time}?")
