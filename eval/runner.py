"""Runs task x pair x cases through the function that the service calls: bounded, resumable, one result for every case."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from eval.callcache import CachingGateway, CallCache
from eval.cases import Case
from eval.errors import RunAborted
from eval.results import ArmName, CaseResult
from service.cards import ModelCards
from service.errors import FailureCode
from service.llm.call import Gateway
from service.pair import Pair
from service.task import Task, TaskContext

# How much longer than the pair's deadline an evaluation waits for an answer: late answers are counted by `on_time`, and a
# slow or busy machine must not turn into missing quality figures.
PATIENCE = 24.0
# Throttles are waited out inside the deadline; this bounds them when a deadline is long.
THROTTLE_RETRIES = 12
# Workers start this far apart. Started at once, their calls stay a burst: asyncio then shares the CPU among all of them, and
# every wave waits for the whole burst's own work (litellm: 3 to 5 ms a call) before the next one leaves.
START_SPACING_S = 0.009


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One arm of one pair over all cases; ``repeats`` counts from 1."""

    pair: Pair
    arm: ArmName
    cases: tuple[Case, ...]
    repeats: int = 1

    @property
    def size(self) -> int:
        """How many results the job gives."""
        return len(self.cases) * self.repeats


Progress = Callable[[CaseResult], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Everything that stays the same over a run's jobs.

    ``server_died`` returns a description once the model server of this run is gone: going on would only collect failures.
    """

    task: Task[Any]
    gateway: Gateway
    cards: ModelCards
    cache: CallCache
    run_id: str
    concurrency: int
    fresh: bool = False
    spacing_s: float = START_SPACING_S
    server_died: Callable[[], str | None] = lambda: None

    async def run(self, job: Job, progress: Progress) -> list[CaseResult]:
        """Return one result per case and repeat, in case order.

        Raises:
            RunAborted: the model server died.
        """
        queue: list[tuple[int, Case, int]] = [
            (index, case, repeat)
            for index, (case, repeat) in enumerate(
                (case, repeat) for repeat in range(job.repeats) for case in job.cases
            )
        ]
        queue.reverse()
        results: list[CaseResult | None] = [None] * job.size

        async def worker(number: int) -> None:
            await asyncio.sleep(number * self.spacing_s)
            while queue:
                index, case, repeat = queue.pop()
                result = await self._one(job, case, repeat)
                results[index] = result
                progress(result)

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(min(self.concurrency, job.size)):
                    group.create_task(worker(number))
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None  # the first one stopped the others; the rest repeat it
        return [result for result in results if result is not None]

    async def _one(self, job: Job, case: Case, repeat: int) -> CaseResult:
        gateway = CachingGateway(
            self.gateway,
            self.cache,
            self.run_id,
            job.pair.digest,
            case.inputs_digest,
            repeat,
            self.fresh,
        )
        model = job.pair.backup if job.arm == "backup" and job.pair.backup else job.pair.model
        in_process = self.cards.get(model).wire == "in_process"
        context = TaskContext(
            pair=job.pair,
            gateway=self.gateway if in_process else gateway,
            cards=self.cards,
            chain=job.arm,
            throttle_retries=THROTTLE_RETRIES,
            patience=PATIENCE,
        )
        inputs: BaseModel = self.task.input_model.model_validate(case.inputs)
        result = await self.task.run(inputs, context)
        if result.failure in (FailureCode.UPSTREAM_UNAVAILABLE, FailureCode.DEADLINE):
            died = self.server_died()
            if died is not None:
                raise RunAborted(f"{died} What was answered is kept; run the same command again to go on.")
        return CaseResult(
            case_id=case.id,
            arm=job.arm,
            repeat=repeat,
            result=result,
            live=gateway.live,
            measured_in=gateway.measured_in,
        )
