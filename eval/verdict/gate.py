"""The gate: requirements, floors (also of slices) and no-worse-than-production checks of one pair, each with three verdicts."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from eval.results import CaseResult, Check, GateResult, Verdict
from eval.suite import Floor, NoWorse, SliceFloor, Suite
from figures.metric import Metric, Unit
from service.cards import ModelCards
from service.pair import Pair

_MOST_CASES = 1_000_000  # beyond this "more cases" is no advice


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
    slice_metrics: Mapping[SliceFloor, Metric] | None = None,
    look: int = 1,
    planned_looks: int = 1,
) -> GateResult:
    """Return the verdict on ``pair`` with every check that led to it.

    ``baseline_digest`` None means that nothing is in production: floors alone decide. The metrics' intervals are judged as they
    are: who plans several looks makes them at ``look_confidence``.
    """
    varies = answers_vary(pair, cards)
    checks = _requirements(pair, cards, today, results)
    for floor in suite.floors:
        checks.append(_floor(floor, metrics[floor.metric], suite, varies, arm="primary"))
        if "backup" in floor.arms and backup_metrics:
            checks.append(_floor(floor, backup_metrics[floor.metric], suite, varies, arm="backup"))
    small: list[Check] = []
    for slice_floor, metric in (slice_metrics or {}).items():
        (checks if metric.n >= slice_floor.min_n else small).append(_slice(slice_floor, metric, suite, varies))
    if baseline_digest is not None and baseline_digest != pair.digest:
        checks += [_no_worse(gate, deltas[gate.metric], suite, varies) for gate in suite.no_worse]
    return GateResult(
        pair_name=pair.name,
        pair_digest=pair.digest,
        dataset_digest=dataset_digest,
        suite_digest=suite.digest,
        baseline_digest=baseline_digest,
        checks=tuple(checks),
        small_slices=tuple(small),
        look=look,
        planned_looks=planned_looks,
    )


def answers_vary(pair: Pair, cards: ModelCards) -> bool:
    """Return whether asking again can give another answer: a model that samples at a temperature above 0."""
    return pair.sampling.temperature > 0 and cards.get(pair.model).wire != "in_process"


def look_confidence(planned_looks: int) -> float:
    """Return the confidence of each interval when the growing evidence is judged up to ``planned_looks`` times.

    Bonferroni: the looks together err no more often than one look at 95% would. Looks at the same cases are strongly
    correlated, so this is cautious; a sharper spending function would need their correlation.
    """
    return 1 - 0.05 / planned_looks


def behaviour_checks(metrics: Mapping[str, Metric], suite: Suite) -> tuple[Check, ...]:
    """Return the suite's behaviour floors as checks; a metric that was not measured leaves its check inconclusive."""
    if suite.behaviour is None:
        return ()
    return tuple(
        replace(_floor(floor, metrics[floor.metric], suite, False, arm="primary"), kind="behaviour")
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


def _floor(floor: Floor, metric: Metric, suite: Suite, varies: bool, *, arm: str) -> Check:
    name = floor.metric if arm == "primary" else f"{arm} {floor.metric}"
    return _against_bound("floor", name, floor.bound, floor.reason, metric, suite, varies)


def _slice(floor: SliceFloor, metric: Metric, suite: Suite, varies: bool) -> Check:
    check = _against_bound("slice", floor.metric, floor.bound, floor.reason, metric, suite, varies, label=floor.label)
    if metric.n >= floor.min_n:
        return check
    small = f"small: {metric.n} cases, gates from {floor.min_n}"
    return replace(check, verdict=Verdict.INCONCLUSIVE, explanation=small, needed_n=None)


def _against_bound(
    kind: Literal["floor", "slice"],
    name: str,
    bound: float,
    reason: str,
    metric: Metric,
    suite: Suite,
    varies: bool,
    label: str = "",
) -> Check:
    verdict, explanation = _three_way(metric, bound, above=metric.higher_is_better)
    needed = None
    if verdict is Verdict.INCONCLUSIVE and metric.value is not None:
        needed = _cases_to_leave(metric, bound)
        explanation += f": {_remedy(metric.n, needed, varies, floor=True)}"
    if metric.value is not None and metric.unscored > suite.max_unscored_rate * (metric.n + metric.unscored):
        total = metric.n + metric.unscored
        explanation = f"{metric.unscored} of {total} cases could not be scored (bound {suite.max_unscored_rate:.0%})"
        verdict, needed = Verdict.FAIL, None
    if metric.unit is Unit.MS and metric.n < suite.minimum_latency_calls:
        verdict, needed = Verdict.INCONCLUSIVE, None
        explanation = f"{metric.n} live calls, {suite.minimum_latency_calls} needed; run with --fresh to call again"
    if metric.note:
        explanation += f"; {metric.note}"
    return Check(
        kind=kind,
        metric=name,
        unit=metric.unit,
        bound=bound,
        value=metric.value,
        low=metric.low,
        high=metric.high,
        n=metric.n,
        verdict=verdict,
        reason=reason,
        explanation=explanation,
        slice=label,
        method=metric.method,
        confidence=metric.confidence,
        needed_n=needed,
    )


def _three_way(metric: Metric, bound: float, *, above: bool) -> tuple[Verdict, str]:
    if metric.value is None:
        return Verdict.INCONCLUSIVE, "no case could be scored"
    if metric.low is None or metric.high is None:
        return Verdict.INCONCLUSIVE, "one case has no interval"
    worst, best = (metric.low, metric.high) if above else (metric.high, metric.low)
    word = "at least" if above else "at most"
    if (worst >= bound) if above else (worst <= bound):
        return Verdict.PASS, f"the whole interval is {word} the bound"
    if (best < bound) if above else (best > bound):
        return Verdict.FAIL, "the whole interval misses the bound"
    return Verdict.INCONCLUSIVE, "the interval spans the bound"


def _cases_to_leave(metric: Metric, bound: float) -> int | None:
    """Return how many cases would put the interval to one side of ``bound`` if the figure stayed; None when too many."""
    from figures.stats import unseen_share  # scipy takes 0.3 s to import, and the calls should start before that

    if metric.value is None or metric.low is None or metric.high is None:
        return None
    distance = abs(metric.value - bound)
    if distance == 0 or metric.n == 0:
        return None
    if metric.unit is Unit.RATE and metric.value in (0.0, 1.0):
        # Wilson's interval at none and all ends at the share that nobody saw; it shrinks with n, not with its root.
        share = unseen_share(metric.n, metric.confidence)
        return math.ceil(metric.n * share / (1 - share) * (1 - distance) / distance) if distance < 1 else None
    reach = metric.value - metric.low if metric.value > bound else metric.high - metric.value
    needed = math.ceil(metric.n * (reach / distance) ** 2)
    return needed if needed <= _MOST_CASES else None


def _remedy(n: int, needed: int | None, varies: bool, *, floor: bool) -> str:
    if needed is None:
        cases = "it is too close to call with any number of cases"
    elif needed <= n:
        cases = f"{n} cases would do for an equal pair, so this one may be worse"
    elif floor:
        cases = f"{n} cases are too few, about {needed:,} are needed if the figure stays"
    else:
        cases = f"{n} cases are too few, about {needed:,} pass an equal pair four times in five"
    return cases + ("; repeats may help" if varies else "; its answers do not vary, so repeats cannot help")


def _no_worse(gate: NoWorse, delta: Metric, suite: Suite, varies: bool) -> Check:
    if not delta.comparable:
        bounded = any(floor.metric == gate.metric for floor in suite.floors)
        verdict = Verdict.PASS if bounded else Verdict.INCONCLUSIVE
        explanation = f"{delta.note}; " + ("its floor decides" if bounded else "give it a floor in the suite")
    elif delta.value is None and delta.note:
        verdict, explanation = Verdict.INCONCLUSIVE, delta.note
    elif delta.value is None:
        verdict, explanation = Verdict.INCONCLUSIVE, "no case was scored for both"
    elif delta.low is None or delta.high is None:
        verdict, explanation = Verdict.INCONCLUSIVE, "one case has no interval"
    elif delta.low > -gate.margin:
        verdict, explanation = Verdict.PASS, "not worse than production by the margin"
    elif delta.high < -gate.margin:
        verdict, explanation = Verdict.FAIL, "worse than production by more than the margin"
    else:
        verdict = Verdict.INCONCLUSIVE
        remedy = _remedy(delta.n, delta.needed_n, varies, floor=False)
        explanation = f"the interval of the difference spans the margin: {remedy}"
    if not delta.note and delta.unscored > suite.max_unscored_rate * max(delta.n + delta.unscored, 1):
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
        method=delta.method,
        confidence=delta.confidence,
        p_value=delta.p_value,
        test=delta.test,
        mde=delta.mde,
        needed_n=delta.needed_n,
    )
