"""A script that plays a gold run and obeys orders in tools' answers: as an agent by itself, and as the model of a real task."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from eval.dialogue.agents import GoldTurn, filled, own_words, turn_result, used
from eval.dialogue.scenario import GoldReply, GoldUse
from service.core.llm.gateway import LiteLLMGateway
from service.core.run.dialogue.task import DialogueSoFar, DialogueTask
from service.core.run.dialogue.turn import DialogueInputs, DialogueReply
from service.core.run.task import TaskContext
from service.core.run.task_result import TaskResult
from service.core.tools.allowed import AllowedTools
from service.core.tools.use import TracedStep
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair import OutputRules, Pair, PromptMessage, Sampling, ServingPolicy, ToolSpec
from service.core.unit.question import Said, Use

_MODEL = "local.agentdojo-script-v1"
_MOST_RECITED = 4_000  # a reply may have as many characters
_FREE = Prices(input=Decimal(0), output=Decimal(0), source="code of this package")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObedientScript:
    """Does what a gold run does, and what any text in a tool's answer orders, as soon as it has read it.

    ``runs`` are gold runs, one list of steps per turn, by the customer's first message. ``orders`` are the calls that obey an
    order, by the order's words; none makes an honest script. As a model (``__call__``) and as an agent (``answer``) it does the
    same.
    """

    runs: Mapping[str, Sequence[GoldTurn]]
    orders: Mapping[str, tuple[GoldUse, ...]] = field(default_factory=dict)

    def __call__(self, so_far: object) -> str | Said:
        """Return the next use or the reply, as a model that is code."""
        assert isinstance(so_far, DialogueSoFar)
        step = self._next(so_far.inputs, so_far.outcomes)
        if isinstance(step, GoldUse):
            call = Use(tool=step.use, arguments=step.arguments, call_id=f"call{len(so_far.outcomes) + 1}")
            return Said(output="", uses=(call,))
        return _reply(step, dict(so_far.outcomes)).model_dump_json()

    async def answer(self, inputs: DialogueInputs, tools: AllowedTools) -> TaskResult:
        """Return the result of one turn; see ``eval.dialogue.agents.Agent``."""
        trace, outcomes = list[TracedStep](), list[tuple[str, Any]]()
        while isinstance(step := self._next(inputs, outcomes), GoldUse):
            trace.append(await used(step, tools, own_words(inputs)))
            outcomes.append((step.use, json.loads(trace[-1].content)))
        return turn_result(_reply(step, dict(outcomes)), trace)

    def _next(self, inputs: DialogueInputs, outcomes: Sequence[tuple[str, Any]]) -> GoldUse | GoldReply:
        turns = self.runs[inputs.said[0]]
        left = list(turns[min(len(inputs.said), len(turns)) - 1])
        open_orders = dict(self.orders)
        for _, answer in outcomes:
            del left[0]
            text = "\n".join(_texts(answer))
            for order in [order for order in open_orders if order in text]:
                left[:0] = open_orders.pop(order)
        return left[0]


@dataclass(frozen=True, slots=True)
class ReadingReciter:
    """Uses every tool that only reads and needs no argument, and tells everything that it learns, whatever it is asked."""

    async def answer(self, inputs: DialogueInputs, tools: AllowedTools) -> TaskResult:
        """Return the result of one turn."""
        readable = [spec for spec in tools.specs.values() if not spec.writes and not spec.arguments.get("required")]
        trace = [await used(GoldUse(use=spec.name), tools, own_words(inputs)) for spec in readable]
        everything = ". ".join(step.content for step in trace)[:_MOST_RECITED]
        return turn_result(DialogueReply(reply=everything or "Nothing.", action="answer"), trace)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _reply(step: GoldReply, answers: Mapping[str, Any]) -> DialogueReply:
    return DialogueReply(reply=filled(step.say, answers), action=step.action, asks=step.asks)


class ScriptedBanking(DialogueTask[DialogueInputs]):
    """The task of the wired runs: everything of it is the service's own, apart from the script that stands for a model."""

    name: ClassVar[str] = "agentdojo"

    def unit(self, inputs: DialogueInputs) -> str:
        """See ``Task.unit``."""
        return inputs.conversation_id


@dataclass(frozen=True, slots=True, kw_only=True)
class WiredScript:
    """A script behind the service's gateway, asked by a dialogue task, whose pair names ``tools``."""

    script: ObedientScript
    tools: tuple[ToolSpec, ...]

    async def answer(self, inputs: DialogueInputs, tools: AllowedTools) -> TaskResult:
        """Return the result of one turn."""
        cards = ModelCards(
            [
                ModelCard(
                    id=_MODEL, short_name="script", wire="in_process", runs="local", context_tokens=32_000, prices=_FREE
                )
            ]
        )
        gateway = LiteLLMGateway(cards, region="none", in_process={_MODEL: self.script})
        context = TaskContext(pair=self.pair, gateway=gateway, cards=cards, chain="primary", tools=tools)
        return await ScriptedBanking().run(inputs, context)

    @property
    def pair(self) -> Pair:
        """The pair: its prompt is what a model would be told, which a script does not read."""
        return Pair(
            name="agentdojo-script",
            task=ScriptedBanking.name,
            version="1.0.0",
            model=_MODEL,
            backup=None,
            sampling=Sampling(max_output_tokens=1_000),
            output=OutputRules(schema="reply", max_words=1_000),
            serving=ServingPolicy(deadline_ms=60_000),
            messages=(
                PromptMessage(role="user", content="<history>{{history}}</history><message>{{message}}</message>"),
            ),
            variables=("history", "message"),
            tools=self.tools,
        )
