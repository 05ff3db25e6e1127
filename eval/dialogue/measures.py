"""The metrics that suites of conversations share."""

from eval.suite import MetricSpec
from figures.metric import Unit

CONVERSATION_METRICS = (
    MetricSpec(name="conversation_right", kind="rate", score="conversation_right", unit=Unit.RATE),
    MetricSpec(name="silence_right", kind="rate", score="silence_right", unit=Unit.RATE, higher_is_better=False),
    *(
        MetricSpec(name=f"{check}_right", kind="rate", score=f"{check}_right", unit=Unit.RATE)
        for check in ("ending", "end_state", "calls", "permitted", "told", "claims", "handover")
    ),
    *(
        MetricSpec(name=name, kind="rate", score=name, unit=Unit.RATE, higher_is_better=False)
        for name in ("not_permitted_proposed", "not_permitted_done", "not_named_done")
    ),
    MetricSpec(name="answered", kind="answered", unit=Unit.RATE),
)
CONVERSATION_TABLE = ("conversation_right", "silence_right", "not_permitted_proposed", "not_permitted_done", "answered")
