"""A service that answers in conversations: the throw-away parcel task behind the API, with a model that is code."""

import threading
from dataclasses import replace
from pathlib import Path

from builders import changed, make_pair
from throwaway.parcels.task import LIVE, SPECS, Parcels

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.release.served import PairSourceStatus, ServedPair
from service.core.tools.serving import build_task_tools
from service.core.unit.cards import ModelCards
from service.core.unit.pair import ServingPolicy
from service.core.unit.question import Said

GREETING = "Hello! I am an AI assistant of the parcel service. How can I help?"
PAIR = make_pair(
    task="parcels",
    name="courteous",
    model="local.courteous-v1",
    asked="<history>{{history}}</history><message>{{message}}</message>",
    tools=SPECS,
    serving=ServingPolicy(deadline_ms=60_000),  # a busy machine is slow, and that is no test's subject
)


class GreetingParcels(Parcels):
    def greeting(self):
        return GREETING


class Code:
    """Runs the task's in-process models; ``before`` is awaited before each answer."""

    def __init__(self, task, before=None):
        self.task, self.before, self.calls = task, before, 0

    async def complete(self, call):
        self.calls += 1
        if self.before is not None:
            await self.before(call)
        answer = self.task.in_process[call.model](call.document)
        said = answer if isinstance(answer, Said) else Said(output=answer)
        return ModelReply(
            text=said.output,
            uses=said.uses,
            usage=Usage(),
            stop_reason="tool_use" if said.uses else "end_turn",
            latency_ms=1.0,
            answered_by="code",
        )


class Source:
    served = ServedPair(
        pair=PAIR, registry_version=7, sequence=3, released_at="t", released_by="dana", source="registry"
    )

    def current(self):
        return self.served

    def status(self):
        return PairSourceStatus(served=self.served, last_refresh_at="t", last_error=None, age_s=1.0)

    def start(self):
        pass

    stop = start


def parcel_runtime(api_runtime, before=None, deadline_ms=None, **changes):
    """Return a runtime of the parcel task, with two parcels on their way."""
    LIVE["parcels"] = {
        number: {"status": "on its way", "due": "2026-11-25", "address": "1 Old Road"}
        for number in ("AB123456", "CD123456")
    }
    LIVE["keys"] = []
    task, source = GreetingParcels(), Source()
    if deadline_ms is not None:
        source.served = replace(source.served, pair=replace(PAIR, serving=ServingPolicy(deadline_ms=deadline_ms)))
    made = api_runtime(
        tasks={"parcels": task},
        pair_sources={"parcels": source},
        cards=ModelCards.load(Path(__file__).parent / "throwaway" / "parcels" / "models.yaml"),
        gateway=Code(task, before),
        **changes,
    )
    tools = build_task_tools(made.settings, {"parcels": task.tool_functions}, None)
    checking = threading.Thread(target=tools["parcels"].check, args=(PAIR,))  # as before a pair is served
    checking.start()
    checking.join()
    return changed(made, tools=tools)
