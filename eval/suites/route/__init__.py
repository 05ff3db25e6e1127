"""The suite of ``route``: where messages go, to whom, how urgent they are, and whether a decision explains itself."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from eval.spine.case_rules import CaseRules, FileRules, Minimum, Passage, SliceValue
from eval.spine.cases import Case
from eval.spine.suite import Floor, MetricSpec, MustPass, NoWorse, Suite
from eval.suites.route.labels import RouteExpectations, labels_of
from eval.suites.route.scorers import DestinationScorer, FairnessScorer
from figures.metric import Unit
from service.core.tasks.route.situation import RouteInputs

MOMENTS = (
    "asked_for_person",
    "failed_attempts",
    "urgent",
    "unsure",
    "automated",
    "skill",
    "language",
    "limit",
    "continuity",
    "queue_order",
    "after_hours",
    "repeat",
    "vip",
)
_CHANNELS = ("chat", "email", "sms", "web", "mobile_app", "social", "voice")
_SLICES: dict[str, tuple[SliceValue, ...]] = {
    "moment": MOMENTS,
    "language": ("en", "es", "pl"),
    "channel": _CHANNELS,
}
_RATES = (
    "destination_right",
    "agent_right",
    "place_right",
    "urgency_right",
    "person_given",
    "automated",
    "agent_able",
    "explained",
)


def _text(inputs: BaseModel) -> tuple[Passage, ...]:
    """Return what the customer wrote; agents are shared by cases on purpose."""
    assert isinstance(inputs, RouteInputs)
    return (Passage(id="text", text=inputs.message.text),)


def _observed(inputs: BaseModel) -> Mapping[str, SliceValue]:
    assert isinstance(inputs, RouteInputs)
    return {"language": inputs.message.language, "channel": inputs.message.channel.value}


def _labels(case: Case, inputs: BaseModel) -> Iterator[str]:
    assert isinstance(inputs, RouteInputs)
    if strange := set(labels_of(case).agents) - {agent.id for agent in inputs.agents}:
        yield f"agents {', '.join(sorted(strange))} are not among those of the situation"


CASE_RULES = CaseRules(
    expectations=RouteExpectations,
    passages=_text,
    observed=_observed,
    labels=_labels,
    files={
        "dev": FileRules(count=30, slices=_SLICES),
        "gate": FileRules(
            count=70,
            slices=_SLICES,
            minima=tuple(
                Minimum(slice="moment", value=value, at_least=least)
                for value, least in (
                    ("automated", 12),
                    *((name, 5) for name in ("asked_for_person", "urgent", "unsure", "skill", "limit", "vip")),
                )
            ),
        ),
    },
)
SUITE = Suite(
    task="route",
    gate_dataset="gate",
    scorers=(DestinationScorer(), FairnessScorer()),
    metrics=(
        *(MetricSpec(name=name, kind="rate", score=name, unit=Unit.RATE) for name in _RATES),
        MetricSpec(name="answered", kind="answered", unit=Unit.RATE),
        MetricSpec(name="latency_p50", kind="latency", quantile=0.50, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="latency_p95", kind="latency", quantile=0.95, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="cost_cold", kind="cost", score="cold", unit=Unit.USD, higher_is_better=False),
    ),
    floors=(
        Floor(
            metric="destination_right", bound=0.85, reason="one message in seven on the wrong desk is sent on by hand"
        ),
        Floor(
            metric="agent_right", bound=0.75, reason="an agent without the skill or the history asks everything again"
        ),
        Floor(metric="urgency_right", bound=0.85, reason="the queue is ranked by it"),
        Floor(metric="person_given", bound=0.80, reason="whoever must have a person and gets a machine leaves"),
        Floor(metric="automated", bound=0.70, reason="people who answer what a machine can keep others waiting"),
        Floor(metric="agent_able", bound=0.94, reason="a sixth conversation, or one without the skill, helps nobody"),
        Floor(metric="explained", bound=0.94, reason="a supervisor sees why a message went where it went"),
        Floor(metric="answered", bound=0.94, reason="a message without a decision waits for nobody"),
        Floor(metric="latency_p95", bound=500.0, reason="a message is to be taken in within half a second"),
    ),
    no_worse=(
        NoWorse(
            metric="destination_right",
            margin=0.08,
            reason="one message in twelve; with less equal policies do not pass",
        ),
        NoWorse(metric="agent_right", margin=0.12, reason="one conversation in eight"),
        NoWorse(metric="urgency_right", margin=0.10, reason="points are a policy's to change, for one message in ten"),
        NoWorse(metric="person_given", margin=0.15, reason="with less equal policies do not pass"),
        NoWorse(
            metric="agent_able", margin=0.06, reason="with less equal policies do not pass; the floor is the bound"
        ),
        NoWorse(metric="answered", margin=0.06, reason="with less equal policies do not pass; the floor is the bound"),
        NoWorse(metric="latency_p95", margin=20.0, reason="code takes some milliseconds; the floor is the bound"),
    ),
    must_pass=(
        MustPass(score="destination_right", at_least=1.0, reason="a supervisor said so after a message went wrong"),
    ),
    judged_only=(),
    max_unscored_rate=0.85,  # agents, places and the need of a person apply to some situations alone
    minimum_latency_calls=20,
    fault="a message that goes where it should not",
    slices=("moment", "language", "channel"),
    table=(
        "destination_right",
        "agent_right",
        "urgency_right",
        "person_given",
        "automated",
        "agent_able",
        "explained",
        "latency_p95",
        "answered",
    ),
)
