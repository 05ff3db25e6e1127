"""Runs task x pair x cases through the function that the service calls: bounded, resumable, one result for every case."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eval.run.documents import with_documents
from eval.run.reply_cache import MOST_THROTTLED, CachingGateway, GatewayNotReady, KnownOrigins, ReplyCache
from eval.spine.cases import Case
from eval.spine.episode import CaseEpisode
from eval.spine.errors import HarnessError, RunAborted
from eval.spine.results import ArmName, CaseResult, Timing
from service.core.llm.model_call import Gateway, ModelCall
from service.core.llm.plain_call import is_plain
from service.core.run.task import Task, TaskContext, TaskResult
from service.core.tools.allowed import AllowedTools
from service.core.tools.documents import DocumentIndexes
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.frame.errors import FailureCode, ServiceError
from service.kit.frame.raised import told

# How much longer than the pair's deadline an evaluation waits for an answer: late answers are counted by `on_time`, and a
# slow or busy machine must not turn into missing quality figures.
PATIENCE = 24.0
# Throttles are waited out inside the deadline; this bounds them when a deadline is long.
THROTTLE_RETRIES = 12
# Workers start this far apart. Started at once, their calls stay a burst: asyncio then shares the CPU among all of them, and
# every wave waits for the whole burst's own work (litellm: 3 to 5 ms a call) before the next one leaves.
START_SPACING_S = 0.009
# How often the event loop's lag is measured: its timers end late while this process has no processor, or computes.
LAG_EVERY_S = 0.02
# Jobs take turns after this many calls: near enough in time to meet the same load, and long enough for a model server's slot to
# keep one pair's prompt prefix (the bundled model reads a long one in ten seconds).
TURN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmJob:
    """One arm of one pair over all cases; ``repeats`` counts from 1 and ``first_repeat`` from 0.

    ``gateway`` answers this job's calls where it is not the runner's own.
    """

    pair: Pair
    arm: ArmName
    cases: tuple[Case, ...]
    repeats: int = 1
    first_repeat: int = 0
    gateway: Gateway | None = None

    @property
    def size(self) -> int:
        """How many results the job gives."""
        return len(self.cases) * self.repeats


Progress = Callable[[CaseResult, float], None]  # a result, and the seconds that it took in this run
_Call = tuple["_Turns", int, Case, int]
_Kind = tuple[int, bool]  # a gateway by its identity, and whether its calls are of text alone


@dataclass(slots=True)
class ArmResults:
    """A finished job's results in case order, and when its first call began and its last ended (``time.perf_counter``)."""

    results: list[CaseResult]
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """From the first call to the last answer; jobs that took turns overlap."""
        return self.ended - self.began


@dataclass(slots=True)
class _Turns:
    """One job's calls still to be made, and its results so far."""

    job: ArmJob
    progress: Progress
    waiting: deque[tuple[int, Case, int]]
    results: list[CaseResult | None]
    began: float = 0.0
    ended: float = 0.0


@dataclass(slots=True)
class _Queue:
    """The calls of all jobs, ``TURN`` of one job after ``TURN`` of the next; jobs may join while others run."""

    jobs: list[_Turns] = field(default_factory=list)
    _order: Iterator[_Call] | None = None

    def add(self, jobs: Sequence[ArmJob], progress: Callable[[ArmJob], Progress]) -> None:
        for job in jobs:
            repeats = range(job.first_repeat, job.first_repeat + job.repeats)
            calls = enumerate((case, repeat) for repeat in repeats for case in job.cases)
            waiting = deque((index, case, repeat) for index, (case, repeat) in calls)
            self.jobs.append(_Turns(job, progress(job), waiting, [None] * job.size))
        self._order = self._in_turn()

    def next(self) -> _Call | None:
        return None if self._order is None else next(self._order, None)

    def _in_turn(self) -> Iterator[_Call]:
        while any(turns.waiting for turns in self.jobs):
            for turns in self.jobs:
                for _ in range(min(TURN, len(turns.waiting))):
                    yield (turns, *turns.waiting.popleft())


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Everything that stays the same over a run's jobs.

    ``make_ready`` gets a gateway ready for a call and those like it, such as by importing litellm, and is awaited when the cache
    first lacks such a reply: a run that needs no call does not pay for it, and no answer's latency holds it. ``server_died``
    returns a description once the model server of this run is gone: going on would only collect failures. With ``episode`` a
    case is played out in several runs of the task, and brings its own tools; ``documents`` are what other runs may search.
    """

    task: Task[Any]
    gateway: Gateway
    cards: ModelCards
    cache: ReplyCache
    run_id: str
    concurrency: int
    fresh: bool = False
    spacing_s: float = START_SPACING_S
    make_ready: Callable[[Gateway, ModelCall], Awaitable[None]] | None = None
    server_died: Callable[[], str | None] = lambda: None
    episode: CaseEpisode | None = None
    documents: DocumentIndexes | None = None
    _silent: dict[str, int] = field(
        init=False, default_factory=dict
    )  # failed calls of models that have not answered yet
    _ready: set["_Kind"] = field(init=False, default_factory=set)
    _lag: list[float] = field(init=False, default_factory=lambda: [0.0])  # ms so far

    def in_flight(self, job: ArmJob) -> int:
        """Return how many of a job's calls a model answers at a time; 0 where code answers."""
        return 0 if self._in_process(job) else self.concurrency

    def server_of(self, job: ArmJob) -> str | None:
        """Return the address of the server that somebody named for a job's model, or None."""
        gateway = job.gateway or self.gateway
        if not isinstance(gateway, KnownOrigins):
            return None
        return next(filter(None, map(gateway.server_of, job.pair.models_of(backup=job.arm == "backup"))), None)

    def _in_process(self, job: ArmJob) -> bool:
        return self._wires(job) == {"in_process"}

    def _on_litellms_wire(self, job: ArmJob) -> bool:
        return "litellm" in self._wires(job)

    def _wires(self, job: ArmJob) -> set[str]:
        return {self.cards.get(model).wire for model in job.pair.models_of(backup=job.arm == "backup")}

    async def run(self, job: ArmJob, progress: Progress) -> list[CaseResult]:
        """Return one result per case and repeat, in case order.

        Raises:
            RunAborted: the model server died.
        """
        (answered,) = await self.run_in_turn([job], lambda _: progress)
        return answered.results

    async def run_in_turn(
        self,
        jobs: Sequence[ArmJob],
        progress: Callable[[ArmJob], Progress],
        joining: Awaitable[Sequence[ArmJob]] | None = None,
    ) -> list[ArmResults]:
        """Run ``jobs`` in turns, so that they meet the same load, and return what they gave in their order.

        Args:
            jobs: run from the start.
            progress: makes a job's callback.
            joining: further jobs, which take their turns from when they are known; they stand last in the result.

        Raises:
            RunAborted: the model server died.
        """
        queue = _Queue()
        queue.add(jobs, progress)
        late = None if joining is None else asyncio.ensure_future(joining)
        if late is not None:
            # An error of theirs is raised below, once the first jobs' answers are kept.
            late.add_done_callback(lambda done: None if _failed(done) else queue.add(done.result(), progress))
        await self._work(queue)
        if late is not None:
            await late
            await asyncio.sleep(0)  # lets the callback add what came only now
            await self._work(queue)
        return [
            ArmResults([result for result in turns.results if result is not None], turns.began, turns.ended)
            for turns in queue.jobs
        ]

    async def _work(self, queue: "_Queue") -> None:
        readying: dict[_Kind, asyncio.Task[float]] = {}

        async def ready(gateway: Gateway, call: ModelCall) -> float:
            kind = _kind(gateway, call)
            if kind not in readying:
                readying[kind] = asyncio.create_task(self._readied(gateway, call))
            return await asyncio.shield(readying[kind])

        async def worker(number: int) -> None:
            await asyncio.sleep(number * self.spacing_s)
            while (call := queue.next()) is not None:
                turns, index, case, repeat = call
                asked = time.perf_counter()
                turns.began = turns.began or asked
                result = None
                while result is None:
                    try:
                        result = await self._one(turns.job, case, repeat)
                    except GatewayNotReady as err:
                        gateway = turns.job.gateway or self.gateway
                        at = await ready(gateway, err.call)
                        turns.began = turns.began if turns.ended else max(turns.began, at)  # no call before
                        await asyncio.sleep(number * self.spacing_s)
                        asked = time.perf_counter()
                turns.ended = time.perf_counter()
                turns.results[index] = result
                turns.progress(result, turns.ended - asked)

        waiting = sum(len(turns.waiting) for turns in queue.jobs)
        measuring = asyncio.create_task(self._measure_lag())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(min(self.concurrency, waiting)):
                    group.create_task(worker(number))
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None  # the first one stopped the others; the rest repeat it
        finally:
            measuring.cancel()

    async def _measure_lag(self) -> None:
        while True:
            asleep = time.perf_counter()
            await asyncio.sleep(LAG_EVERY_S)
            self._lag[0] += max((time.perf_counter() - asleep - LAG_EVERY_S) * 1000, 0.0)

    async def _readied(self, gateway: Gateway, call: ModelCall) -> float:
        if self.make_ready is not None:
            await self.make_ready(gateway, call)
        self._ready.add(_kind(gateway, call))
        return time.perf_counter()

    async def _one(self, job: ArmJob, case: Case, repeat: int) -> CaseResult:
        try:
            return await self._answer_of(job, case, repeat)
        except (GatewayNotReady, HarnessError, ServiceError):
            raise
        except Exception as err:  # a task, a model that is code and a planted fault are their author's own code
            raise RunAborted(
                f"case {case.id!r}, pair {job.pair.name!r}: {told(err)}; mend the code there, then run the same command again"
            ) from err

    async def _answer_of(self, job: ArmJob, case: Case, repeat: int) -> CaseResult:
        inner = job.gateway or self.gateway
        gateway = CachingGateway(
            inner,
            self.cache,
            self.run_id,
            job.pair.digest,
            case.inputs_digest,
            repeat,
            self.fresh,
            ready=lambda call: self.make_ready is None or _kind(inner, call) in self._ready,
            silent=self._silent if self._on_litellms_wire(job) else None,
            is_code=lambda model: self.cards.get(model).wire == "in_process",
            most_throttled=max(MOST_THROTTLED, 5 * self.concurrency),  # they are told long before answers come
            # Code that answers holds up the loop itself: that is its latency.
            lag=(lambda: 0.0) if self._in_process(job) else lambda: self._lag[0],
        )
        context = TaskContext(
            pair=job.pair,
            gateway=gateway,
            cards=self.cards,
            chain=job.arm,
            throttle_retries=THROTTLE_RETRIES,
            patience=PATIENCE,
        )
        timings: list[Timing] = []

        async def answer(inputs: Any, tools: AllowedTools) -> TaskResult:
            turn = await self._answered(inputs, replace(context, tools=tools))
            timing = gateway.timing(turn.request_ms)
            if turn.failure is None and turn.arm != "none":
                timings.append(timing)
            return turn

        if self.episode is None:
            inputs = self.task.input_model.model_validate(case.inputs)
            result = await with_documents(
                job.pair,
                f"{case.id}-{repeat}",
                self.documents,
                lambda tools: self._answered(inputs, replace(context, tools=tools)),
            )
        else:
            customer = self.episode.customer
            # The customer's replies are cached under their own pair: its calls are no part of a turn's latency.
            counterpart = replace(gateway, pair_digest="" if customer is None else customer.digest, made_in=[], lags=[])
            result = await self.episode.play(case, repeat, job.pair, answer, counterpart.complete)
        timing = gateway.whole_timing(result.request_ms)
        return CaseResult(
            case_id=case.id,
            arm=job.arm,
            repeat=repeat,
            result=result,
            live=timing.live,
            measured_in=timing.measured_in,
            timings=None if self.episode is None else tuple(timings),
            lag_ms=timing.lag_ms,
        )

    async def _answered(self, inputs: Any, context: TaskContext) -> TaskResult:
        result = await self.task.run(inputs, context)
        if result.failure in (FailureCode.UPSTREAM_UNAVAILABLE, FailureCode.DEADLINE):
            died = self.server_died()
            if died is not None:
                raise RunAborted(f"{died} What was answered is kept; run the same command again to go on.")
        return result


def _kind(gateway: Gateway, call: ModelCall) -> _Kind:
    return id(gateway), is_plain(call)


def _failed(done: "asyncio.Future[Sequence[ArmJob]]") -> bool:
    return done.cancelled() or done.exception() is not None


def in_turn(one: ArmResults, other: ArmResults) -> bool:
    """Return whether two jobs' calls met the same load: at least half of the shorter one's time lies inside the other's."""
    shared = min(one.ended, other.ended) - max(one.began, other.began)
    return shared > 0 and shared >= min(one.seconds, other.seconds) / 2
