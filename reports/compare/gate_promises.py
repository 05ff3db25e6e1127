"""Compares the figures that the gate promised for a pair with production: only figures that mean the same on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from figures.command_line import omni
from figures.formatting import plural
from figures.metric import Unit
from figures.stats import Interval
from reports.compare.baselines import PairInWeek
from reports.compare.difference import difference, promise_kept
from reports.compare.outcomes import ComparisonResult
from reports.read.counts import ComparedSide, WeekCounts, sample_of
from reports.read.metrics import WORDS, WeeklyMetric
from reports.read.samples import Rate, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePromise:
    """A figure that the gate promised and the same figure in ``production``.

    ``inside``: the production figure lies in the promised 95% interval.
    """

    pair: str
    release: str
    metric: WeeklyMetric
    promised: Interval
    production: Interval
    difference: Interval | None
    result: ComparisonResult
    inside: bool


_LATENCY = WeeklyMetric(
    name="", title="", kind="quantile", unit=Unit.MS, higher_is_better=False, margin=0.25, relative=True
)
_COST = WeeklyMetric(name="", title="", kind="mean", unit=Unit.USD, higher_is_better=False, margin=0.20, relative=True)
_RATE = WeeklyMetric(name="", title="", kind="rate", unit=Unit.RATE)
# Keyed by the gate's metric name. Production figures come from new answers of the pair's own models, because the gate measures
# neither reused summaries nor the digest.
COMPARABLE = {
    metric.name: metric
    for metric in (
        replace(_LATENCY, name="latency_p50", title="latency p50 of the primary model", quantile=0.50),
        replace(_LATENCY, name="latency_p95", title="latency p95 of the primary model", quantile=0.95),
        replace(_LATENCY, name="latency_p99", title="latency p99 of the primary model", quantile=0.99),
        replace(_COST, name="cost_cold", title="cost, prompt cache cold", part="cost_cold", whole="priced_cold"),
        replace(_COST, name="cost_warm", title="cost, prompt cache warm", part="cost_warm", whole="priced_warm"),
        replace(_RATE, name="guard_clear", title="answers without a grounding violation", margin=0.05),
        replace(_RATE, name="answered", title="answers by the primary model", margin=0.02),
        replace(WORDS, name="words", title="words"),
    )
}
NOT_COMPARABLE = (
    "The gate promises no helpful rate, because it asks no agents. "
    "BLEU, chrF and facts cannot be measured in production, because they need references."
)


def promises_of(counts: WeekCounts, pairs: Sequence[PairInWeek]) -> list[GatePromise]:
    """Return the comparable promises of the week's pairs, each from the pair's newest release with promises on record."""
    frame = counts.data.promises
    found = []
    for pair in pairs:
        rows = frame[frame["pair_digest"] == pair.digest]
        if rows.empty:
            continue
        newest = int(rows["sequence"].max())
        for row in rows[rows["sequence"] == newest].to_dict("records"):
            metric = COMPARABLE.get(str(row["metric"]))
            production = (
                _production(counts, ComparedSide(digest=pair.digest, periods=(0,)), metric)
                if metric is not None
                else None
            )
            if metric is None or production is None or production.n == 0 or row["value"] != row["value"]:
                continue
            promised = Interval(
                value=float(row["value"]), low=_end(row["low"]), high=_end(row["high"]), n=int(row["n"]), method="gate"
            )
            side = production.interval()
            inside = (
                promised.low is not None and promised.high is not None and promised.low <= side.value <= promised.high
            )
            found.append(
                GatePromise(
                    pair=pair.label,
                    release=f"release {newest}",
                    metric=metric,
                    promised=promised,
                    production=side,
                    difference=difference(metric, side, promised),
                    result=promise_kept(metric, side, promised),
                    inside=inside,
                )
            )
    order = list(COMPARABLE)
    return sorted(found, key=lambda item: (item.pair, order.index(item.metric.name)))


def calibration_sentence(found: Sequence[GatePromise]) -> str:
    """Return in one or two sentences how well the gate predicted the week's figures."""
    if not found:
        return (
            "No figures promised by the gate are on record for this week's pairs: "
            f"`{omni('releases')}` sends those of releases that the warehouse has not learned of."
        )
    counts = {result: sum(item.result is result for item in found) for result in ComparisonResult}
    inside = sum(item.inside for item in found)
    parts = [
        f"{counts[result]} {result.value}"
        for result in (
            ComparisonResult.BETTER,
            ComparisonResult.NO_WORSE,
            ComparisonResult.WORSE,
            ComparisonResult.INCONCLUSIVE,
            ComparisonResult.TOO_FEW,
        )
        if counts[result]
    ]
    return (
        f"Production against the {plural(len(found), 'figure')} that the gate promised: {', '.join(parts)}. "
        f"{inside} of {len(found)} lie in the promised 95% interval."
    )


def _production(counts: WeekCounts, side: ComparedSide, metric: WeeklyMetric) -> Sample | None:
    if metric.kind == "quantile":
        return counts.latency(side, metric.quantile, primary=True)
    sums = counts.total(side)
    if metric.name == "guard_clear":
        return Rate(successes=int(sums["modelled"] - sums["flagged"]), n=int(sums["modelled"]))
    if metric.name == "answered":
        return Rate(successes=int(sums["primary_answers"]), n=int(sums["asked"]))
    return sample_of(metric, sums)


def _end(value: object) -> float | None:
    number = float(value) if isinstance(value, int | float) else float("nan")
    return number if number == number else None
