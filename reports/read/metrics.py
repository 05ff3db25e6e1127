"""What the weekly report measures: each figure's counts, direction, margin and target, with the reason for each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from figures.metric import Unit
from service.warehouse.outputs import worded

SMALLEST = (
    20  # answers or ratings on each side; with fewer, even 0 of n is compatible with a true rate of one in six (Wilson)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyMetric:
    """One figure of a pair and a week.

    A rate divides the count ``part`` by the count ``whole``. A mean divides the sum ``part`` by the count ``whole``; its sum of
    squares is the column ``part`` + ``_squares``. A quantile is always of latency. ``margin`` is the loss that is still
    acceptable: absolute, or with ``relative`` a share of the baseline; None where a change is neither good nor bad. ``target``
    is a bound of docs/requirements.md. ``sliced`` metrics are also compared within slices.
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
    title="helpful rate",
    kind="rate",
    unit=Unit.RATE,
    part="helpful",
    whole="rated",
    margin=0.05,
    sliced=True,
    reason="share of the ratings; the margin is one rating in twenty, as the gate's for yes-or-no scores",
)
UNHELPFUL = WeeklyMetric(
    name="unhelpful_rate",
    title="unhelpful rate",
    kind="rate",
    unit=Unit.RATE,
    part="unhelpful",
    whole="rated",
    higher_is_better=False,
    target=0.15,
    reason="share of the ratings; required: below 15%",
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
    reason="the margin is the gate's; required: below 5 s",
)
COST = WeeklyMetric(
    name="cost_written",
    title="cost per new summary",
    kind="mean",
    unit=Unit.USD,
    part="cost_written",
    whole="priced_written",
    higher_is_better=False,
    margin=0.20,
    relative=True,
    sliced=True,
    reason="metered, reused summaries excluded; an increase of more than 20% needs a budget decision",
)
GUARD = WeeklyMetric(
    name="grounding_rate",
    title="grounding violations",
    kind="rate",
    unit=Unit.RATE,
    part="flagged",
    whole="modelled",
    higher_is_better=False,
    margin=0.05,
    sliced=True,
    reason="share of the model answers in which the guard refused a statement, shown or not; the gate's margin for grounded",
)
EDITS = WeeklyMetric(
    name="edit_rate",
    title="edit rate",
    kind="rate",
    unit=Unit.RATE,
    part="edited",
    whole="rated",
    higher_is_better=False,
    margin=0.05,
    sliced=True,
    reason="share of the rated answers that an agent edited; same margin as the helpful rate",
)
WORDS = WeeklyMetric(
    name="summary_words",
    title="words per new summary",
    kind="mean",
    unit=Unit.WORDS,
    part="words",
    whole="written",
    higher_is_better=False,
    margin=20.0,
    reason="the margin is the gate's: 20 words take five more seconds to read",
)
# A metric of scored calls, not of answers, so METRICS does not list it.
AGREEMENT = WeeklyMetric(
    name="agreement_rate",
    title="agreement with the model",
    kind="rate",
    unit=Unit.RATE,
    margin=0.05,
    reason="share of the model's verdicts that people confirmed; margin of the gate for yes-or-no scores",
)
# As are these three.
CRITERION_MET = WeeklyMetric(
    name="criterion_met",
    title="calls that meet it",
    kind="rate",
    unit=Unit.RATE,
    margin=0.05,
    reason="share of the calls to which the criterion applied; one call in twenty, as for the other rates",
)
CALLS_PASSED = WeeklyMetric(
    name="calls_passed",
    title="calls passed",
    kind="rate",
    unit=Unit.RATE,
    margin=0.05,
    reason="share of the calls with a score that reached the form's threshold; one call in twenty",
)
CALL_SCORE = WeeklyMetric(
    name="call_score",
    title="mean score",
    kind="mean",
    unit=Unit.SCORE,
    margin=2.0,
    reason="points of 100; the gate allows five for a call, and a week's mean moves less than a call",
)
# So are these four: shares of the calls that one reader read. Only the first is judged, because the others move with it.
CALL_SENTIMENTS: Mapping[str, WeeklyMetric] = {
    sentiment: WeeklyMetric(
        name=f"calls_{sentiment.lower()}",
        title=f"calls with a {sentiment.lower()} customer",
        kind="rate",
        unit=Unit.RATE,
        higher_is_better=sentiment == "POSITIVE",
        margin=0.05 if sentiment == "NEGATIVE" else None,
        reason="share of the calls that one reader read; one call in twenty, as for the other rates",
    )
    for sentiment in ("NEGATIVE", "MIXED", "NEUTRAL", "POSITIVE")
}
METRICS: tuple[WeeklyMetric, ...] = (
    HELPFUL,
    UNHELPFUL,
    WeeklyMetric(
        name="feedback_share",
        title="answers rated",
        kind="rate",
        unit=Unit.RATE,
        part="rated",
        whole="answers",
        reason="share of the answers with a rating; the two rates above are based on these answers",
    ),
    EDITS,
    WeeklyMetric(
        name="degraded_rate",
        title="degraded answers",
        kind="rate",
        unit=Unit.RATE,
        part="degraded",
        whole="answers",
        higher_is_better=False,
        margin=0.02,
        sliced=True,
        reason="the extractive digest answered instead of a model; margin of the gate's metric answered: one in fifty",
    ),
    WeeklyMetric(
        name="failover_rate",
        title="answers by the backup model",
        kind="rate",
        unit=Unit.RATE,
        part="failover",
        whole="asked",
        higher_is_better=False,
        margin=0.02,
        sliced=True,
        reason="share of the requests that needed a new summary; same margin as degraded answers",
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
        reason="same margin as p95",
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
        reason="required: below 8 s",
    ),
    WeeklyMetric(
        name="reuse_rate",
        title="reuse rate",
        kind="rate",
        unit=Unit.RATE,
        part="reused",
        whole="answers",
        reason="share of the answers that reused a stored summary (cache_hit) and needed no model call",
    ),
    WeeklyMetric(
        name="transfer_reuse_rate",
        title="reuse rate after a transfer",
        kind="rate",
        unit=Unit.RATE,
        part="transfers_reused",
        whole="transfers",
        target=0.70,
        reason="share of the transfers (the contact differs from the first contact); required: above 70%",
    ),
    WeeklyMetric(
        name="prompt_cache_rate",
        title="prompt cache hit rate",
        kind="rate",
        unit=Unit.RATE,
        part="prompt_hits",
        whole="modelled",
        margin=0.05,
        reason="share of the model answers; a miss costs money and time",
    ),
    COST,
    GUARD,
    WORDS,
)
SLICED = tuple(metric for metric in METRICS if metric.sliced)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSet:
    """A task's metrics: ``METRICS``, worded for its outputs."""

    every: tuple[WeeklyMetric, ...]

    @property
    def compared(self) -> tuple[WeeklyMetric, ...]:
        """Those whose change is good or bad."""
        return tuple(metric for metric in self.every if metric.margin is not None)

    @property
    def sliced(self) -> tuple[WeeklyMetric, ...]:
        """Those that are also compared within slices."""
        return tuple(metric for metric in self.every if metric.sliced)

    def named(self, name: str) -> WeeklyMetric:
        """Return the metric ``name``."""
        return next(metric for metric in self.every if metric.name == name)


@cache
def metrics_of(task: str) -> MetricSet:
    """Return the metrics of ``task``; a metric without a word about outputs is the same object for every task."""
    return MetricSet(every=tuple(_about(task, metric) for metric in METRICS))


def _about(task: str, metric: WeeklyMetric) -> WeeklyMetric:
    own = replace(metric, title=worded(task, metric.title), reason=worded(task, metric.reason))
    return metric if own == metric else own
