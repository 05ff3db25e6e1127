"""Scores planted faults and decides on them in child processes, with the suite, metrics and gate of a real evaluation."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType

from eval.run.scoring import end_with_parent, score_one
from eval.spine.cases import Case, cases_digest
from eval.spine.results import CaseResult, GateResult
from eval.verdict.deltas import build_deltas
from eval.verdict.gate import GateFigures, GateRules, Judgement, decide
from eval.verdict.metrics import build_metrics, build_slice_metrics
from eval.verdict.must_pass import must_pass_slices
from service.core.unit.pair import Pair
from service.kit.frame.process.pools import SpawnedPool

# In place of production's digest: the good system acts as production for every planted fault.
PRODUCTION = "0" * 64


class DecidingPool:
    """A pool that scores answers and decides on them; ``with Judging(rules, workers=2) as pool``."""

    def __init__(self, rules: GateRules, *, workers: int) -> None:
        self._workers = workers
        self._pool = SpawnedPool(workers, initializer=_open, initargs=(rules,))

    def __enter__(self) -> "DecidingPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the children; what nobody collected is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def score(self, cases: Sequence[Case], results: Sequence[CaseResult]) -> list[CaseResult]:
        """Return ``results`` with their scores, in order."""
        parts = [slice(number, None, self._workers) for number in range(self._workers)]
        futures = [self._pool.submit(_score, cases[part], results[part]) for part in parts]
        scored = {item.case_id: item for future in futures for item in future.result()}
        return [scored[item.case_id] for item in results]

    def submit(
        self, pair: Pair, cases: Sequence[Case], candidate: Sequence[CaseResult], production: Sequence[CaseResult]
    ) -> "Future[GateResult]":
        """Begin to score ``candidate`` and to decide on it against ``production``, which is scored already."""
        return self._pool.submit(_decide, pair, cases, candidate, production)


_child: dict[str, GateRules] = {}


def _open(rules: GateRules) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    _child["rules"] = rules


def _score(cases: Sequence[Case], results: Sequence[CaseResult]) -> list[CaseResult]:
    suite = _child["rules"].suite
    return [
        replace(item, scores=score_one(suite.scorers, suite.task, case, item.result))
        for case, item in zip(cases, results, strict=True)
    ]


def _decide(
    pair: Pair, cases: Sequence[Case], candidate: Sequence[CaseResult], production: Sequence[CaseResult]
) -> GateResult:
    return decide_against(_child["rules"], pair, cases, candidate, production)


def decide_against(
    rules: GateRules,
    pair: Pair,
    cases: Sequence[Case],
    candidate: Sequence[CaseResult],
    production: Sequence[CaseResult],
    *,
    first_release: bool = False,
) -> GateResult:
    """Return the gate's verdict on ``candidate``; an answer that equals production's keeps its scores.

    At a ``first_release`` it is compared with nothing.
    """
    scored = [
        replace(ours, scores=theirs.scores)
        if ours.result.output == theirs.result.output and ours.result.failure == theirs.result.failure
        else replace(ours, scores=score_one(rules.suite.scorers, rules.suite.task, case, ours.result))
        for case, ours, theirs in zip(cases, candidate, production, strict=True)
    ]
    by_id = {case.id: case for case in cases}
    return decide(
        Judgement(
            pair=pair,
            answers=scored,
            figures=GateFigures(
                metrics=build_metrics(rules.suite, by_id, scored, deadline_ms=pair.serving.deadline_ms),
                slices=build_slice_metrics(rules.suite, by_id, scored, deadline_ms=pair.serving.deadline_ms),
                # Planted delays are added to the same calls: both sides met the same load.
                deltas={} if first_release else build_deltas(rules.suite, by_id, scored, production, timing="in turn"),
                must_pass=must_pass_slices(rules.suite, by_id, scored),
            ),
            dataset_digest=cases_digest(cases),
            baseline_digest=None if first_release else PRODUCTION,
        ),
        rules,
    )
