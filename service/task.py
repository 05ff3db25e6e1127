"""A task: how inputs become a prompt, and an answer becomes an output. The harness and the service run the same ``run``."""

import importlib
import pkgutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel

from service.cards import ModelCards
from service.errors import AnswerRefused, ConfigurationError, FailureCode, ModelError, OutputInvalid
from service.guard import Finding, Guard, check_answer, kinds_of, repair_messages
from service.llm.breaker import BreakerState
from service.llm.call import Gateway, InProcessModels, ModelCall, ModelReply
from service.llm.deadline import Budget, complete_within, first_good
from service.llm.pricing import Cost, Usage, cost_of
from service.llm.reliability import Reliability, WatchedGateway, estimated_usage
from service.pair import OutputRules, Pair
from service.telemetry import Event, log

In = TypeVar("In", bound=BaseModel)
Arm = Literal["primary", "backup", "fallback", "none"]
Chain = Literal["serve", "primary", "backup"]
_NO_MODEL = "none"
# Kept back from the models when serving: the digest of an ordinary history takes 10 ms, of a long one 60, and the response is
# still to be written. Of a short deadline a tenth.
_FALLBACK_RESERVE_S = 0.25
# A call that was given up counts against its model after the pair's hedge delay, but never sooner than this.
_LEAST_SLOW_S = 1.0
# A second attempt with less time than this, or than the first one took, is not started.
_LEAST_REPAIR_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """What a run needs from outside.

    ``chain`` is ``serve`` (primary, hedged backup, fallback) or the one arm that an evaluation asks for, so that a failover
    never hides in a score. ``patience`` stretches the pair's deadline: 1 when serving; an evaluation waits longer and counts
    the answers that came late, so a slow machine costs latency figures and not quality figures. ``reliability`` is what the
    requests of a serving process share; without it every call passes and every hedge starts.
    """

    pair: Pair
    gateway: Gateway
    cards: ModelCards
    chain: Chain = "serve"
    throttle_retries: int = 1
    patience: float = 1.0
    clock: Callable[[], float] = time.perf_counter
    reliability: Reliability | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What a run gave. ``output`` is None exactly when ``failure`` is set; ``raw_text`` is what a rejected answer said.

    ``cost`` is None for a model without prices. ``latency_ms`` is the whole run, ``model_ms`` the answering call alone.
    ``usage`` is metered; ``estimated_usage`` belongs to calls that were cancelled or timed out and is part of ``cost`` too.
    ``guarded`` names the kinds of findings that the guard made in this run, shown or not, ``guard_findings`` counts them;
    ``repaired`` says that the output is a second attempt after such findings.
    """

    output: str | None
    arm: Arm
    model: str
    answered_by: str
    latency_ms: float
    model_ms: float = 0.0
    usage: Usage = field(default_factory=Usage)
    cost: Cost | None = field(default_factory=Cost)
    attempts: int = 0
    failure: FailureCode | None = None
    failure_message: str = ""
    raw_text: str = ""
    estimated_usage: Usage = field(default_factory=Usage)
    guarded: tuple[str, ...] = ()
    guard_findings: int = 0
    repaired: bool = False

    @property
    def cost_estimated(self) -> bool:
        """True when part of ``cost`` is an estimate: a call's usage never came back."""
        return self.estimated_usage != Usage()

    @property
    def degraded(self) -> bool:
        """True when neither of the pair's models answered and the task's own fallback did."""
        return self.arm == "fallback"


class Task(ABC, Generic[In]):
    """One LLM task. A subclass says what its inputs are and what a valid answer is; it knows no infrastructure."""

    name: ClassVar[str]
    input_model: ClassVar[type[BaseModel]]
    variables: ClassVar[frozenset[str]]
    in_process: ClassVar[InProcessModels] = {}
    fallback_model: ClassVar[str | None] = None

    @abstractmethod
    def values(self, inputs: In) -> Mapping[str, str]:
        """Return the text of each template variable."""

    @abstractmethod
    def check(self, text: str, rules: OutputRules) -> str:
        """Return the output that ``text`` holds.

        Raises:
            OutputInvalid: the answer may not be shown; the message says why, without quoting it.
        """

    def values_for(self, inputs: In, pair: Pair) -> Mapping[str, str]:
        """Return the values as one pair wants them, for example shorter; ``values`` unless a task says otherwise."""
        return self.values(inputs)

    def document(self, inputs: In) -> object:
        """Return the structured facts for models that are code."""
        return inputs

    def without_model(self, inputs: In) -> str | None:
        """Return the output for inputs that need no model, or None."""
        return None

    def unit(self, inputs: In) -> str | None:
        """Return whom the inputs are about, so that a rollout answers the same one with the same pair; None: nobody."""
        return None

    def without_ids(self, inputs: In, pseudonym: Callable[[str], str]) -> In | None:
        """Return the inputs with every id of a person replaced, fit to be kept for the harness; None: not to be kept."""
        return None

    def guard(self, inputs: In) -> Guard | None:
        """Return what looks at a model's answer before it is shown, or None; when serving only (decision 0016)."""
        return None

    async def run(self, inputs: In, context: TaskContext) -> TaskResult:
        """Answer ``inputs`` with the context's pair. A failure is a result with its code, never an exception.

        Raises:
            PairError: the pair does not fit the task; that is our mistake and no answer hides it.
        """
        serving = context.chain == "serve"
        total_s = context.pair.serving.deadline_ms / 1000 * context.patience
        reserve_s = min(_FALLBACK_RESERVE_S, total_s / 10) if serving and self.fallback_model is not None else 0.0
        budget = Budget(total_s, context.clock, reserve_s)
        ready = self.without_model(inputs)
        if ready is not None:
            return TaskResult(
                output=ready, arm="none", model=_NO_MODEL, answered_by=_NO_MODEL, latency_ms=budget.elapsed_ms()
            )
        messages = context.pair.render(self.values_for(inputs, context.pair))
        call = ModelCall(
            model=context.pair.model,
            messages=messages,
            sampling=context.pair.sampling,
            timeout_s=budget.remaining_s(),
            cache_prefix=context.pair.cache_prefix,
            document=self.document(inputs),
        )
        attempt = _Attempt(self.check, context, budget, self.guard(inputs) if serving else None)
        try:
            return attempt.settle(await self._answer(call, attempt))
        except ModelError as err:
            if serving and self.fallback_model is not None:
                return attempt.fall_back(self.fallback_model, self.in_process[self.fallback_model](call.document))
            return attempt.failed(err)

    async def _answer(self, call: ModelCall, attempt: "_Attempt") -> TaskResult:
        pair, chain = attempt.context.pair, attempt.context.chain
        if chain == "backup" or (chain == "serve" and pair.backup is not None):
            if pair.backup is None:
                raise ConfigurationError(f"pair {pair.name!r} has no backup to evaluate")
            backup = pair.backup
            if chain == "backup":
                return await attempt.ask(call, backup, "backup")
            return await first_good(
                lambda: attempt.ask(call, pair.model, "primary"),
                lambda: attempt.ask(call, backup, "backup"),
                hedge_delay_s=pair.serving.hedge_delay_ms / 1000,
                may_hedge=attempt.hedging(pair.model, backup),
                remaining_s=attempt.budget.remaining_s,
            )
        return await attempt.ask(call, pair.model, "primary")


@dataclass(slots=True)
class _Attempt:
    """One run's bookkeeping: asks a model, checks the answer, remembers what failed answers cost."""

    check: Callable[[str, OutputRules], str]
    context: TaskContext
    budget: Budget
    guard: Guard | None = None
    spent: Cost | None = field(default_factory=Cost)
    used: Usage = field(default_factory=Usage)
    estimated: Usage = field(default_factory=Usage)
    answered_by: str = ""
    guarded: dict[str, None] = field(default_factory=dict)
    guard_findings: int = 0

    async def ask(self, call: ModelCall, model: str, arm: Arm) -> TaskResult:
        call = replace(call, model=model)
        if self.guard is None or self._is_code(model):
            return await self._ask_once(call, arm)
        preparing = self.guard.prepare_soon()
        try:
            result = await self._ask_once(call, arm)
        finally:
            preparing.cancel()
        findings = await self._findings(result, arm)
        return result if not findings else await self._repair(call, result, findings)

    async def _ask_once(self, call: ModelCall, arm: Arm, throttle_retries: int | None = None) -> TaskResult:
        reply, attempts = await complete_within(
            self._gateway(),
            call,
            self.budget,
            throttle_retries=self.context.throttle_retries if throttle_retries is None else throttle_retries,
        )
        return self.finish(reply, call.model, arm, attempts)

    async def _findings(self, result: TaskResult, arm: Arm) -> tuple[Finding, ...]:
        assert self.guard is not None
        assert result.output is not None
        findings = await check_answer(self.guard, result.output, self.budget.remaining_s())
        if findings:
            kinds = kinds_of(findings)
            self.guarded.update(dict.fromkeys(kinds))
            self.guard_findings += len(findings)
            log(Event.GUARD_TRIGGERED, task=self.context.pair.task, arm=arm, kinds=" ".join(kinds))
        return findings

    async def _repair(self, call: ModelCall, first: TaskResult, findings: tuple[Finding, ...]) -> TaskResult:
        """Ask the same model once more with the findings named, if there is as much time again as the first answer took."""
        assert first.output is not None
        kinds = " ".join(kinds_of(findings))
        if self.budget.remaining_s() < max(_LEAST_REPAIR_S, first.model_ms / 1000):
            raise AnswerRefused(f"the guard found {kinds} and there is no time to ask again", raw_text=first.output)
        again = replace(call, messages=repair_messages(call.messages, first.output, findings))
        second = await self._ask_once(again, first.arm, throttle_retries=0)
        left = await self._findings(second, first.arm)
        if left:
            assert second.output is not None
            raise AnswerRefused(f"the guard found {' '.join(kinds_of(left))} twice", raw_text=second.output)
        return replace(second, attempts=first.attempts + second.attempts, repaired=True)

    def hedging(self, primary: str, backup: str) -> Callable[[], bool]:
        """Count this request and return what decides, when the primary has been silent for long, about a hedge."""
        shared = self.context.reliability
        if shared is None or self._is_code(backup):
            return lambda: True
        hedges = shared.hedges.of(self.context.pair.digest)
        hedges.request()

        asked = False

        def allowed() -> bool:
            nonlocal asked
            if shared.breakers.of(backup).state is BreakerState.OPEN:
                return False
            # A primary that others have found to be down has failed, and so may whoever probes it: that is no mere slowness.
            if shared.breakers.of(primary).state is not BreakerState.CLOSED:
                return True
            if asked:
                return False
            asked = True
            return hedges.allow()

        return allowed

    def settle(self, result: TaskResult) -> TaskResult:
        """Return ``result`` with everything that the run used, the calls that came to nothing too."""
        return replace(
            result,
            usage=self.used,
            cost=self.spent,
            estimated_usage=self.estimated,
            guarded=tuple(self.guarded),
            guard_findings=self.guard_findings,
        )

    def _is_code(self, model: str) -> bool:
        return self.context.cards.get(model).wire == "in_process"

    def _gateway(self) -> Gateway:
        context = self.context
        return WatchedGateway(
            gateway=context.gateway,
            cards=context.cards,
            breakers=context.reliability.breakers if context.reliability else None,
            clock=context.clock,
            slow_s=max(context.pair.serving.hedge_delay_ms / 1000, _LEAST_SLOW_S),
            on_unanswered=self._unanswered,
        )

    def _unanswered(self, call: ModelCall) -> None:
        usage = estimated_usage(call)
        self.estimated = self.estimated + usage
        self._pay(usage, call.model)

    def _pay(self, usage: Usage, model: str) -> None:
        cost = cost_of(usage, self.context.cards.get(model))
        self.spent = None if cost is None or self.spent is None else self.spent + cost

    def finish(self, reply: ModelReply, model: str, arm: Arm, attempts: int) -> TaskResult:
        self.answered_by = reply.answered_by
        self._pay(reply.usage, model)
        self.used = self.used + reply.usage
        if reply.stop_reason == "max_tokens":
            raise OutputInvalid("the answer was cut off at the pair's maxOutputTokens", raw_text=reply.text)
        try:
            output = self.check(reply.text, self.context.pair.output)
        except OutputInvalid as err:
            err.raw_text = reply.text
            raise
        return TaskResult(
            output=output,
            arm=arm,
            model=model,
            answered_by=reply.answered_by,
            latency_ms=self.budget.elapsed_ms(),
            model_ms=reply.latency_ms,
            usage=self.used,
            cost=self.spent,
            attempts=attempts,
        )

    def fall_back(self, model: str, output: str) -> TaskResult:
        # The pair's output rules are for its models; the task's own digest is valid by construction, whatever they say.
        return self.settle(
            TaskResult(
                output=output,
                arm="fallback",
                model=model,
                answered_by=self.context.cards.get(model).short_name,
                latency_ms=self.budget.elapsed_ms(),
                attempts=1,
            )
        )

    def failed(self, err: ModelError) -> TaskResult:
        pair, chain = self.context.pair, self.context.chain
        model = pair.backup if chain == "backup" and pair.backup else pair.model
        return self.settle(
            TaskResult(
                output=None,
                arm="backup" if chain == "backup" else "primary",
                model=model,
                answered_by=self.answered_by,
                latency_ms=self.budget.elapsed_ms(),
                failure=err.code,
                failure_message=str(err),
                raw_text=err.raw_text if isinstance(err, OutputInvalid) else "",
            )
        )


def load_task(name: str) -> Task[Any]:
    """Return the task that module ``service.tasks.<name>`` defines as ``TASK``.

    Raises:
        ConfigurationError: there is no such task; the message lists those that are.
    """
    names = task_names()
    if name not in names:
        raise ConfigurationError(f"no task {name!r}; tasks: {', '.join(names)}. Name one with TASK=<name>.")
    task = importlib.import_module(f"service.tasks.{name}").TASK
    if not isinstance(task, Task) or task.name != name:
        raise ConfigurationError(f"service/tasks/{name}.py must define TASK, an instance of Task named {name!r}")
    return task


def task_names() -> list[str]:
    """Return the names of all tasks, sorted: the modules of ``service.tasks``."""
    package = importlib.import_module("service.tasks")
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
