"""The gate: checks one pair's requirements, floors (also of slices) and differences from production."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from eval.spine.results import SHORT_OF_CPU, CaseResult, Check, GateResult, InterimLook, Verdict, read_sentences
from eval.spine.suite import Floor, MetricSpec, NoWorse, SliceFloor, Suite
from figures.metric import Lead, Metric, Unit
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair, Part

# What harm is measured in; latency, cost and length differ for reasons that are no harm.
_QUALITY = frozenset({Unit.RATE, Unit.EVENTS, Unit.SCORE})
_MOST_CASES = 1_000_000  # above this number, collecting more cases is not a realistic remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """The figures behind a verdict, at the confidence of the judgement's look; ``backup`` is empty without a backup.

    ``must_pass`` are checks of single cases, which have no interval.
    """

    metrics: Mapping[str, Metric]
    backup: Mapping[str, Metric] = field(default_factory=dict)
    slices: Mapping[SliceFloor, Metric] = field(default_factory=dict)
    deltas: Mapping[str, Metric] = field(default_factory=dict)
    must_pass: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The gate's input for one pair: the pair, the answers of both arms, and the figures computed from them.

    ``baseline_digest`` is the digest of the pair in production, from which ``deltas`` are differences; None without one.
    ``looked_at`` names the suite's ``judged_only`` kinds that a licensed judge looked at. ``leads`` are those of the best
    releases of the last year over production, by metric; none where production is the best, or nobody knows.
    """

    pair: Pair
    answers: Sequence[CaseResult]
    figures: GateFigures
    dataset_digest: str
    baseline_digest: str | None = None
    look: InterimLook = field(default_factory=InterimLook)
    looked_at: frozenset[str] = frozenset()
    leads: Mapping[str, Lead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """The gate's rules for every pair: the suite's bounds, the model cards, and today's date in UTC."""

    suite: Suite
    cards: ModelCards
    today: dt.date


def decide(judgement: Judgement, rules: GateRules) -> GateResult:
    """Return the verdict on the judgement's pair with all its checks.

    Without a baseline only the floors decide. The intervals are used as given; a caller that plans several looks must
    compute them at ``InterimLook.confidence``.
    """
    pair, figures, suite = judgement.pair, judgement.figures, rules.suite
    varies = answers_vary(pair, rules.cards)
    checks = _requirements(judgement, rules)
    code = all(rules.cards.get(model).wire == "in_process" for model in pair.models)
    for floor in suite.floors:
        if code and not floor.of_code:
            continue
        checks.append(_floor(floor, figures.metrics[floor.metric], suite, varies))
        if "backup" in floor.arms and figures.backup:
            metric = figures.backup[floor.metric]
            checks.append(_floor(floor, replace(metric, name=f"backup {metric.name}"), suite, varies))
    small: list[Check] = []
    for slice_floor, metric in figures.slices.items():
        (small if _small(slice_floor, metric) else checks).append(_slice(slice_floor, metric, suite, varies))
    checks += figures.must_pass
    if judgement.baseline_digest not in (None, pair.digest):
        checks += [_no_worse(gate, figures.deltas[gate.metric], suite, varies) for gate in suite.no_worse]
        checks += best_of_year_checks(suite, figures.deltas, judgement.leads)
    return GateResult(
        pair_name=pair.name,
        pair_digest=pair.digest,
        dataset_digest=judgement.dataset_digest,
        suite_digest=suite.digest,
        baseline_digest=judgement.baseline_digest,
        checks=tuple(checks),
        small_slices=tuple(small),
        look=judgement.look,
        unseen=tuple(kind.name for kind in suite.judged_only if kind.name not in judgement.looked_at),
        looked_at=tuple(kind.name for kind in suite.judged_only if kind.name in judgement.looked_at),
        sentences=read_sentences(judgement.answers, (figures.metrics, figures.backup)),
    )


def best_of_year_checks(suite: Suite, deltas: Mapping[str, Metric], leads: Mapping[str, Lead]) -> tuple[Check, ...]:
    """Return one check per compared share or score in which a release of the last year was better than production.

    Each step from one production to the next may be as large as the margin, so that a row of them has no end. So the pair may be
    one margin worse than the best of the year, and no more. Its own difference from production counts as it is, without its
    interval: a margin of which little is left could be cleared by nobody.
    """
    checks = []
    for gate in suite.no_worse:
        delta, lead = deltas.get(gate.metric), leads.get(gate.metric)
        if lead is None or delta is None or delta.value is None or suite.metric(gate.metric).unit not in _QUALITY:
            continue
        bound = lead.ahead - gate.margin
        if delta.value >= bound - 1e-12:
            verdict = Verdict.PASS
        else:
            verdict = Verdict.FAIL if delta.high is not None and delta.high < bound else Verdict.INCONCLUSIVE
        words = "not more" if verdict is Verdict.PASS else "more"
        explanation = f"{words} than one margin below release {lead.release}, the best of the last year"
        checks.append(
            Check(
                kind="best_of_year",
                metric=delta,
                bound=bound,
                verdict=verdict,
                reason=gate.reason,
                explanation=explanation,
            )
        )
    return tuple(checks)


def answers_vary(pair: Pair, cards: ModelCards) -> bool:
    """Return whether repeated answers can differ, which needs a model with a temperature above 0."""
    return any(
        prompt.sampling.temperature > 0 and cards.get(prompt.model).wire != "in_process" for prompt in pair.prompts
    )


def behaviour_checks(metrics: Mapping[str, Metric], suite: Suite) -> tuple[Check, ...]:
    """Return the suite's behaviour floors as checks; the check of an unmeasured metric is inconclusive."""
    if suite.behaviour is None:
        return ()
    return tuple(
        replace(_floor(floor, metrics[floor.metric], suite, varies=False), kind="behaviour")
        for floor in suite.behaviour.floors
    )


def _requirements(judgement: Judgement, rules: GateRules) -> list[Check]:
    pair, checks = judgement.pair, []
    for model_id in pair.models:
        card = rules.cards.get(model_id)
        problem = ""
        if card.prices is None:
            problem = "has no price; add a row with source and date to prompts/models.yaml"
        elif card.ended(rules.today):
            problem = f"reached its end of life on {card.end_of_life}; choose another model"
        checks.append(
            _requirement(
                f"model {card.short_name}", f"{card.short_name} {problem}" if problem else "", "priced and alive"
            )
        )
    for prompt in pair.prompts:
        if prompt.cache_prefix:
            checks.append(_cacheable(judgement, rules.cards, "primary", prompt, prompt.model))
            if prompt.backup:
                checks.append(_cacheable(judgement, rules.cards, "backup", prompt, prompt.backup))
    return checks


def _cacheable(judgement: Judgement, cards: ModelCards, arm: str, prompt: Part, model: str) -> Check:
    card, asked = cards.get(model), prompt.name or "main"
    results = [item.result for item in judgement.answers if item.arm == arm]
    if judgement.pair.parts:
        usages = [step.usage for result in results for step in result.trace if step.name == asked]
    else:
        usages = [result.usage for result in results]
    calls = [usage for usage in usages if usage.prompt_tokens > 0]
    problem = ""
    if card.wire == "bedrock" and calls and not any(u.cache_read_tokens + u.cache_write_tokens for u in calls):
        minimum = card.cache_minimum_tokens
        problem = f"the pair sets cache_prefix, but {card.short_name} " + (
            f"cached nothing in {len(calls)} calls: its minimum is {minimum} tokens" if minimum else "caches no prompts"
        )
    whose = f"{arm} prefix of {prompt.name}" if prompt.name else f"{arm} prefix"
    return _requirement(f"{whose} can be cached", problem, "cache_prefix is set")


def _requirement(name: str, problem: str, reason: str) -> Check:
    met = not problem
    return Check(
        kind="requirement",
        metric=Metric(name=name, unit=Unit.RATE, higher_is_better=True, value=float(met), low=None, high=None, n=1),
        bound=1.0,
        verdict=Verdict.PASS if met else Verdict.FAIL,
        reason=reason,
        explanation=problem or "met",
    )


def _floor(floor: Floor, metric: Metric, suite: Suite, varies: bool) -> Check:
    verdict, explanation, needed_n = _against_bound(metric, floor.bound, suite, varies)
    return Check(
        kind="floor",
        metric=replace(metric, needed_n=needed_n),
        bound=floor.bound,
        verdict=verdict,
        reason=floor.reason,
        explanation=explanation,
    )


def _slice(floor: SliceFloor, metric: Metric, suite: Suite, varies: bool) -> Check:
    verdict, explanation, needed_n = _against_bound(metric, floor.bound, suite, varies)
    if _small(floor, metric):
        verdict, needed_n = Verdict.INCONCLUSIVE, None
        explanation = f"small: {metric.n} cases, gates from {floor.min_n}"
    return Check(
        kind="slice",
        metric=replace(metric, needed_n=needed_n),
        bound=floor.bound,
        verdict=verdict,
        reason=floor.reason,
        explanation=explanation,
        slice=floor.label,
    )


def _small(floor: SliceFloor, metric: Metric) -> bool:
    # Cases that could not be scored count: a slice must not become too small to gate because its answers failed.
    return metric.n + metric.unscored < floor.min_n


def _against_bound(metric: Metric, bound: float, suite: Suite, varies: bool) -> tuple[Verdict, str, int | None]:
    """Return the verdict on ``metric``, its explanation, and the number of cases that would decide it."""
    verdict, explanation = _three_way(metric, bound, above=metric.higher_is_better)
    if metric.unit is Unit.EVENTS and metric.value is not None and metric.value > bound:
        # What must not happen was seen more often than allowed: no further case is needed to say so.
        verdict, explanation = Verdict.FAIL, "it happened more often than the bound allows"
    needed = None
    if verdict is Verdict.INCONCLUSIVE and metric.value is not None and SHORT_OF_CPU not in metric.method:
        needed = _cases_to_leave(metric, bound)
        explanation += f": {_remedy(metric.n, needed, varies, floor=True)}"
    if metric.value is not None and metric.unscored > suite.max_unscored_rate * (metric.n + metric.unscored):
        total = metric.n + metric.unscored
        explanation = f"{metric.unscored} of {total} cases could not be scored (bound {suite.max_unscored_rate:.0%})"
        verdict, needed = Verdict.FAIL, None
    if metric.unit is Unit.MS and metric.n < suite.minimum_latency_calls:
        verdict, needed = Verdict.INCONCLUSIVE, None
        wanted = suite.minimum_latency_calls
        explanation = f"live calls of {metric.n} cases, {wanted} needed; run with --fresh to call the models again"
    if metric.note:
        explanation += f"; {metric.note}"
    return verdict, explanation, needed


def _three_way(metric: Metric, bound: float, *, above: bool) -> tuple[Verdict, str]:
    if metric.value is None:
        return Verdict.INCONCLUSIVE, "no case could be scored"
    if metric.low is None or metric.high is None:
        return Verdict.INCONCLUSIVE, metric.method or "one case has no interval"
    word = "at least" if above else "at most"
    verdict = (
        floor_verdict(metric.low, metric.high, bound) if above else floor_verdict(-metric.high, -metric.low, -bound)
    )
    return verdict, {
        Verdict.PASS: f"the whole interval is {word} the bound",
        Verdict.FAIL: "the whole interval misses the bound",
        Verdict.INCONCLUSIVE: metric.method if SHORT_OF_CPU in metric.method else "the interval spans the bound",
    }[verdict]


def floor_verdict(low: float, high: float, bound: float) -> Verdict:
    """Return the verdict on an interval that must lie at or above ``bound``."""
    if low >= bound:
        return Verdict.PASS
    return Verdict.FAIL if high < bound else Verdict.INCONCLUSIVE


def margin_verdict(low: float, high: float, margin: float) -> Verdict:
    """Return the verdict on the interval of a difference from production that must lie above ``-margin``."""
    if low > -margin:
        return Verdict.PASS
    return Verdict.FAIL if high < -margin else Verdict.INCONCLUSIVE


def _cases_to_leave(metric: Metric, bound: float) -> int | None:
    """Return how many cases would move the interval to one side of ``bound`` if the figure stayed; None if too many."""
    # scipy takes 0.3 s to import, and the model calls should start before that
    from figures.stats import cases_for_events, unseen_share

    if metric.value is None or metric.low is None or metric.high is None:
        return None
    distance = abs(metric.value - bound)
    if distance == 0 or metric.n == 0:
        return None
    if metric.unit is Unit.EVENTS:
        return cases_for_events(metric.value, bound, metric.confidence)
    if metric.unit is Unit.RATE and metric.value in (0.0, 1.0):
        # At shares of 0 and 1 Wilson's interval shrinks with n, not with its square root.
        share = unseen_share(metric.n, metric.confidence)
        return math.ceil(metric.n * share / (1 - share) * (1 - distance) / distance) if distance < 1 else None
    reach = metric.value - metric.low if metric.value > bound else metric.high - metric.value
    needed = math.ceil(metric.n * (reach / distance) ** 2)
    return needed if needed <= _MOST_CASES else None


def _remedy(n: int, needed: int | None, varies: bool, *, floor: bool) -> str:
    if needed is None:
        cases = "the figure is too close to the bound for any realistic number of cases"
    elif needed <= n:
        cases = f"{n} cases suffice for a pair that equals production, so this one may be worse"
    elif floor:
        cases = f"{n} cases are too few; about {needed:,} decide if the figure stays"
    else:
        cases = f"{n} cases are too few; with about {needed:,} a pair that equals production passes four times in five"
    return cases + ("; repeats may help" if varies else "; its answers do not vary, so repeats cannot help")


def _floor_wanted(spec: MetricSpec) -> str:
    """Return the advice to bound what cannot be compared with production: from above where lower is better."""
    if spec.higher_is_better:
        return "give it a floor in the suite"
    unit = {Unit.MS: " in ms", Unit.USD: " in USD"}.get(spec.unit, "")
    return (
        f"say in the suite how much it may be, since lower is better: Floor(metric={spec.name!r}, bound=<the most that you "
        f"accept{unit}>, reason=...)"
    )


def _no_worse(gate: NoWorse, delta: Metric, suite: Suite, varies: bool) -> Check:
    if not delta.comparable:
        bounded = any(floor.metric == gate.metric for floor in suite.floors)
        verdict = Verdict.PASS if bounded else Verdict.INCONCLUSIVE
        explanation = f"{delta.note}; " + ("its floor decides" if bounded else _floor_wanted(suite.metric(gate.metric)))
    elif delta.value is None and delta.note:
        verdict, explanation = Verdict.INCONCLUSIVE, delta.note
    elif delta.value is None:
        verdict, explanation = Verdict.INCONCLUSIVE, "no case has a score for both pairs"
    elif delta.low is None or delta.high is None:
        verdict, explanation = Verdict.INCONCLUSIVE, delta.method or "one case has no interval"
    elif (verdict := margin_verdict(delta.low, delta.high, gate.margin)) is Verdict.PASS:
        explanation = "not worse than production by more than the margin"
    elif verdict is Verdict.FAIL:
        explanation = "worse than production by more than the margin"
    else:
        remedy = _remedy(delta.n, delta.needed_n, varies, floor=False)
        explanation = f"the interval of the difference spans the margin: {remedy}"
    if not delta.note and delta.unscored > suite.max_unscored_rate * max(delta.n + delta.unscored, 1):
        explanation += f"; {delta.unscored} cases lack a score for one of the pairs"
        verdict = Verdict.FAIL if verdict is Verdict.FAIL else Verdict.INCONCLUSIVE
    return Check(
        kind="no_worse",
        metric=delta,
        bound=-gate.margin,
        verdict=verdict,
        reason=gate.reason,
        explanation=explanation,
    )
