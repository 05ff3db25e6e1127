"""What the weekly report measures: each figure's counts, direction, margin and target, with the reason for each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

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
    is a bound of docs/requirements.md. ``sliced`` metrics are also compared within slices. ``felt``: customers and agents notice.
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
    felt: bool = False
    reason: str = ""


def _rate(name: str, title: str, reason: str, counts: str = "", **further: Any) -> WeeklyMetric:
    """Return a rate; ``counts`` are its part and its whole with a slash between them, "" where no answers are counted."""
    part, _, whole = counts.partition("/")
    return WeeklyMetric(
        name=name, title=title, kind="rate", unit=Unit.RATE, part=part, whole=whole, reason=reason, **further
    )


def _latency(quantile: float, reason: str, **further: Any) -> WeeklyMetric:
    title = f"p{100 * quantile:.0f}"
    return WeeklyMetric(
        name=f"latency_{title}",
        title=f"latency {title}",
        kind="quantile",
        unit=Unit.MS,
        quantile=quantile,
        higher_is_better=False,
        felt=True,
        reason=reason,
        **further,
    )


_LOSS: Mapping[str, Any] = {"higher_is_better": False, "sliced": True}
HELPFUL = _rate(
    "helpful_rate",
    "helpful rate",
    "share of the ratings; the margin is one rating in twenty, as the gate's for yes-or-no scores",
    "helpful/rated",
    margin=0.05,
    sliced=True,
    felt=True,
)
UNHELPFUL = _rate(
    "unhelpful_rate",
    "unhelpful rate",
    "share of the ratings; required: below 15%",
    "unhelpful/rated",
    higher_is_better=False,
    target=0.15,
)
P50 = _latency(0.50, "same margin as p95", margin=0.25, relative=True)
P95 = _latency(
    0.95, "the margin is the gate's; required: below 5 s", margin=0.25, relative=True, target=5000.0, sliced=True
)
COST = WeeklyMetric(
    name="cost_written",
    title="cost per new summary",
    kind="mean",
    unit=Unit.USD,
    part="cost_written",
    whole="priced_written",
    margin=0.20,
    relative=True,
    reason="metered, reused summaries excluded; an increase of more than 20% needs a budget decision",
    **_LOSS,
)
GUARD = _rate(
    "grounding_rate",
    "grounding violations",
    "share of the model answers in which the guard refused a statement, shown or not; the gate's margin for grounded",
    "flagged/modelled",
    margin=0.05,
    felt=True,
    **_LOSS,
)
EDITS = _rate(
    "edit_rate",
    "edit rate",
    "share of the rated answers that an agent edited; same margin as the helpful rate",
    "edited/rated",
    margin=0.05,
    felt=True,
    **_LOSS,
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
# Metrics of scored calls, not of answers, so METRICS does not list them.
AGREEMENT = _rate(
    "agreement_rate",
    "agreement with the model",
    "share of the model's verdicts that people confirmed; margin of the gate for yes-or-no scores",
    margin=0.05,
)
CRITERION_MET = _rate(
    "criterion_met",
    "calls that meet it",
    "share of the calls to which the criterion applied; one call in twenty, as for the other rates",
    margin=0.05,
)
CALLS_PASSED = _rate(
    "calls_passed",
    "calls passed",
    "share of the calls with a score that reached the form's threshold; one call in twenty",
    margin=0.05,
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
    sentiment: _rate(
        f"calls_{sentiment.lower()}",
        f"calls with a {sentiment.lower()} customer",
        "share of the calls that one reader read; one call in twenty, as for the other rates",
        higher_is_better=sentiment == "POSITIVE",
        margin=0.05 if sentiment == "NEGATIVE" else None,
    )
    for sentiment in ("NEGATIVE", "MIXED", "NEUTRAL", "POSITIVE")
}
METRICS: tuple[WeeklyMetric, ...] = (
    HELPFUL,
    UNHELPFUL,
    _rate(
        "feedback_share",
        "answers rated",
        "share of the answers with a rating; the two rates above are based on these answers",
        "rated/answers",
    ),
    EDITS,
    _rate(
        "degraded_rate",
        "degraded answers",
        "the extractive digest answered instead of a model; margin of the gate's metric answered: one in fifty",
        "degraded/answers",
        margin=0.02,
        felt=True,
        **_LOSS,
    ),
    _rate(
        "failover_rate",
        "answers by the backup model",
        "share of the requests that needed a new summary; same margin as degraded answers",
        "failover/asked",
        margin=0.02,
        **_LOSS,
    ),
    P50,
    P95,
    _latency(0.99, "required: below 8 s", target=8000.0),
    _rate(
        "reuse_rate",
        "reuse rate",
        "share of the answers that reused a stored summary (cache_hit) and needed no model call",
        "reused/answers",
    ),
    _rate(
        "transfer_reuse_rate",
        "reuse rate after a transfer",
        "share of the transfers (the contact differs from the first contact); required: above 70%",
        "transfers_reused/transfers",
        target=0.70,
    ),
    _rate(
        "prompt_cache_rate",
        "prompt cache hit rate",
        "share of the model answers; a miss costs money and time",
        "prompt_hits/modelled",
        margin=0.05,
    ),
    COST,
    GUARD,
    WORDS,
)
APPROVAL = _rate(
    "approval_rate",
    "approval rate",
    "share of the messages up for approval that the pair's own judge or checks let leave; one in twenty, as for the other rates",
    "approved/judged",
    margin=0.05,
    felt=True,
)
_OF_TASKS: Mapping[str, tuple[WeeklyMetric, ...]] = {"upsell": (APPROVAL,)}
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
    return MetricSet(every=(*(_about(task, metric) for metric in METRICS), *_OF_TASKS.get(task, ())))


def _about(task: str, metric: WeeklyMetric) -> WeeklyMetric:
    own = replace(metric, title=worded(task, metric.title), reason=worded(task, metric.reason))
    return metric if own == metric else own
