"""A sweep's results: quality, cost and latency of each combination of prompt and model, and the Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.report.conclusions import replaced_models
from eval.spine.errors import SweepError
from eval.spine.results import Evaluation, PairResult, Verdict
from eval.spine.suite import MetricSpec, Suite
from eval.verdict.kinds import kind_of
from figures.metric import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """One cell of the matrix; ``front``: no other cell is at least as good in quality, cost and latency and better in one.

    ``front`` is None where a figure is missing. It compares the figures alone; where intervals overlap, it may be due to chance.
    """

    name: str
    prompt: str
    model: str
    answered_by: str
    stand_in: bool
    is_production: bool
    verdict: Verdict
    headline: str
    quality: Metric | None
    cost: Metric | None
    latency: Metric | None
    front: bool | None


def quality_spec(suite: Suite, name: str | None) -> MetricSpec:
    """Return the spec of the quality metric ``name``; None selects the suite's first comparison with production.

    Raises:
        SweepError: the suite has no such metric, or it is a cost or a latency.
    """
    usable = [spec for spec in suite.metrics if kind_of(spec).axis == "quality"]
    if name is None:
        name = suite.no_worse[0].metric if suite.no_worse else usable[0].name
    found = next((spec for spec in usable if spec.name == name), None)
    if found is None:
        raise SweepError(f"no quality metric {name!r}; use one of: {', '.join(spec.name for spec in usable)}")
    return found


def sweep_points(evaluation: Evaluation, suite: Suite, quality: MetricSpec) -> list[SweepPoint]:
    """Return one point per pair in the evaluation's order, the Pareto front marked."""
    cost = next((spec.name for spec in suite.metrics if kind_of(spec).axis == "cost" and spec.score == "cold"), "")
    latency = next((spec.name for spec in suite.metrics if kind_of(spec).axis == "latency"), "")
    figures = {
        pair.pair_digest: tuple(_present(pair.metrics.get(name)) for name in (quality.name, cost, latency))
        for pair in evaluation.pairs
    }
    # Without a cost or a latency metric in the suite, the front uses the remaining ones.
    axes = [place for place, name in enumerate((quality.name, cost, latency)) if name]
    keys = {digest: _key(group, axes) for digest, group in figures.items()}
    return [
        _point(evaluation, pair, figures[pair.pair_digest], _on_front(pair.pair_digest, keys))
        for pair in evaluation.pairs
    ]


def _present(metric: Metric | None) -> Metric | None:
    return metric if metric is not None and metric.value is not None else None


def _key(group: Sequence[Metric | None], axes: Sequence[int]) -> tuple[float, ...] | None:
    """Return the figures with the sign turned so that more is better; None where one is missing."""
    values = []
    for place in axes:
        metric = group[place]
        if metric is None or metric.value is None:
            return None
        values.append(metric.value if metric.higher_is_better else -metric.value)
    return tuple(values)


def _on_front(digest: str, keys: dict[str, tuple[float, ...] | None]) -> bool | None:
    own = keys[digest]
    if own is None:
        return None
    others = [key for key in keys.values() if key is not None and key != own]
    return not any(all(theirs >= ours for theirs, ours in zip(key, own, strict=True)) for key in others)


def _point(
    evaluation: Evaluation, pair: PairResult, figures: tuple[Metric | None, ...], front: bool | None
) -> SweepPoint:
    quality, cost, latency = figures
    return SweepPoint(
        name=pair.pair_name,
        prompt=pair.pair_name.partition("@")[0],
        model=pair.model,
        answered_by=", ".join(pair.answered_by) or "nothing",
        stand_in=bool(replaced_models(evaluation, pair)),
        is_production=pair.is_production,
        verdict=pair.gate.verdict,
        headline=pair.gate.headline,
        quality=quality,
        cost=cost,
        latency=latency,
        front=front,
    )
