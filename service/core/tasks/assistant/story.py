"""What a specialist should know of a conversation before speaking with the customer, read from what was said."""

from collections.abc import Mapping

from service.core.run.dialogue.turn import DialogueInputs, HandoverFacts
from service.core.tasks.assistant.knowledge import TransferReason, bank_knowledge
from service.core.tasks.assistant.persona import remembered
from service.core.tasks.assistant.phone import with_digits
from service.core.tasks.assistant.understanding.intent import hear
from service.core.tasks.assistant.understanding.slots import Slots
from service.core.tasks.assistant.understanding.talk import Talk, talk_of
from service.core.tasks.assistant.wording import account_name

# A message with one of these reasons says itself what the matter is; the others say only that a person is wanted.
_MATTERS: frozenset[TransferReason] = frozenset({"sensitive_topic", "complex_scenario", "capability_limitation"})


def handover_facts(inputs: DialogueInputs) -> HandoverFacts:
    """Return the customer's wish, the topics, and what is known of account, channel, card, place, number and time."""
    talk = talk_of(inputs, bank_knowledge())
    return HandoverFacts(query=_query(inputs), topics=topics_of(talk), collected=known_of(talk.slots))


def numbers_said(inputs: DialogueInputs) -> tuple[str, ...]:
    """Return the customer's words with numbers in digits, and before them the phone number, which may have come in pieces."""
    return (talk_of(inputs, bank_knowledge()).slots.phone, *map(with_digits, inputs.said))


def topics_of(talk: Talk) -> tuple[str, ...]:
    """Return what was talked about, each topic once, in the order in which it came up."""
    return tuple(dict.fromkeys([*talk.aspects, *talk.open]))


def known_of(slots: Slots) -> Mapping[str, str]:
    """Return what the customer has told, by its name in plain words."""
    known = {
        "account": ", ".join(map(account_name, slots.accounts)),
        "channel": ", ".join(slots.channels),
        "card": ", ".join(slots.cards),
        "place": slots.place,
        "phone": slots.phone,
        "time of a callback": slots.when or "",
    }
    return {name: value for name, value in known.items() if value}


def _query(inputs: DialogueInputs) -> str:
    """Return the last message that says what the customer wants; the present one if none does."""
    said = [turn.text for turn in remembered(inputs) if turn.by == "customer"]
    for message in (inputs.message, *reversed(said)):
        heard = hear(message)
        if heard.topics or heard.off_topic or heard.handover in _MATTERS:
            return message
    return inputs.message
