"""The state of a conversation, folded over its messages: open questions, what is known, and what was asked last."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.core.run.dialogue.turn import DialogueInputs
from service.core.tasks.assistant.knowledge import BankKnowledge
from service.core.tasks.assistant.persona import persona, remembered
from service.core.tasks.assistant.phone import digits_alone, digits_in, phone_in, uk_number
from service.core.tasks.assistant.understanding.consent import Consent, changes, consent_of
from service.core.tasks.assistant.understanding.intent import Aspect, Topic, Wish, hear
from service.core.tasks.assistant.understanding.intents import Guess, GuessIntent, Intent, intent_of, meant
from service.core.tasks.assistant.understanding.slots import Slots, read_slots
from service.core.tasks.assistant.understanding.trouble import HelpLanguage, TroubleKind, gravest
from service.kit.frame.patterns import pattern_texts

_FILE = Path(__file__).with_name("patterns.yaml")
_TEXTS = pattern_texts(_FILE, "talk")

# What the assistant's last words ask for, whoever worded them: a model may have answered the turn before.
_ASKS = {name: re.compile(text, re.I) for name, text in pattern_texts(_FILE, "asks").items()}
_CANNOT_HELP = re.compile(_TEXTS["cannot_help"], re.I)
_LEAVES = re.compile(_TEXTS["leaves"], re.I)
_HAS_NONE = re.compile(_TEXTS["has_none"], re.I)
_GOES_ON = re.compile(_TEXTS["goes_on"], re.I)
_COMPARES = re.compile(_TEXTS["compares"], re.I)
_INSTEAD = re.compile(_TEXTS["instead"], re.I)
_SOMEBODY_ELSES = re.compile(_TEXTS["somebody_elses"], re.I)
_PRESENT = re.compile(_TEXTS["present"], re.I)
_OF_CALLBACK = ("phone", "callback", "late")  # what may be asked, or left open, about a callback
_LEAST_WORDS_OF_TROUBLE, _LEAST_WORDS_OF_ANSWER = 2, 4  # a short answer to a question says what was asked for
_LEAST_DIGITS = 6
_LEAST_PIECE, _MOST_PHONE_DIGITS = 3, 14
_WORD = re.compile(r"\w+")
_ALIKE, _LEAST_WORDS = 0.6, 3  # shared words of two messages that ask the same, as a share of all their words
_REPEATED, _LOOKED_AT = 3, 6  # the third equal question among the last six messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What the assistant knows before it replies to the last message.

    ``open`` are the topics that wait for an answer, ``aspects`` what is asked about each. ``asked`` is what the assistant's last
    reply asked for, "" for nothing. ``lost`` counts the messages in a row that nothing could be made of. ``intent`` is what the
    last message wants first; ``guess`` is what its meaning said, None where its words were enough or only words are read.

    ``goes_on``: the last message wants the rest of what the last reply told.

    ``trouble`` is the gravest that the customer told of in the conversation, ``no_person`` whether they want to speak to nobody.

    ``question`` is the assistant's last reply, ``left``: the last message leaves what was asked. Of a callback: ``consent`` is
    what the last message answered to the number read back, ``agreed`` whether a plain yes to it still stands, also one whose turn
    ended before its reply. ``named_phone``: the last message states a number, ``renumbers``: a part of another one; ``pieces``
    are the digits of one that is not whole yet. ``others``: the number is somebody else's, and nothing says that they are there.
    """

    slots: Slots = field(default_factory=Slots)
    open: tuple[Topic, ...] = ()
    aspects: Mapping[Topic, frozenset[Aspect]] = field(default_factory=dict)
    latest: Topic | None = None
    asked: str = ""
    lost: int = 0
    heard: Wish = field(default_factory=Wish)
    repeated: bool = False
    understood: bool = True
    declined: bool = False
    said_phone: str = ""
    question: str = ""
    consent: Consent = "none"
    agreed: bool = False
    named_phone: bool = False
    renumbers: bool = False
    pieces: str = ""
    others: bool = False
    left: bool = False
    goes_on: bool = False
    trouble: TroubleKind | None = None
    no_person: bool = False
    language: HelpLanguage = "en"
    intent: Intent = "unclear"
    guess: Guess | None = None


def talk_of(inputs: DialogueInputs, knowledge: BankKnowledge, guess_intent: GuessIntent | None = None) -> Talk:
    """Return the state after the customer's present message; ``guess_intent`` guesses where the words say nothing."""
    talk, questions = Talk(said_phone=_verified_phone(inputs)), list[tuple[object, frozenset[str]]]()
    history = remembered(inputs)
    for turn in history:
        if turn.by == "assistant":
            talk = _replied(talk, turn.text)
        else:
            talk = _heard(talk, turn.text, knowledge, guess_intent)
            questions.append(_question(talk, turn.text))
    talk = _heard(talk, inputs.message, knowledge, guess_intent)
    return replace(talk, repeated=_is_repeated(_question(talk, inputs.message), questions))


def _verified_phone(inputs: DialogueInputs) -> str:
    return next((value for _, value in sorted(inputs.session.items()) if uk_number(value)), "")


def asks_to_compare(text: str) -> bool:
    """Return whether a customer's words ask what tells several things apart."""
    return _COMPARES.search(text) is not None


def cannot_help(reply: str) -> bool:
    """Return whether the assistant's ``reply`` says that it cannot help."""
    return _CANNOT_HELP.search(reply) is not None


def _replied(talk: Talk, reply: str) -> Talk:
    """Return the state after the assistant's reply: what it did not ask about further, it has answered."""
    talk = replace(talk, declined=cannot_help(reply), question=reply)
    if persona().sayings["late"] in reply:
        return replace(talk, open=("callback",), asked="late")
    talk = replace(talk, agreed=False)
    asked = next((name for name, pattern in _ASKS.items() if pattern.search(reply)), "")
    if asked in ("", "request"):
        return replace(talk, open=(), asked=asked)
    if asked == "more":
        return replace(talk, asked=asked)
    waiting: Mapping[str, Topic] = {
        "account_type": "account",
        "channel": "account",
        "card_type": "card",
        "location": "branch",
        "phone": "callback",
        "callback": "callback",
    }
    topic = waiting.get(asked)
    return replace(talk, open=() if topic is None else (topic,), asked=asked)


def _heard(talk: Talk, message: str, knowledge: BankKnowledge, guess_intent: GuessIntent | None) -> Talk:
    heard, stated = hear(message, talk.language), read_slots(message, _expected(talk), knowledge)
    if heard.other_customer:
        stated = replace(stated, phone="")
    talk, stated = _of_callback(talk, message, heard, stated)
    heard = _with_trouble(heard, talk, message, guess_intent)
    leaves = heard.trouble is not None or (heard.bye and not talk.agreed)
    if _LEAVES.search(message):
        leaves, stated = True, stated if heard.topics else Slots()
    if talk.asked == "phone" and _HAS_NONE.search(message) and not stated.phone:
        leaves = True
    goes_on = talk.asked == "more" and (heard.yes or _GOES_ON.search(message) is not None)
    if talk.asked == "more" and not goes_on:
        talk = replace(talk, open=())
    talk = replace(
        talk,
        goes_on=goes_on,
        left=leaves and bool(talk.open),
        language=heard.language or talk.language,
        trouble=gravest(talk.trouble, heard.trouble),
        no_person=heard.no_person or (talk.no_person and heard.handover != "explicit_request"),
    )
    if leaves or (_INSTEAD.search(message) and set(heard.topics) - set(talk.open)):
        talk = replace(talk, open=(), pieces="")
    by_words = _taken_up(talk, heard, stated)
    if by_words.understood or talk.left or guess_intent is None:
        return by_words
    guess = guess_intent(message)
    by_meaning = _taken_up(talk, meant(heard, guess.intent), stated) if guess.is_sure else by_words
    return replace(by_meaning, guess=guess)


def _with_trouble(heard: Wish, talk: Talk, message: str, guess_intent: GuessIntent | None) -> Wish:
    """Return ``heard`` with the trouble that the meaning of ``message`` shows; a short answer to a question shows none.

    Where the meaning is far from trouble, the words that told of it meant something else.
    """
    reads_out = len(digits_in(message)) >= _LEAST_DIGITS  # the model reads nothing in a number
    unread = reads_out or talk.consent != "none"
    answers = talk.asked not in ("", "request") or heard.yes or heard.no or heard.bye or heard.hello
    least = _LEAST_WORDS_OF_ANSWER if answers else _LEAST_WORDS_OF_TROUBLE
    if guess_intent is None or unread or len(_WORD.findall(message)) < least:
        return heard
    guess = guess_intent(message)
    if heard.trouble is None:
        asks_back = guess.trouble == "confused_caller" and bool(talk.open)  # "what did you ask" is no confusion
        return heard if guess.trouble is None or asks_back else heard.in_trouble(guess.trouble)
    return hear(message, talk.language, in_trouble=False) if guess.no_trouble else heard


def _of_callback(talk: Talk, message: str, heard: Wish, stated: Slots) -> tuple[Talk, Slots]:
    """Return the talk with what ``message`` says about a callback, and ``stated`` with a number whose last piece it brings."""
    pieces = ""
    if talk.asked == "phone" and not stated.phone and (digits := digits_alone(message)):
        pieces = talk.pieces + digits
        if digits.startswith("0") and not uk_number(pieces):
            pieces = digits  # the number is begun again
        if uk_number(pieces):
            stated, pieces = replace(stated, phone=pieces), ""
        elif len(pieces) > _MOST_PHONE_DIGITS:
            pieces = ""
    waits = talk.asked in ("callback", "late")
    consent = consent_of(message, talk.question) if waits else "none"
    if consent == "given" and set(heard.topics) - {"callback"}:
        consent = "unclear"  # the yes may be to something else
    agreed = (talk.agreed and consent == "none" and not changes(message, talk.question)) or (
        consent == "given" and (talk.agreed or talk.asked == "callback")
    )
    others = _SOMEBODY_ELSES.search(message) is not None or (talk.others and not stated.phone)
    talk = replace(
        talk,
        consent=consent,
        named_phone=bool(stated.phone),
        renumbers=not stated.phone and len(digits_in(message)) >= _LEAST_PIECE and changes(message, talk.question),
        pieces=pieces,
        others=others and _PRESENT.search(message) is None,
    )
    return replace(
        talk, agreed=agreed and bool(phone_in(talk.question) or talk.asked == "late") and not talk.others
    ), stated


def _taken_up(talk: Talk, heard: Wish, stated: Slots) -> Talk:
    topics = _topics(talk, heard, stated)
    new = tuple(topic for topic in topics if topic not in talk.open)
    aspects = dict(talk.aspects)
    for topic in topics:
        asked = heard.aspects_of(topic)
        if topic in new or asked:
            aspects[topic] = asked
    plain = (
        heard.yes or heard.no or heard.bye or heard.hello or heard.asks_if_ai or heard.off_topic or heard.other_customer
    )
    understood = bool(topics or plain or heard.handover) and not (talk.asked and not _answers(talk, heard, stated, new))
    return replace(
        talk,
        slots=talk.slots.updated(stated),
        open=(*talk.open, *new),
        aspects=aspects,
        latest=topics[-1] if topics else talk.latest,
        heard=heard,
        understood=understood,
        lost=0 if understood else talk.lost + 1,
        intent=intent_of(heard, topics) if understood else "unclear",
        guess=None,
    )


def _expected(talk: Talk) -> str:
    """Return which slot the message is likely to fill: what was asked for, else what the last topic goes by."""
    if talk.asked not in ("", "request"):
        return talk.asked
    return {"card": "card_type", "branch": "place"}.get(talk.latest or "", "")


def _answers(talk: Talk, heard: Wish, stated: Slots, new: Sequence[Topic]) -> bool:
    """Return whether a message answers what was asked, or says something else that is clear."""
    by_name = {
        "account_type": bool(stated.accounts),
        "channel": bool(stated.channels),
        "card_type": bool(stated.cards),
        "location": bool(stated.place),
        "phone": bool(stated.phone) or heard.no or bool(talk.pieces),
        "callback": talk.consent != "none" or heard.yes or heard.no or bool(stated.phone),
        "transfer": heard.yes or heard.no,
    }
    other = (
        talk.left
        or stated != Slots()
        or new
        or heard.handover
        or heard.bye
        or heard.asks_if_ai
        or heard.off_topic
        or heard.other_customer
    )
    return by_name.get(talk.asked, True) or bool(other)


def _topics(talk: Talk, heard: Wish, stated: Slots) -> tuple[Topic, ...]:
    """Return what the message is about: its own words, else what it adds to the topic before it."""
    topics = list(heard.topics)
    if "branch" in topics or ((heard.looks_near or heard.names_branch) and stated.place):
        topics = _branch_or_account(topics, heard, stated)
    if {"account", "card"} <= set(topics) and not stated.cards and not heard.orders_card:
        topics.remove("card")  # "when does the card come" asks about the account's
    if "hours" in topics and heard.names_branch and (stated.place or talk.slots.place):
        topics[topics.index("hours")] = "branch"
    if talk.asked in _OF_CALLBACK and "callback" in talk.open:
        topics = [topic for topic in topics if topic != "callback"] or (["callback"] if not heard.off_topic else [])
        return tuple(topics)
    if topics:
        return tuple(topics)
    if stated.accounts and (talk.latest != "card" or heard.aspects_of("account")):
        return ("account",)
    if stated.cards:
        return ("card",)
    if stated.place and (heard.names_branch or talk.latest == "branch" or talk.asked == "location"):
        return ("branch",)
    if stated.phone:
        return ("callback",)
    if stated.channels and talk.slots.accounts:
        return ("account",)
    if talk.latest is not None and heard.aspects_of(talk.latest) and not talk.open:
        return (talk.latest,)
    return talk.open if talk.open and not (heard.bye or heard.off_topic) else ()


def _branch_or_account(topics: list[Topic], heard: Wish, stated: Slots) -> list[Topic]:
    """Tell "a branch that opens accounts" from "open an account in a branch"."""
    about_account = stated.accounts or heard.aspects_of("account") & {"documents", "steps", "benefits"}
    if stated.place and not about_account:
        without: set[Topic] = {"account"} if stated.cards else {"account", "card"}
        return [topic for topic in topics if topic not in without | {"branch", "hours"}] + ["branch"]
    if about_account and not stated.place and not heard.looks_near:
        return [topic for topic in topics if topic != "branch"]
    return topics


def _question(talk: Talk, message: str) -> tuple[object, frozenset[str]]:
    heard = talk.heard
    sense = (heard.topics, tuple(sorted(heard.aspects)), talk.slots) if heard.topics else None
    return sense, frozenset(word.lower() for word in _WORD.findall(message))


def _is_repeated(question: tuple[object, frozenset[str]], before: Sequence[tuple[object, frozenset[str]]]) -> bool:
    sense, words = question

    def alike(other: tuple[object, frozenset[str]]) -> bool:
        if sense is not None and other[0] == sense:
            return True
        both = words | other[1]
        return min(len(words), len(other[1])) >= _LEAST_WORDS and len(words & other[1]) >= _ALIKE * len(both)

    return 1 + sum(map(alike, before[-(_LOOKED_AT - 1) :])) >= _REPEATED
