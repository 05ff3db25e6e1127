"""One turn of the rules: the uses of tools that it waits for, and what it will say."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs
from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.understanding.talk import Talk
from service.core.tasks.assistant.wording import Worded
from service.core.unit.question import ToolTurn, Use

_TRIES = 3  # a reading tool that failed three times is not asked again
# What a run tells the model of a writing call that may have happened (service.core.tools.allowed).
_UNSURE = ("did not answer in time", "outcome is unknown", "the tool failed")
_NEEDED = {
    "get_debit_card_info": ("card_details", "ordering_process"),
    "find_nearest_branch": ("branches", "branches_found"),
    "check_hours": ("open", "hours"),
    "queue_position": ("position",),
    "request_callback": ("callback_id",),
    "transfer_to_agent": ("transfer_id",),
}


@dataclass(slots=True)
class TurnTools:
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

    def unsure(self, tool: str, **arguments: Any) -> bool:
        """Return whether ``tool`` was called and nobody knows whether it did its work."""
        answers = [answer for use, answer in self._uses() if (use.tool, dict(use.arguments)) == (tool, arguments)]
        return any(
            mark in str(answer.get("error", "")) for answer in answers if isinstance(answer, dict) for mark in _UNSURE
        )


def _is_answer(tool: str, answer: Any) -> bool:
    needed = _NEEDED.get(tool, ("documents_required", "process_steps", "processing_time"))
    return isinstance(answer, dict) and all(name in answer for name in needed)


@dataclass(slots=True, kw_only=True)
class OpenTurn:
    """One turn of the assistant: collects what to say, or the uses of tools that it waits for."""

    inputs: DialogueInputs
    talk: Talk
    tools: TurnTools
    parts: list[Worded] = field(default_factory=list)
    asks: tuple[str, ...] = ()
    failed: bool = False
    unsure: bool = False  # whether a call is arranged that was asked for
    help: str = ""

    @property
    def spoken(self) -> bool:
        """Whether the customer hears the reply: it has no lists then."""
        return self.inputs.session.get("channel") == "voice"

    def say(self, text: str) -> None:
        """Add a text without claims to the reply."""
        self.parts.append(Worded(text))

    def ask(self, name: str, question: str = "") -> None:
        """Ask for one thing; a second question waits."""
        if not self.asks:
            self.asks = (name,)
            self.say(question or persona().questions[name][0])

    def look_up(self, tool: str, worded: Callable[[Mapping[str, Any]], Worded], **arguments: Any) -> None:
        """Say what a tool answers, or wait for it."""
        found = self.tools.answer(tool, **arguments)
        if found == "failed":
            self.failed = True
            self.unsure = self.unsure or (tool == "request_callback" and self.tools.unsure(tool, **arguments))
        elif found is not None:
            self.parts.append(worded(found))


def saying(*names: str) -> str:
    """Return sayings of the persona, one after the other."""
    return " ".join(persona().sayings[name] for name in names)
