"""Scores answers in a child process while the models are still answering: scoring takes CPU, calling takes waiting."""

import gc
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any, TypeVar

import eval.suites
import service.core.tasks
from eval.spine.cases import Case
from eval.spine.results import CaseResult, Score
from eval.spine.scorer import Scorer, ScorerContext, safe_score
from eval.suites import load_suite
from service.core.run.task import TaskResult, load_task
from service.kit.frame.process.gc_pause import paused_gc
from service.kit.frame.process.pools import SpawnedPool

R = TypeVar("R")


class Scoring:
    """Scores results in a child process as they arrive; a crashed scorer gives an unscored value and never loses the run."""

    def __init__(self, task: str, cases: Sequence[Case]) -> None:
        """Start the child, which imports what it lacks of the scorers at once."""
        self._cases = {case.id: case for case in cases}
        self._futures: dict[int, Future[dict[str, Score]]] = {}
        paths = (list(service.core.tasks.__path__), list(eval.suites.__path__))
        self._pool = SpawnedPool(1, initializer=_open, initargs=(task, *paths), fork=True)
        self._pool.submit(os.getpid)  # a pool starts its child with the first job; this one is only that

    def __enter__(self) -> "Scoring":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the child; results not collected are dropped."""
        self._futures.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
        # Its semaphores go with it; the command ends by os._exit, which would leave them to a warning on standard error.
        del self._pool
        gc.collect()

    def submit(self, item: CaseResult) -> None:
        """Begin to score ``item``."""
        self._futures[id(item)] = self.compute(_score, self._cases[item.case_id], item.result)

    def compute(self, function: Callable[..., R], *arguments: object) -> "Future[R]":
        """Begin to compute ``function(*arguments)``, which a module must define, in the child behind what it has to do."""
        # Pickled here: the pool would do it in a thread of its own, while this one fills in digests of the same objects.
        return self._pool.submit(_call, pickle.dumps((function, arguments)))

    def collect(self, items: Sequence[CaseResult]) -> list[CaseResult]:
        """Return ``items``, each submitted before, with their scores."""
        return [replace(item, scores=self._futures.pop(id(item)).result()) for item in items]


def score_one(scorers: Sequence[Scorer], task: str, case: Case, result: TaskResult) -> dict[str, Score]:
    """Return every scorer's scores of one answer."""
    context = ScorerContext(
        case=case,
        inputs=load_suite(task).case_model(load_task(task).input_model).model_validate(case.inputs),
        result=result,
        output=result.output or "",
    )
    return {name: score for scorer in scorers for name, score in safe_score(scorer, context).items()}


# The child's own state, set once by the pool's initializer.
_child: dict[str, str | Sequence[Scorer]] = {}


def _open(task: str, task_paths: list[str], suite_paths: list[str]) -> None:
    os.nice(5)  # the calls' own process comes first: its delays would be counted as the model's
    threading.Thread(target=end_with_parent, daemon=True).start()
    # Last of all, and without freeing every imported module first: the parent would wait for that, up to a second.
    Finalize(None, os._exit, args=(0,), exitpriority=-1000)
    service.core.tasks.__path__ = task_paths
    eval.suites.__path__ = suite_paths
    with paused_gc():
        _child["task"] = task
        _child["scorers"] = load_suite(task).scorers


def end_with_parent() -> None:
    """Wait for the end of the parent process, then end this one; to be run in a thread of a pool's child."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)  # the parent was killed: a pool's child would otherwise wait for jobs for ever


def _call(pickled: bytes) -> Any:
    function, arguments = pickle.loads(pickled)  # noqa: S301 - our own parent's
    return function(*arguments)


def _score(case: Case, result: TaskResult) -> dict[str, Score]:
    task, scorers = _child["task"], _child["scorers"]
    assert isinstance(task, str)
    assert not isinstance(scorers, str)
    return score_one(scorers, task, case, result)
