"""Turns shadow answers into figures and a verdict, with the scorers, metrics and checks of the task's own gate."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from eval.run.scoring import score_one
from eval.shadow.stored import ComparedShadows
from eval.spine.cases import Case
from eval.spine.errors import ShadowError
from eval.spine.results import CaseResult, GateResult, Score
from eval.spine.suite import MetricSpec, NoWorse, Suite
from eval.verdict.deltas import build_deltas
from eval.verdict.gate import GateFigures, GateRules, Judgement, decide
from eval.verdict.kinds.kind import CallOrder
from eval.verdict.metrics import build_metrics
from figures.metric import Metric, Unit
from service.core.llm.pricing import Cost
from service.core.run.task import Task, TaskResult
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import FailureCode
from service.rollouts.shadow_record import AnswerRecord, ShadowRecord

# Kinds that compare with references or labels, or ask a judge.
_LABELLED_KINDS = frozenset({"corpus", "pooled", "judge", "judge_rate", "cost"})
_BY_PRIMARY, _COST, _GUARD = "answered_by_primary", "cost", "guard_clear"
_DEFAULT_COST_MARGIN = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRequest:
    """One request with both answers scored."""

    record: ShadowRecord
    ours: CaseResult
    theirs: CaseResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowResult:
    """What the shadow answers of one candidate say; ``unseen_metrics`` are those of the suite that need labels or a judge."""

    task: str
    pair: Pair
    comparison: ComparedShadows
    requests: tuple[ScoredRequest, ...]
    customers: int
    suite: Suite
    candidate: dict[str, Metric]
    production: dict[str, Metric]
    deltas: dict[str, Metric]
    gate: GateResult
    unseen_metrics: tuple[str, ...]


def judge_shadows(
    comparison: ComparedShadows, *, task: Task[Any], suite: Suite, cards: ModelCards, pair: Pair, today: dt.date
) -> ShadowResult:
    """Score both answers to every request, compare them in pairs, and decide as the gate does.

    The customer is the unit: requests of one customer count as repeats of one case, so that a customer who calls often does
    not narrow the intervals.

    Raises:
        ShadowError: a record's inputs are not this task's.
    """
    narrowed = label_free(suite)
    requests = tuple(_scored(comparison.records, task, suite))
    ours, theirs = [item.ours for item in requests], [item.theirs for item in requests]
    deadline_ms = pair.serving.deadline_ms
    figures = _figures(narrowed, ours, deadline_ms)
    deltas = build_deltas(narrowed, {}, ours, theirs, timing=_timing(comparison.records, cards))
    judgement = Judgement(
        pair=pair,
        answers=ours,
        figures=GateFigures(metrics=figures, deltas=deltas),
        dataset_digest=sha256_hex(canonical_json([item.record.id for item in requests])),
        baseline_digest=comparison.production,
    )
    return ShadowResult(
        task=task.name,
        pair=pair,
        comparison=comparison,
        requests=requests,
        customers=len({item.case_id for item in ours}),
        suite=narrowed,
        candidate=figures,
        production=_figures(narrowed, theirs, deadline_ms),
        deltas=deltas,
        gate=decide(judgement, GateRules(suite=narrowed, cards=cards, today=today)),
        unseen_metrics=tuple(spec.name for spec in suite.metrics if spec.name not in figures and spec.kind != "cost"),
    )


def label_free(suite: Suite) -> Suite:
    """Return ``suite`` with the metrics that need neither labels nor a judge, plus two of serving.

    ``answered_by_primary`` is the share of answers that the pair's primary model wrote: behind the guard a bad candidate shows
    its backup's answer or the digest, which are good answers and not its own. ``cost`` is the metered cost.
    """
    free = {
        name
        for scorer in suite.scorers
        if not getattr(scorer, "needs_labels", False)
        for name in scorer.scores
    }  # fmt: skip
    metrics = [
        spec
        for spec in suite.metrics
        if spec.kind not in _LABELLED_KINDS and (spec.kind not in {"mean", "rate", "never"} or spec.score in free)
    ]
    metrics += [
        MetricSpec(name=_BY_PRIMARY, kind="rate", score=_BY_PRIMARY, unit=Unit.RATE),
        MetricSpec(name=_COST, kind="cost", score="metered", unit=Unit.USD, higher_is_better=False),
    ]
    names = {spec.name for spec in metrics}
    costs = [gate.margin for gate in suite.no_worse if gate.metric.startswith("cost")]
    no_worse = [gate for gate in suite.no_worse if gate.metric in names]
    no_worse += [
        NoWorse(
            metric=_BY_PRIMARY,
            margin=0.05,
            reason="one request in twenty; other answers do not show how the candidate's own model behaves",
        ),
        NoWorse(
            metric=_COST,
            margin=costs[0] if costs else _DEFAULT_COST_MARGIN,
            reason="the suite's margin of a cost, on what was metered",
        ),
    ]
    return replace(
        suite,
        metrics=tuple(metrics),
        floors=tuple(replace(floor, arms=("primary",)) for floor in suite.floors if floor.metric in names),
        no_worse=tuple(no_worse),
        slices=(),
        slice_floors=(),
        judges=(),
        pools={},
        declared_digest=suite.digest,
    )


def _figures(suite: Suite, results: Sequence[CaseResult], deadline_ms: int) -> dict[str, Metric]:
    # Without the spread between repeats: a customer's second request is not the first one asked again.
    found = build_metrics(suite, {}, results, deadline_ms=deadline_ms)
    return {name: replace(metric, between_repeat_sd=None) for name, metric in found.items()}


def _scored(records: Sequence[ShadowRecord], task: Task[Any], suite: Suite) -> list[ScoredRequest]:
    seen: Counter[str] = Counter()
    scored = []
    for number, record in enumerate(records):
        try:
            unit = task.unit(task.input_model.model_validate(record.inputs)) or f"request-{number}"
        except ValidationError as err:
            raise ShadowError(
                f"the shadow answer of {record.at.isoformat()} holds inputs that are not those of {task.name!r}: "
                f"{err.errors(include_url=False)[0]['msg']}; remove it and run again"
            ) from err
        case = Case(id=f"shadow-{number}", inputs=record.inputs)
        ours, theirs = (
            _result(answer, task.name, suite, case, unit, seen[unit]) for answer in (record.unseen, record.shown)
        )
        seen[unit] += 1
        scored.append(ScoredRequest(record=record, ours=ours, theirs=theirs))
    return scored


def _result(answer: AnswerRecord, task: str, suite: Suite, case: Case, unit: str, repeat: int) -> CaseResult:
    cost = answer.cost_usd
    result = TaskResult(
        output=answer.output,
        arm=answer.arm,
        model=answer.model,
        answered_by=answer.answered_by,
        latency_ms=answer.latency_ms,
        cost=None if cost is None else Cost(metered_usd=cost, cold_usd=Decimal(0), warm_usd=Decimal(0)),
        failure=None if answer.failure is None else FailureCode(answer.failure),
        guarded=answer.guarded,
        repaired=answer.repaired,
    )
    scores = dict(score_one(suite.scorers, task, case, result))
    if answer.guarded and _GUARD in scores and scores[_GUARD].value is not None:
        # What the guard found was repaired or replaced before anybody could read it; the model wrote it all the same.
        scores[_GUARD] = Score(value=0.0, findings=tuple(f"guard, when serving: {kind}" for kind in answer.guarded))
    scores[_BY_PRIMARY] = _by_primary(answer)
    return CaseResult(case_id=unit, arm="primary", repeat=repeat, result=result, live=True, scores=scores)


def _by_primary(answer: AnswerRecord) -> Score:
    if answer.failure is not None:
        return Score(value=None, unscored="no answer")
    if answer.arm == "primary":
        return Score(value=1.0)
    return Score(value=0.0, findings=(f"the {answer.arm} answered ({answer.answered_by})",))


def _timing(records: Sequence[ShadowRecord], cards: ModelCards) -> CallOrder:
    """Return "in turn", as both sides answered moments apart in one process, unless one of them calls no model."""
    models = {answer.model for record in records for answer in (record.shown, record.unseen) if answer.arm == "primary"}
    code = any(model in cards and cards.get(model).wire == "in_process" for model in models)
    return "no calls" if code else "in turn"
