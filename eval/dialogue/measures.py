"""The metrics and pools that suites of conversations share."""

from collections.abc import Mapping

from eval.dialogue.judging import CHECKS
from eval.dialogue.record import ConversationRecord
from eval.pool import Pool
from eval.pools.conversations import CostPerResolved, TurnsPerConversation
from eval.pools.passing import PassHat
from eval.pools.readers import ScoreReaches
from eval.suite import MetricSpec
from figures.metric import Unit
from service.task import TaskResult

RIGHT = ScoreReaches("conversation_right")


def turns_of(result: TaskResult) -> int:
    """Return the number of a conversation's turns."""
    return len(ConversationRecord.model_validate_json(result.output or "").turns)


CONVERSATION_POOLS: Mapping[str, Pool] = {
    "pass_4": PassHat(k=4, right=RIGHT),
    "turns": TurnsPerConversation(turns=turns_of),
    "usd_per_resolved": CostPerResolved(resolved=RIGHT),
}
CONVERSATION_METRICS = (
    MetricSpec(name="conversation_right", kind="rate", score="conversation_right", unit=Unit.RATE),
    MetricSpec(name="silence_right", kind="rate", score="silence_right", unit=Unit.RATE, higher_is_better=False),
    *(MetricSpec(name=f"{check}_right", kind="rate", score=f"{check}_right", unit=Unit.RATE) for check in CHECKS),
    *(
        MetricSpec(name=name, kind="never", score=name, unit=Unit.EVENTS, higher_is_better=False)
        for name in ("not_permitted_proposed", "not_permitted_done", "not_named_done")
    ),
    MetricSpec(name="turns", kind="pooled", score="turns", unit=Unit.COUNT, higher_is_better=False),
    MetricSpec(name="usd_per_resolved", kind="pooled", score="usd_per_resolved", unit=Unit.USD, higher_is_better=False),
    MetricSpec(name="turn_p95", kind="latency", quantile=0.95, unit=Unit.MS, higher_is_better=False),
    MetricSpec(name="answered", kind="answered", unit=Unit.RATE),
)
# Needs a suite with ``least_repeats=4``; conversation_right is pass^1.
PASS_4 = MetricSpec(name="pass_4", kind="pooled", score="pass_4", unit=Unit.RATE)
CONVERSATION_TABLE = (
    "conversation_right",
    "silence_right",
    "not_permitted_proposed",
    "not_permitted_done",
    "turns",
    "usd_per_resolved",
    "turn_p95",
    "answered",
)
