"""Answers the items of a backfill one by one; the same in every process of every engine."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from eval.run.models import RunModels
from eval.run.scoring import score_one
from eval.spine.cases import Case
from eval.spine.errors import BackfillError
from eval.spine.scorer import Scorer
from eval.suites import load_case_rules, load_suite
from service.core.llm.model_call import Gateway
from service.core.run.guard import kinds_of
from service.core.run.task import Task, TaskContext, TaskResult, load_task
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file.artifacts import open_artifacts
from service.kit.settings import Settings

_PATIENCE = 10.0  # no agent is waiting, so a slow answer is better than the digest

Mode = Literal["summarise", "rescore", "score"]
ItemRow = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One past request: the task's inputs; for ``rescore`` its answer; for ``score`` what is known about a good one."""

    id: str
    inputs: Mapping[str, Any]
    text: str | None = None
    expectations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every worker needs, as plain values that can be sent to another machine, which needs no file of this one."""

    task: str
    mode: Mode
    pair: Mapping[str, Any]  # Pair.content(); empty for `rescore`
    cards: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]


class Answerer:
    """Answers items on an event loop in a thread of its own. One per process; ``close`` ends the models that it started."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backfill", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._closing: asyncio.Event
        self._opening = threading.Lock()
        self._answers: _Answers | None = None
        self._stack = ExitStack()
        self._thread.start()
        self._ready.wait()

    def submit(self, item: WorkItem) -> "Future[ItemRow]":
        """Begin to answer ``item``; the future holds its row, or raises ``BackfillError`` for inputs that are no inputs."""
        with self._opening:
            if self._answers is None:
                self._answers = _Answers(self._work, self._stack)
        return asyncio.run_coroutine_threadsafe(self._answers.row(item), self._loop)

    def close(self) -> None:
        """Cancel what is being answered and end the models."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()
        self._stack.close()

    def _run(self) -> None:
        asyncio.run(self._until_closed())

    async def _until_closed(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._closing.wait()


class _Answers:
    """What items are answered with: the task, and for a model its pair, gateway and scorers."""

    def __init__(self, work: Work, stack: ExitStack) -> None:
        self._mode = work.mode
        self._task: Task[Any] = load_task(work.task)
        self._context: TaskContext | None = None
        self._scorers: Sequence[Scorer] = ()
        if work.mode == "rescore":
            return
        settings = Settings(**work.settings)
        pair = open_artifacts(Pair.from_content(work.pair), settings.prompts_dir / work.task)
        cards = ModelCards([ModelCard.model_validate(card) for card in work.cards])
        models = RunModels(stack, cards, settings, self._task)
        gateway: Gateway = models.gateway([pair])
        if any(cards.get(model).wire != "in_process" for model in pair.models):
            # Before the first call: one that waits for an import is hedged, and both are paid.
            asyncio.run(models.make_ready(gateway))
        # An evaluation measures the pair's own model: a failover would hide in its scores.
        chain: Literal["serve", "primary"] = "primary" if work.mode == "score" else "serve"
        self._context = TaskContext(pair=pair, gateway=gateway, cards=cards, patience=_PATIENCE, chain=chain)
        if work.mode == "score":
            self._scorers = load_suite(work.task).scorers

    async def row(self, item: WorkItem) -> ItemRow:
        try:
            inputs = self._task.input_model.model_validate(item.inputs)
        except ValidationError as err:
            first = err.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise BackfillError(f"item {item.id!r} is no input of the task: {where}: {first['msg']}") from None
        if self._context is None:
            return self._rescored(inputs, item)
        result = await self._task.run(inputs, self._context)
        # Without timestamp and latency, so that the same history gives the same row.
        row: ItemRow = {
            "id": item.id,
            "pair_digest": self._context.pair.digest,
            "output": result.output,
            "arm": result.arm,
            "answered_by": result.answered_by,
            "failure": result.failure,
            "guarded": list(result.guarded),
            "repaired": result.repaired,
            "cost_usd": None if result.cost is None else format(result.cost.metered_usd, "f"),
        }
        if self._mode == "score":
            row["scores"] = await asyncio.to_thread(self._scored, item, result)
        return row

    def _rescored(self, inputs: BaseModel, item: WorkItem) -> ItemRow:
        guard = self._task.guard(inputs)
        findings = () if guard is None else guard(item.text or "")
        return {"id": item.id, "findings": len(findings), "kinds": list(kinds_of(findings)), "cost_usd": "0"}

    def _scored(self, item: WorkItem, result: TaskResult) -> dict[str, float | None]:
        expectations = load_case_rules(self._task.name).expectations.model_validate(item.expectations)
        case = Case(id=item.id, inputs=dict(item.inputs), expectations=expectations)
        scores = score_one(self._scorers, self._task.name, case, result)
        return {name: score.value for name, score in sorted(scores.items())}
