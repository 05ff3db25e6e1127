"""``omni bench conversations``: the CPU time of playing and scoring 200 conversations of 8 turns with a scripted model.

The conversations go through the harness's own runner, with its reply cache on disk; the scripted model uses a tool in every turn.
CPU time, because other work on the machine slows the clock's only.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from eval.dialogue.play import DialogueEpisode
from eval.dialogue.scenario import ConversationScenario, DialogueExpectations, ExpectedCall, GoldReply, Told
from eval.dialogue.scorers import DialogueScorer
from eval.dialogue.world import RecordsWorld
from eval.instruments.bench.steps import MODEL, bench_card, bench_pair
from eval.run.reply_cache import ReplyCache
from eval.run.runner import ArmJob, Runner
from eval.spine.cases import Case
from eval.spine.results import CaseResult
from eval.spine.scorer import ScorerContext, safe_score
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs
from service.core.unit.cards import ModelCards
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use
from service.kit.frame.display.terminal import say
from service.kit.telemetry.log import configure_logging

CONVERSATIONS, TURNS, ROUNDS = 200, 8, 3
BOUND_S = 30.0
_FACTS = tuple(f"fact {number}" for number in range(1, TURNS))
_LOOK_UP = ToolSpec(
    name="look_up",
    description="Look a record up.",
    arguments={"type": "object", "properties": {"turn": {"type": "integer"}}, "required": ["turn"]},
)
_PAIR = bench_pair(
    "Answer the customer. " * 100, "<history>{{history}}</history><message>{{message}}</message>", (_LOOK_UP,)
)


class _Dialogue(DialogueTask[DialogueInputs]):
    name: ClassVar[str] = "bench"

    def unit(self, inputs: DialogueInputs) -> str | None:
        return inputs.conversation_id


class _Scripted:
    """Looks something up in each turn, then asks for the next fact, and answers in the last turn."""

    async def complete(self, call: ModelCall) -> ModelReply:
        turn = call.messages[-1].content.count("Assistant:")
        usage, uses, text = Usage(input_tokens=1000, output_tokens=50), tuple[Use, ...](), ""
        if not call.turns:
            uses = (Use(tool="look_up", arguments={"turn": turn}, call_id=f"tooluse_{turn}"),)
        elif turn < TURNS - 1:
            text = json.dumps({"reply": f"What is {_FACTS[turn]}?", "action": "clarify", "asks": [_FACTS[turn]]})
        else:
            text = json.dumps({"reply": f"Record {turn} says Thursday.", "action": "answer"})
        return ModelReply(
            text=text,
            uses=uses,
            usage=usage,
            stop_reason="tool_use" if uses else "end_turn",
            latency_ms=1.0,
            answered_by=MODEL,
        )


def _look_up(records: dict[str, Any], arguments: Mapping[str, Any]) -> object:
    return {"turn": arguments["turn"], "due": records["due"]}


def _world(scenario: ConversationScenario) -> RecordsWorld:
    return RecordsWorld(scenario.world, (_LOOK_UP,), {"look_up": _look_up})


def _case(number: int) -> Case:
    knows = {name: {"says": [f"It is {name} of case {number}."]} for name in _FACTS}
    customer = {"goal": "learn the day", "opens": ["When does it come?"], "knows": knows, "patience": TURNS}
    return Case(
        id=f"case-{number:03d}",
        inputs={"world": {"due": "Thursday", "log": [number] * 20}, "customer": customer},
        expectations=DialogueExpectations(
            calls=(ExpectedCall(tool="look_up", arguments={"turn": TURNS - 1}),),
            told=(Told(statement="the day", accepted=("Thursday",)),),
            gold=((GoldReply(say="{look_up.due}"),),),
        ),
    )


def main() -> int:
    """Measure, print, and return 1 if the bound is missed or a conversation went wrong."""
    configure_logging("ERROR")
    cases = [_case(number) for number in range(CONVERSATIONS)]
    spent = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            results = asyncio.run(_played(cases, Path(folder)))
            right = sum(map(_is_right, cases, results))
            spent.append(time.process_time() - began)
    cost = statistics.median(spent)
    met = cost <= BOUND_S
    say(
        f"{CONVERSATIONS} conversations of {TURNS} turns, played and scored: {cost:.2f} s of CPU ({min(spent):.2f} to "
        f"{max(spent):.2f}), {cost / CONVERSATIONS / TURNS * 1000:.2f} ms a turn; bound {BOUND_S:.0f} s: "
        f"{'met' if met else 'missed'}; {right} of {CONVERSATIONS} right"
    )
    return 0 if met and right == CONVERSATIONS else 1


async def _played(cases: list[Case], folder: Path) -> list[CaseResult]:
    cache = ReplyCache(folder)
    runner = Runner(
        task=_Dialogue(),
        gateway=_Scripted(),
        cards=ModelCards([bench_card(MODEL)]),
        cache=cache,
        run_id="bench",
        concurrency=8,
        spacing_s=0.0,
        episode=DialogueEpisode(world=_world, specs=(_LOOK_UP,)),
    )
    try:
        return await runner.run(ArmJob(pair=_PAIR, arm="primary", cases=tuple(cases)), lambda *_: None)
    finally:
        cache.close()


def _is_right(case: Case, item: CaseResult) -> bool:
    context = ScorerContext(
        case=case,
        inputs=ConversationScenario.model_validate(case.inputs),
        result=item.result,
        output=item.result.output or "",
    )
    return safe_score(DialogueScorer(), context)["conversation_right"].value == 1.0
