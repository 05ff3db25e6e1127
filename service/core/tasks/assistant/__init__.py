"""The task ``assistant``: answers a bank's customers about accounts, cards and branches from its tools, or hands over."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

from pydantic import BaseModel

from service.core.llm.model_call import InProcessModels
from service.core.run.dialogue.task import DialogueSoFar, DialogueTask
from service.core.run.dialogue.turn import DialogueInputs, DialogueReply, HandoverFacts
from service.core.run.task import Steps, TaskContext
from service.core.run.task_result import TaskResult
from service.core.tasks.assistant.first_help import first_help
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.persona import persona, remembered
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.rules import BY_MEANING_ID, MODEL_ID, rules, rules_by_meaning, rules_go_first
from service.core.tasks.assistant.story import handover_facts, numbers_said
from service.core.tasks.assistant.tools import FUNCTIONS, live_bank
from service.core.tasks.assistant.understanding.by_meaning import OWN_TROUBLE, OWN_WEIGHTS, guess_by_meaning
from service.core.tasks.assistant.understanding.intents import GuessIntent
from service.core.tasks.assistant.understanding.talk import talk_of
from service.core.tasks.assistant.validation.guard import AssistantGuard
from service.core.tools.functions import ToolFunction
from service.core.tools.provenance import Sources
from service.core.tools.use import TracedStep
from service.core.unit.pair import Artifact, Pair
from service.core.unit.question import DialogueTurn, ToolTurn
from service.kit.frame.errors import ModelUnusable
from service.kit.telemetry.log import Event, log


class BankAssistant(DialogueTask[DialogueInputs]):
    """One turn with a customer of the bank."""

    name: ClassVar[str] = "assistant"
    input_model: ClassVar[type[BaseModel]] = DialogueInputs
    output_model: ClassVar[type[DialogueReply]] = AssistantReply
    in_process: ClassVar[InProcessModels] = {MODEL_ID: rules, BY_MEANING_ID: rules_by_meaning}
    fallback_model: ClassVar[str | None] = MODEL_ID
    tool_functions: ClassVar[Sequence[ToolFunction]] = FUNCTIONS
    artifact_names: ClassVar[frozenset[str]] = frozenset({OWN_WEIGHTS.name, OWN_TROUBLE.name})
    built_in: ClassVar[Sequence[Artifact]] = (OWN_WEIGHTS, OWN_TROUBLE)
    checks: ClassVar[tuple[str, ...]] = ("fabricated_data", "domain", "documents", "branches", "promises", "disclosure")

    def greeting(self) -> str:
        """Return the greeting with the disclosure, which the first reply then leaves out."""
        return f"{persona().greeting} {persona().disclosure} How can I assist you today?"

    def handover_facts(self, inputs: DialogueInputs) -> HandoverFacts:
        """Return the customer's wish, the topics, and what is known of account, card, place and number."""
        return handover_facts(inputs)

    def queue_message(self, *, position: int, minutes: int, waiting: int | None = None) -> str:
        """Return the bank's own words about a place in the queue."""
        return live_bank().queue_message(position, minutes, waiting)

    def values(self, inputs: DialogueInputs) -> Mapping[str, str]:
        """Return the variables' texts; the history is what the assistant remembers."""
        return super().values(inputs.model_copy(update={"history": tuple(remembered(inputs))}))

    def sources(self, inputs: DialogueInputs) -> Sources:
        """See ``Task.sources``; also the number that the customer said in words or in pieces, in digits."""
        return Sources(said=(*inputs.said, *numbers_said(inputs)), records=tuple(inputs.session.values()))

    def unit(self, inputs: DialogueInputs) -> str:
        """Return the conversation, so that one pair answers all its turns."""
        return inputs.conversation_id

    async def run(self, inputs: DialogueInputs, context: TaskContext) -> TaskResult:
        """See ``Task.run``. Serving, log what the message was understood to want, whoever words the reply."""
        if context.chain == "serve":
            log_intent(inputs, _guess_of(context.pair))
        return await super().run(inputs, context)

    def steps(self, inputs: DialogueInputs, pair: Pair) -> Steps:
        """See ``Task.steps``. In a model's pair that names weights of trouble the rules help in trouble and arrange calls."""
        guess = _guess_of(pair)
        if not _is_hybrid(pair) or not rules_go_first(inputs, guess):
            return (yield from super().steps(inputs, pair))
        answer, turns = rules if guess is None else rules_by_meaning, tuple[DialogueTurn, ...]()
        while True:
            said = answer(DialogueSoFar(inputs=inputs, turns=turns, may_use_tools=bool(pair.tools), pair=pair))
            if isinstance(said, str):
                return said
            contents = []
            for use in said.uses:
                outcome = yield use
                contents.append(outcome.content)
            turns = (*turns, ToolTurn(text="", uses=said.uses, contents=tuple(contents)))

    def unverified(self) -> Sequence[str]:
        """Return the numbers of first help that nobody has read on their owner's page."""
        return [f"{each.number} ({name})" for name, each in first_help().contacts.items() if each.unverified]

    def guard(self, inputs: DialogueInputs, seen: Sequence[TracedStep] = ()) -> AssistantGuard:
        """Return the guard that looks up each fact and promise of a model's reply in what the tools of this turn returned."""
        return AssistantGuard(inputs, seen)


def _is_hybrid(pair: Pair) -> bool:
    return pair.model not in BankAssistant.in_process and any(each.name == OWN_TROUBLE.name for each in pair.artifacts)


def _guess_of(pair: Pair) -> GuessIntent | None:
    if BY_MEANING_ID in pair.models or _is_hybrid(pair):
        with suppress(ModelUnusable):  # then the rules without it answer, and the answer says so
            return guess_by_meaning(pair)
    return None


def log_intent(inputs: DialogueInputs, guess_intent: GuessIntent | None) -> None:
    """Log the intent of the message, by what it was told, and how sure a guess by meaning was.

    ``read_by`` is ``words``, ``meaning``, or ``nothing`` where neither says enough, so that the rules ask.
    """
    talk = talk_of(inputs, bank_knowledge(), guess_intent)
    read_by = "nothing" if not talk.understood else "words" if talk.guess is None else "meaning"
    confidence = None if talk.guess is None else round(talk.guess.confidence, 3)
    log(Event.INTENT_READ, intent=talk.intent, read_by=read_by, confidence=confidence)


TASK = BankAssistant()
