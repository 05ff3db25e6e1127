"""What the weekly report measures: each figure's counts, direction, margin and target, with the reason for each."""

from dataclasses import dataclass
from typing import Literal

from figures.metric import Unit

SMALLEST = 20  # answers or ratings on a side; with fewer even 0 of n leaves one in six open (Wilson)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyMetric:
    """One figure of a pair and a week.

    A rate is ``part`` of ``whole``; a mean is the sum ``part`` over ``whole`` with the squares in ``part`` + ``_squares``; a
    quantile is of latency. ``margin`` is what may be lost before a change counts: absolute, or a share of the baseline with
    ``relative``; None where a change is neither good nor bad. ``target`` is a bound of docs/requirements.md. ``sliced``: also
    compared within slices.
    """

    name: str
    title: str
    kind: Literal["rate", "mean", "quantile"]
    unit: Unit
    part: str = ""
    whole: str = ""
    quantile: float = 0.0
    higher_is_better: bool = True
    margin: float | None = None
    relative: bool = False
    target: float | None = None
    sliced: bool = False
    reason: str = ""


HELPFUL = WeeklyMetric(
    name="helpful_rate",
    title="rated helpful",
    kind="rate",
    unit=Unit.RATE,
    part="helpful",
    whole="rated",
    margin=0.05,
    sliced=True,
    reason="one rating in twenty, the gate's margin for yes-or-no scores",
)
UNHELPFUL = WeeklyMetric(
    name="unhelpful_rate",
    title="rated unhelpful",
    kind="rate",
    unit=Unit.RATE,
    part="unhelpful",
    whole="rated",
    higher_is_better=False,
    target=0.15,
    reason="required: thumbs-down below 15%",
)
P95 = WeeklyMetric(
    name="latency_p95",
    title="latency p95",
    kind="quantile",
    unit=Unit.MS,
    quantile=0.95,
    higher_is_better=False,
    margin=0.25,
    relative=True,
    target=5000.0,
    sliced=True,
    reason="the gate's margin; required: p95 below 5 s",
)
COST = WeeklyMetric(
    name="cost_written",
    title="cost of a written summary",
    kind="mean",
    unit=Unit.USD,
    part="cost_written",
    whole="priced_written",
    higher_is_better=False,
    margin=0.20,
    relative=True,
    sliced=True,
    reason="metered; a fifth dearer needs a decision about money",
)
GUARD = WeeklyMetric(
    name="grounding_rate",
    title="answers with a grounding violation",
    kind="rate",
    unit=Unit.RATE,
    part="flagged",
    whole="modelled",
    higher_is_better=False,
    margin=0.05,
    sliced=True,
    reason="model answers in which the guard refused a statement, shown or not; the gate's margin for grounded",
)
EDITS = WeeklyMetric(
    name="edit_rate",
    title="edited",
    kind="rate",
    unit=Unit.RATE,
    part="edited",
    whole="rated",
    higher_is_better=False,
    margin=0.05,
    sliced=True,
    reason="of the rated answers; as the helpful rate",
)
WORDS = WeeklyMetric(
    name="summary_words",
    title="words in a written summary",
    kind="mean",
    unit=Unit.WORDS,
    part="words",
    whole="written",
    higher_is_better=False,
    margin=20.0,
    reason="the gate's margin: 20 words are five more seconds of reading",
)
# Of calls and not of answers: it stands in no table of METRICS.
AGREEMENT = WeeklyMetric(
    name="agreement_rate",
    title="people agree with the model",
    kind="rate",
    unit=Unit.RATE,
    margin=0.05,
    reason="of the criteria that a person answered; the gate's margin for yes-or-no scores",
)
METRICS: tuple[WeeklyMetric, ...] = (
    HELPFUL,
    UNHELPFUL,
    WeeklyMetric(
        name="feedback_share",
        title="rated at all",
        kind="rate",
        unit=Unit.RATE,
        part="rated",
        whole="answers",
        reason="how many answers the two figures above speak for",
    ),
    EDITS,
    WeeklyMetric(
        name="degraded_rate",
        title="degraded",
        kind="rate",
        unit=Unit.RATE,
        part="degraded",
        whole="answers",
        higher_is_better=False,
        margin=0.02,
        sliced=True,
        reason="the extractive digest answered; one in fifty, the gate's margin for answered",
    ),
    WeeklyMetric(
        name="failover_rate",
        title="answered by the backup",
        kind="rate",
        unit=Unit.RATE,
        part="failover",
        whole="asked",
        higher_is_better=False,
        margin=0.02,
        sliced=True,
        reason="of the answers that a model was asked for; as degraded",
    ),
    WeeklyMetric(
        name="latency_p50",
        title="latency p50",
        kind="quantile",
        unit=Unit.MS,
        quantile=0.50,
        higher_is_better=False,
        margin=0.25,
        relative=True,
        reason="as p95",
    ),
    P95,
    WeeklyMetric(
        name="latency_p99",
        title="latency p99",
        kind="quantile",
        unit=Unit.MS,
        quantile=0.99,
        higher_is_better=False,
        target=8000.0,
        reason="required: p99 below 8 s",
    ),
    WeeklyMetric(
        name="reuse_rate",
        title="stored summary reused",
        kind="rate",
        unit=Unit.RATE,
        part="reused",
        whole="answers",
        reason="cache_hit: the agent waited for no model",
    ),
    WeeklyMetric(
        name="transfer_reuse_rate",
        title="reused after a transfer",
        kind="rate",
        unit=Unit.RATE,
        part="transfers_reused",
        whole="transfers",
        target=0.70,
        reason="required: above 70% of transfers (contact differs from the first contact)",
    ),
    WeeklyMetric(
        name="prompt_cache_rate",
        title="prompt prefix from the cache",
        kind="rate",
        unit=Unit.RATE,
        part="prompt_hits",
        whole="modelled",
        margin=0.05,
        reason="of the model's answers; a lost prefix is paid and waited for",
    ),
    COST,
    GUARD,
    WORDS,
)
BY_NAME = {metric.name: metric for metric in METRICS}
COMPARED = tuple(metric for metric in METRICS if metric.margin is not None)
SLICED = tuple(metric for metric in METRICS if metric.sliced)
