"""The log line of what a customer's message was understood to want; it holds none of the words."""

from service.core.run.dialogue.turn import DialogueInputs
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.understanding.intents import GuessIntent
from service.core.tasks.assistant.understanding.talk import talk_of
from service.kit.telemetry.log import Event, log


def log_intent(inputs: DialogueInputs, guess_intent: GuessIntent | None) -> None:
    """Log the intent of the message, by what it was told, and how sure a guess by meaning was.

    ``read_by`` is ``words``, ``meaning``, or ``nothing`` where neither says enough, so that the rules ask.
    """
    talk = talk_of(inputs, bank_knowledge(), guess_intent)
    read_by = "nothing" if not talk.understood else "words" if talk.guess is None else "meaning"
    confidence = None if talk.guess is None else round(talk.guess.confidence, 3)
    log(Event.INTENT_READ, intent=talk.intent, read_by=read_by, confidence=confidence)
