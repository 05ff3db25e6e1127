"""Scores and judges planted faults in child processes, with the suite, the metrics and the gate of a real evaluation."""

import datetime as dt
import multiprocessing
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from eval.cases import Case, cases_digest
from eval.results import CaseResult, GateResult
from eval.run.scoring import end_with_parent, score_one
from eval.suite import Suite
from eval.verdict.deltas import build_deltas
from eval.verdict.gate import judge
from eval.verdict.metrics import build_metrics, build_slice_metrics
from service.cards import ModelCards
from service.pair import Pair

# In place of production's digest: the good system stands as production, whatever pair the fault was planted in.
PRODUCTION = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What stays the same over a self-test."""

    suite: Suite
    cards: ModelCards
    today: dt.date


class Judging:
    """A pool that scores answers and judges them; ``with Judging(bench, workers=2) as judging``."""

    def __init__(self, bench: Bench, *, workers: int) -> None:
        self._workers = workers
        self._pool = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_open, initargs=(bench,)
        )

    def __enter__(self) -> "Judging":
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
        """Begin to score ``candidate`` and to judge it against ``production``, which is scored already."""
        return self._pool.submit(_judge, pair, cases, candidate, production)


_child: dict[str, Bench] = {}


def _open(bench: Bench) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=end_with_parent, daemon=True).start()
    _child["bench"] = bench


def _score(cases: Sequence[Case], results: Sequence[CaseResult]) -> list[CaseResult]:
    suite = _child["bench"].suite
    return [
        replace(item, scores=score_one(suite.scorers, suite.task, case, item.result))
        for case, item in zip(cases, results, strict=True)
    ]


def _judge(
    pair: Pair, cases: Sequence[Case], candidate: Sequence[CaseResult], production: Sequence[CaseResult]
) -> GateResult:
    return judge_against(_child["bench"], pair, cases, candidate, production)


def judge_against(
    bench: Bench, pair: Pair, cases: Sequence[Case], candidate: Sequence[CaseResult], production: Sequence[CaseResult]
) -> GateResult:
    """Return the gate's verdict on ``candidate``; an answer that equals production's keeps its scores."""
    scored = [
        replace(ours, scores=theirs.scores)
        if ours.result.output == theirs.result.output and ours.result.failure == theirs.result.failure
        else replace(ours, scores=score_one(bench.suite.scorers, bench.suite.task, case, ours.result))
        for case, ours, theirs in zip(cases, candidate, production, strict=True)
    ]
    by_id = {case.id: case for case in cases}
    return judge(
        pair,
        suite=bench.suite,
        dataset_digest=cases_digest(cases),
        cards=bench.cards,
        today=bench.today,
        metrics=build_metrics(bench.suite, by_id, scored, deadline_ms=pair.serving.deadline_ms),
        backup_metrics={},
        results=scored,
        # Planted delays are added to the same calls: both sides met the same load.
        deltas=build_deltas(bench.suite, by_id, scored, production, timing="in turn"),
        baseline_digest=PRODUCTION,
        slice_metrics=build_slice_metrics(bench.suite, by_id, scored),
    )
