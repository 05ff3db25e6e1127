"""The metrics that suites of conversations share, with their pools: ``metrics=CONVERSATION_METRICS, pools=CONVERSATION_POOLS``.

``pass_4`` needs a suite with ``least_repeats=4``; with fewer it counts every case as unscored.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from eval.dialogue.judging import CHECKS
from eval.dialogue.record import ConversationRecord
from eval.spine.pool import Pool
from eval.spine.scorer import parsed_output
from eval.spine.suite import MetricSpec
from eval.verdict.pools.conversations import CostPerResolved, TurnsPerConversation
from eval.verdict.pools.passing import PassHat
from eval.verdict.pools.readers import ScoreReaches
from figures.metric import Unit
from service.core.run.task import TaskResult
from service.core.tools.documents import documents_in

_RIGHT = ScoreReaches("conversation_right")


def turns_of(result: TaskResult) -> int:
    """Return how many messages of the customer the recorded conversation has."""
    return len(parsed_output(result.output or "", ConversationRecord).turns)


@dataclass(frozen=True, slots=True)
class FoundInConversation:
    """The documents that the task found in a conversation with a tool that searches documents: a ``DocumentsOf``."""

    tool: str

    def __call__(self, result: TaskResult) -> tuple[str, ...]:
        """Return their ids, search after search."""
        uses = ConversationRecord.model_validate_json(result.output or "").uses
        done = (use for use in uses if use.tool == self.tool and use.status == "done")
        return tuple(document for use in done for document in documents_in(use.content))


CONVERSATION_POOLS: Mapping[str, Pool] = {
    "pass_4": PassHat(k=4, right=_RIGHT),
    "turns": TurnsPerConversation(turns=turns_of),
    "cost_per_resolved": CostPerResolved(resolved=_RIGHT),
}
CONVERSATION_METRICS = (
    MetricSpec(name="conversation_right", kind="rate", score="conversation_right", unit=Unit.RATE),
    MetricSpec(name="pass_4", kind="pooled", score="pass_4", unit=Unit.RATE),
    MetricSpec(name="silence_right", kind="rate", score="silence_right", unit=Unit.RATE, higher_is_better=False),
    *(MetricSpec(name=f"{check}_right", kind="rate", score=f"{check}_right", unit=Unit.RATE) for check in CHECKS),
    *(
        MetricSpec(name=name, kind="never", score=name, unit=Unit.EVENTS, higher_is_better=False)
        for name in ("not_permitted_proposed", "not_permitted_done", "not_named_done")
    ),
    MetricSpec(name="answered", kind="answered", unit=Unit.RATE),
    MetricSpec(name="turns", kind="pooled", score="turns", unit=Unit.COUNT, higher_is_better=False),
    MetricSpec(name="latency_p50", kind="latency", quantile=0.50, unit=Unit.MS, higher_is_better=False),
    MetricSpec(name="latency_p95", kind="latency", quantile=0.95, unit=Unit.MS, higher_is_better=False),
    MetricSpec(name="on_time", kind="on_time", unit=Unit.RATE),
    MetricSpec(
        name="cost_per_resolved", kind="pooled", score="cost_per_resolved", unit=Unit.USD, higher_is_better=False
    ),
)
CONVERSATION_TABLE = (
    "conversation_right",
    "pass_4",
    "silence_right",
    "not_permitted_proposed",
    "not_permitted_done",
    "turns",
    "latency_p95",
    "cost_per_resolved",
    "answered",
)
