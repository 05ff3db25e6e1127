"""The base class of tasks that answer a turn of a conversation, with tools or without."""

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel

from service.core.run.dialogue.turn import DialogueInputs, DialogueReply, HandoverFacts, Spoken
from service.core.run.task import Steps, Task
from service.core.statements.answers.typed import typed_answer
from service.core.tools.provenance import Sources
from service.core.tools.use import TracedStep
from service.core.unit.pair import OutputRules, Pair
from service.core.unit.question import DialogueTurn, Question, Said, ToolTurn, Use
from service.kit.frame.canonical import canonical_json
from service.kit.frame.errors import OutputInvalid

D = TypeVar("D", bound=DialogueInputs)
_NO_ID = "[text]"
_SHORTEST_NAME = 6  # characters of an id without digits; a shorter one is a word of many replies


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSoFar:
    """What an in-process model is given: the turn's inputs, and the tools that this run has used, with what came of them.

    ``may_use_tools`` is False for a task's fallback, whose answer must be a reply. ``pair`` is the one that is asked, for its
    artifacts; None: the task's own.
    """

    inputs: DialogueInputs
    turns: tuple[DialogueTurn, ...] = ()
    may_use_tools: bool = False
    pair: Pair | None = field(default=None, compare=False, repr=False)

    @property
    def outcomes(self) -> tuple[tuple[str, Any], ...]:
        """The name of each tool used in this run, with its answer as JSON values."""
        return tuple(
            (use.tool, json.loads(content))
            for turn in self.turns
            if isinstance(turn, ToolTurn)
            for use, content in zip(turn.uses, turn.contents, strict=True)
        )


class DialogueTask(Task[D]):
    """Asks the model, uses the tools that it wants, and asks again until it replies.

    The variables of its prompts are ``history``, ``message`` and ``session``. A model replies with JSON of ``output_model``.
    """

    input_model: ClassVar[type[BaseModel]] = DialogueInputs
    output_model: ClassVar[type[DialogueReply]] = DialogueReply
    variables: ClassVar[frozenset[str]] = frozenset({"history", "message", "session"})
    most_steps: ClassVar[int] = 24
    # What the task's guard looks for, as the audit names it.
    checks: ClassVar[tuple[str, ...]] = ()
    # A fallback uses no tools, so each moment of overload would send its customers to a person.
    fallback_when_crowded: ClassVar[bool] = False

    @abstractmethod
    def unit(self, inputs: D) -> str | None:
        """See ``Task.unit``; a conversation must stay with one pair, so a dialogue cannot leave it out."""

    def conversation(self, inputs: D) -> str:
        """See ``Task.conversation``."""
        return inputs.conversation_id

    def greeting(self) -> str | None:
        """Return what a channel says before the customer does, such as that an AI answers. It begins the history."""
        return None

    def handover_facts(self, inputs: D) -> HandoverFacts:
        """Return what the person who takes the conversation over should know, read from what was said until ``inputs``.

        What the channel has verified is added to it.
        """
        return HandoverFacts(query=inputs.message)

    def queue_message(self, *, position: int, minutes: int, waiting: int | None = None) -> str:
        """Return what a customer is told about a place in the queue for a person; position 1 is next.

        ``waiting`` is how many wait, for a customer who still decides whether to; None for one who waits already.
        """
        if position == 1:
            return "You're next in line."
        return f"You are number {position} in the queue. The estimated wait is about {minutes} minutes."

    def values(self, inputs: D) -> Mapping[str, str]:
        """See ``Task.values``."""
        return {
            "history": "\n".join(map(_line, inputs.history)) or "Nothing was said before.",
            "message": inputs.message,
            "session": "\n".join(f"{name}: {value}" for name, value in sorted(inputs.session.items())) or "Nothing.",
        }

    def check(self, text: str, rules: OutputRules) -> str:
        """Return the reply in ``text`` as canonical JSON; see ``Task.check``."""
        reply = typed_answer(text, self.output_model)
        if fault := reply.fault():
            raise OutputInvalid(f"the reply is not as it must be: {fault}", raw_text=text)
        if len(reply.reply.split()) > rules.max_words:
            raise OutputInvalid(f"the reply has more than {rules.max_words} words", raw_text=text)
        return canonical_json(reply.model_dump(mode="json"))

    def without_ids(self, inputs: D, pseudonym: Callable[[str], str]) -> D | None:
        """See ``Task.without_ids``; the texts are redacted where answers are kept.

        Of the session, a word that is no id, such as a language, is left out without being searched in the texts.
        """
        session = {
            name: pseudonym(value) if _may_be_an_id(value, self.output_model) else _NO_ID
            for name, value in inputs.session.items()
        }
        return inputs.model_copy(update={"conversation_id": pseudonym(inputs.conversation_id), "session": session})

    def document(self, inputs: D) -> object:
        """See ``Task.document``."""
        return DialogueSoFar(inputs=inputs)

    def document_after(self, inputs: D, pair: Pair, seen: Sequence[TracedStep]) -> object:
        """See ``Task.document_after``: the fallback tells what the run's tools did and found, also of a turn that was late."""
        used = [step for step in seen if step.kind == "tool" and step.content]
        uses = tuple(Use(tool=step.name, arguments=step.arguments or {}) for step in used)
        turn = ToolTurn(text="", uses=uses, contents=tuple(step.content for step in used))
        return DialogueSoFar(inputs=inputs, turns=(turn,) if used else ())

    def sources(self, inputs: D) -> Sources:
        """See ``Task.sources``: the customer's words, and what the channel has verified."""
        return Sources(said=inputs.said, records=tuple(inputs.session.values()))

    def steps(self, inputs: D, pair: Pair) -> Steps:
        """See ``Task.steps``."""
        values, turns = self.values_for(inputs, pair), tuple[DialogueTurn, ...]()
        while True:
            answer = yield Question(
                values=values,
                document=DialogueSoFar(inputs=inputs, turns=turns, may_use_tools=bool(pair.tools), pair=pair),
                read=lambda text: self.check(text, pair.output),
                turns=turns,
                tools=bool(pair.tools),
            )
            said = answer if isinstance(answer, Said) else Said(output=answer)
            if not said.uses:
                return said.output
            contents = []
            for use in said.uses:
                outcome = yield use
                contents.append(outcome.content)
            turns = (*turns, ToolTurn(text=said.output, uses=said.uses, contents=tuple(contents)))


def _line(turn: Spoken) -> str:
    # A line break of the customer's must not look like another turn.
    return f"{turn.by.capitalize()}: {turn.text}".replace("\n", "\n  ")


def _may_be_an_id(value: str, form: type[BaseModel]) -> bool:
    """Return whether a kept reply can lose ``value`` without losing its form or its ordinary words."""
    if any(character.isdigit() for character in value):
        return True
    return len(value) >= _SHORTEST_NAME and not any(value.casefold() in word for word in _words_of(form))


@cache
def _words_of(form: type[BaseModel]) -> frozenset[str]:
    """Return the words that make the JSON of ``form`` what it is: its fields' names, and the values that it accepts."""

    def found(schema: object) -> Iterator[str]:
        if isinstance(schema, Mapping):
            yield from schema.get("properties", ())
            yield from (each for each in (*schema.get("enum", ()), schema.get("const")) if isinstance(each, str))
            schema = list(schema.values())
        if isinstance(schema, list):
            for each in schema:
                yield from found(each)

    return frozenset(word.casefold() for word in found(form.model_json_schema()))
