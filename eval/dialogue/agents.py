"""Agents without a model: the gold run of a case, and five that do nothing useful and must never pass."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eval.dialogue.scenario import ConversationScenario, DialogueExpectations, GoldReply, GoldUse
from service.core.run.dialogue.turn import DialogueInputs, DialogueReply, HandoverNote
from service.core.run.task import TaskResult
from service.core.run.task_result import NO_MODEL
from service.core.tools.allowed import AllowedTools
from service.core.tools.provenance import Sources
from service.core.tools.use import TracedStep
from service.core.unit.question import Use

GoldTurn = Sequence[GoldUse | GoldReply]
PLACEHOLDER = re.compile(r"\{([A-Za-z][\w-]*)\.([\w.]+)\}")
SourcesOf = Callable[[DialogueInputs], Sources]
_TIMEOUT_S = 60.0  # the tools of a world answer at once


class Agent(Protocol):
    """Answers the turns of one conversation, as a task under evaluation does (``eval.spine.episode.AnswerRun``)."""

    async def __call__(self, inputs: DialogueInputs, tools: AllowedTools) -> TaskResult:
        """Return the result of one turn."""
        ...


def own_words(inputs: DialogueInputs) -> Sources:
    """Return what a task knows of a turn that reads nothing into the customer's words."""
    return Sources(said=inputs.said, records=tuple(inputs.session.values()))


@dataclass(slots=True)
class GoldAgent:
    """Follows a gold run, one list of steps per turn. It knows only what the tools returned: placeholders are filled from it.

    A placeholder of a tool that has not answered stays as it is. A conversation longer than the run gets its last turn again.
    ``sources`` returns what the arguments of its calls may come from.
    """

    turns: Sequence[GoldTurn]
    sources: SourcesOf = own_words
    _turn: int = field(init=False, default=0)
    _answers: dict[str, Any] = field(init=False, default_factory=dict)

    async def __call__(self, inputs: DialogueInputs, tools: AllowedTools) -> TaskResult:
        """See ``Agent``."""
        steps = self.turns[min(self._turn, len(self.turns) - 1)]
        self._turn += 1
        trace, reply = list[TracedStep](), DialogueReply(reply="...", action="answer")
        for step in steps:
            if isinstance(step, GoldUse):
                trace.append(await used(step, tools, self.sources(inputs)))
                if trace[-1].status == "done":
                    self._answers[step.use] = json.loads(trace[-1].content)
            else:
                reply = self._filled(step)
        return turn_result(reply, trace)

    def _filled(self, step: GoldReply) -> DialogueReply:
        note = step.handover
        return DialogueReply(
            reply=filled(step.say, self._answers),
            action=step.action,
            asks=step.asks,
            handover=None if note is None else note.model_copy(update={"context": filled(note.context, self._answers)}),
        )


def filled(text: str, answers: Mapping[str, Any]) -> str:
    """Return ``text`` with each ``{tool.field}`` replaced by that field of the tool's answer; unknown ones stay."""

    def value(match: re.Match[str]) -> str:
        found = answers.get(match[1])
        for part in match[2].split("."):
            if isinstance(found, Mapping):
                found = found.get(part)
            elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                return match[0]
        if found is None:
            return match[0]
        return ", ".join(map(str, found)) if isinstance(found, list) else str(found)

    return PLACEHOLDER.sub(value, text)


async def used(step: GoldUse, tools: AllowedTools, sources: Sources) -> TracedStep:
    """Use a tool as a run does, and return the step of its trace."""
    outcome = await tools.use(Use(tool=step.use, arguments=dict(step.arguments)), sources=sources, timeout_s=_TIMEOUT_S)
    return TracedStep(
        kind="tool",
        name=step.use,
        arguments=dict(step.arguments),
        status=outcome.status,
        reason=outcome.reason,
        content=outcome.content,
        undecided=outcome.undecided,
        ms=outcome.ms,
    )


def turn_result(reply: DialogueReply, trace: Sequence[TracedStep] = ()) -> TaskResult:
    """Return the result of a turn that code answered."""
    return TaskResult(
        output=reply.model_dump_json(),
        arm="none",
        model=NO_MODEL,
        answered_by=NO_MODEL,
        latency_ms=0.0,
        trace=tuple(trace),
    )


@dataclass(frozen=True, slots=True)
class Repeating:
    """Gives the same reply at every turn."""

    reply: DialogueReply

    async def __call__(self, inputs: DialogueInputs, tools: AllowedTools) -> TaskResult:
        """See ``Agent``."""
        return turn_result(self.reply)


@dataclass(frozen=True, slots=True)
class Parrot:
    """Says what the customer said."""

    async def __call__(self, inputs: DialogueInputs, tools: AllowedTools) -> TaskResult:
        """See ``Agent``."""
        return turn_result(DialogueReply(reply=inputs.message, action="answer"))


@dataclass(frozen=True, slots=True)
class Reciting:
    """Tells everything that the world's records hold, whoever asks: it sees more than any task could."""

    records: Mapping[str, Any]

    async def __call__(self, inputs: DialogueInputs, tools: AllowedTools) -> TaskResult:
        """See ``Agent``."""
        everything = ". ".join(_leaves(self.records, ""))[:4_000] or "Nothing."
        return turn_result(DialogueReply(reply=everything, action="answer"))


def _leaves(value: Any, path: str) -> list[str]:
    if isinstance(value, Mapping):
        return [leaf for name, item in value.items() for leaf in _leaves(item, f"{path} {name}")]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item, path)]
    return [f"{path.strip()} {value}"]


def degenerate_agents(scenario: ConversationScenario, expected: DialogueExpectations) -> dict[str, Agent]:
    """Return five agents that must fail every case, by name.

    The one that hands over always gives the first reason that the case accepts, or a usual one: only the context that it
    cannot know must give it away.
    """
    reason = expected.handover.reasons[0] if expected.handover is not None else "asked for a person"
    note = HandoverNote(reason=reason, context="The customer needs help.")
    return {
        "silent": Repeating(DialogueReply(reply=".", action="answer")),
        "refuses all": Repeating(DialogueReply(reply="I am sorry, I cannot help you with that.", action="answer")),
        "hands over always": Repeating(
            DialogueReply(reply="Let me connect you to a colleague.", action="handover", handover=note)
        ),
        "recites everything": Reciting(scenario.world),
        "parrots": Parrot(),
    }
