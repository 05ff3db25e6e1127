"""The gate: requirements, floors and no-worse-than-production checks of one pair, each with three possible verdicts."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

from eval.results import CaseResult, Check, GateResult, Metric, Unit, Verdict
from eval.suite import Floor, NoWorse, Suite
from service.cards import ModelCards
from service.pair import Pair


def judge(
    pair: Pair,
    *,
    suite: Suite,
    dataset_digest: str,
    cards: ModelCards,
    today: dt.date,
    metrics: Mapping[str, Metric],
    backup_metrics: Mapping[str, Metric],
    results: Sequence[CaseResult],
    deltas: Mapping[str, Metric],
    baseline_digest: str | None,
) -> GateResult:
    """Return the verdict on ``pair`` with every check that led to it.

    ``baseline_digest`` None means that nothing is in production: floors alone decide.
    """
    checks = _requirements(pair, cards, today, results)
    for floor in suite.floors:
        checks.append(_floor(floor, metrics[floor.metric], suite, arm="primary"))
        if "backup" in floor.arms and backup_metrics:
            checks.append(_floor(floor, backup_metrics[floor.metric], suite, arm="backup"))
    if baseline_digest is not None and baseline_digest != pair.digest:
        checks += [_no_worse(gate, deltas[gate.metric], suite) for gate in suite.no_worse]
    return GateResult(
        pair_name=pair.name,
        pair_digest=pair.digest,
        dataset_digest=dataset_digest,
        suite_digest=suite.digest,
        baseline_digest=baseline_digest,
        checks=tuple(checks),
    )


def behaviour_checks(metrics: Mapping[str, Metric], suite: Suite) -> tuple[Check, ...]:
    """Return the suite's behaviour floors as checks; a metric that was not measured leaves its check inconclusive."""
    if suite.behaviour is None:
        return ()
    return tuple(
        replace(_floor(floor, metrics[floor.metric], suite, arm="primary"), kind="behaviour")
        for floor in suite.behaviour.floors
    )


def _requirements(pair: Pair, cards: ModelCards, today: dt.date, results: Sequence[CaseResult]) -> list[Check]:
    checks = []
    for model_id in filter(None, (pair.model, pair.backup)):
        card = cards.get(model_id)
        problem = ""
        if card.prices is None:
            problem = "has no price; add a row with source and date to prompts/models.yaml"
        elif card.ended(today):
            problem = f"reached its end of life on {card.end_of_life}; choose another model"
        checks.append(
            _requirement(
                f"model {card.short_name}", f"{card.short_name} {problem}" if problem else "", "priced and alive"
            )
        )
    if pair.cache_prefix:
        checks += [
            _cacheable(pair, cards, results, arm) for arm in ("primary", "backup") if arm == "primary" or pair.backup
        ]
    return checks


def _cacheable(pair: Pair, cards: ModelCards, results: Sequence[CaseResult], arm: str) -> Check:
    card = cards.get(pair.backup if arm == "backup" and pair.backup else pair.model)
    calls = [item.result.usage for item in results if item.arm == arm and item.result.usage.prompt_tokens > 0]
    cached = [usage.cache_read_tokens + usage.cache_write_tokens for usage in calls]
    problem = ""
    if card.wire == "bedrock" and calls and max(cached) == 0:
        minimum = card.cache_minimum_tokens
        problem = f"the pair asks for a cached prefix, but {card.short_name} " + (
            f"cached nothing in {len(calls)} calls: its minimum is {minimum} tokens" if minimum else "caches no prompts"
        )
    return _requirement(f"{arm} prefix can be cached", problem, "cache_prefix is set")


def _requirement(name: str, problem: str, reason: str) -> Check:
    met = not problem
    return Check(
        kind="requirement",
        metric=name,
        unit=Unit.RATE,
        bound=1.0,
        value=float(met),
        low=None,
        high=None,
        n=1,
        verdict=Verdict.PASS if met else Verdict.FAIL,
        reason=reason,
        explanation=problem or "met",
    )


def _floor(floor: Floor, metric: Metric, suite: Suite, *, arm: str) -> Check:
    name = floor.metric if arm == "primary" else f"{arm} {floor.metric}"
    verdict, explanation = _three_way(metric, floor.bound, above=metric.higher_is_better)
    if metric.value is not None and metric.unscored > suite.max_unscored_rate * (metric.n + metric.unscored):
        total = metric.n + metric.unscored
        explanation = f"{metric.unscored} of {total} cases could not be scored (bound {suite.max_unscored_rate:.0%})"
        verdict = Verdict.FAIL
    if metric.unit is Unit.MS and metric.n < suite.minimum_latency_calls:
        verdict = Verdict.INCONCLUSIVE
        explanation = f"{metric.n} live calls, {suite.minimum_latency_calls} needed; run with FRESH=1 to call again"
    if metric.note:
        explanation += f"; {metric.note}"
    return Check(
        kind="floor",
        metric=name,
        unit=metric.unit,
        bound=floor.bound,
        value=metric.value,
        low=metric.low,
        high=metric.high,
        n=metric.n,
        verdict=verdict,
        reason=floor.reason,
        explanation=explanation,
    )


def _three_way(metric: Metric, bound: float, *, above: bool) -> tuple[Verdict, str]:
    if metric.value is None or metric.low is None or metric.high is None:
        return Verdict.INCONCLUSIVE, "no case could be scored"
    worst, best = (metric.low, metric.high) if above else (metric.high, metric.low)
    word = "at least" if above else "at most"
    if (worst >= bound) if above else (worst <= bound):
        return Verdict.PASS, f"the whole interval is {word} the bound"
    if (best < bound) if above else (best > bound):
        return Verdict.FAIL, "the whole interval misses the bound"
    return Verdict.INCONCLUSIVE, "the interval spans the bound: more cases or repeats are needed"


def _no_worse(gate: NoWorse, delta: Metric, suite: Suite) -> Check:
    if delta.value is None or delta.low is None or delta.high is None:
        verdict, explanation = Verdict.INCONCLUSIVE, "no case was scored for both"
    elif delta.low > -gate.margin:
        verdict, explanation = Verdict.PASS, "not worse than production by the margin"
    elif delta.high < -gate.margin:
        verdict, explanation = Verdict.FAIL, "worse than production by more than the margin"
    else:
        verdict, explanation = Verdict.INCONCLUSIVE, "the interval of the difference spans the margin"
    if delta.unscored > suite.max_unscored_rate * max(delta.n + delta.unscored, 1):
        explanation += f"; {delta.unscored} cases have no score on both sides"
        verdict = Verdict.FAIL if verdict is Verdict.FAIL else Verdict.INCONCLUSIVE
    return Check(
        kind="no_worse",
        metric=gate.metric,
        unit=delta.unit,
        bound=-gate.margin,
        value=delta.value,
        low=delta.low,
        high=delta.high,
        n=delta.n,
        verdict=verdict,
        reason=gate.reason,
        explanation=explanation,
    )
