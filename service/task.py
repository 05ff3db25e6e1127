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
from service.errors import ConfigurationError, FailureCode, ModelError, OutputInvalid
from service.llm.call import Gateway, InProcessModels, ModelCall, ModelReply
from service.llm.deadline import Budget, complete_within, first_good
from service.llm.pricing import Cost, Usage, cost_of
from service.pair import OutputRules, Pair

In = TypeVar("In", bound=BaseModel)
Arm = Literal["primary", "backup", "fallback", "none"]
Chain = Literal["serve", "primary", "backup"]
_NO_MODEL = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """What a run needs from outside.

    ``chain`` is ``serve`` (primary, hedged backup, fallback) or the one arm that an evaluation asks for, so that a failover
    never hides in a score. ``patience`` stretches the pair's deadline: 1 when serving; an evaluation waits longer and counts
    the answers that came late, so a slow machine costs latency figures and not quality figures.
    """

    pair: Pair
    gateway: Gateway
    cards: ModelCards
    chain: Chain = "serve"
    throttle_retries: int = 1
    patience: float = 1.0
    clock: Callable[[], float] = time.perf_counter


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What a run gave. ``output`` is None exactly when ``failure`` is set; ``raw_text`` is what a rejected answer said.

    ``cost`` is None for a model without prices. ``latency_ms`` is the whole run, ``model_ms`` the answering call alone.
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

    async def run(self, inputs: In, context: TaskContext) -> TaskResult:
        """Answer ``inputs`` with the context's pair. A failure is a result with its code, never an exception.

        Raises:
            PairError: the pair does not fit the task; that is our mistake and no answer hides it.
        """
        budget = Budget(context.pair.serving.deadline_ms / 1000 * context.patience, context.clock)
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
        attempt = _Attempt(self.check, context, budget)
        try:
            return await self._answer(call, attempt)
        except ModelError as err:
            if context.chain == "serve" and self.fallback_model is not None:
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
            )
        return await attempt.ask(call, pair.model, "primary")


@dataclass(slots=True)
class _Attempt:
    """One run's bookkeeping: asks a model, checks the answer, remembers what failed answers cost."""

    check: Callable[[str, OutputRules], str]
    context: TaskContext
    budget: Budget
    spent: Cost | None = field(default_factory=Cost)
    used: Usage = field(default_factory=Usage)
    answered_by: str = ""

    async def ask(self, call: ModelCall, model: str, arm: Arm) -> TaskResult:
        reply, attempts = await complete_within(
            self.context.gateway,
            replace(call, model=model),
            self.budget,
            throttle_retries=self.context.throttle_retries,
        )
        return self.finish(reply, model, arm, attempts)

    def finish(self, reply: ModelReply, model: str, arm: Arm, attempts: int) -> TaskResult:
        self.answered_by = reply.answered_by
        cost = cost_of(reply.usage, self.context.cards.get(model))
        self.spent = None if cost is None or self.spent is None else self.spent + cost
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
        return TaskResult(
            output=output,
            arm="fallback",
            model=model,
            answered_by=self.context.cards.get(model).short_name,
            latency_ms=self.budget.elapsed_ms(),
            usage=self.used,
            cost=self.spent,
            attempts=1,
        )

    def failed(self, err: ModelError) -> TaskResult:
        pair, chain = self.context.pair, self.context.chain
        model = pair.backup if chain == "backup" and pair.backup else pair.model
        return TaskResult(
            output=None,
            arm="backup" if chain == "backup" else "primary",
            model=model,
            answered_by=self.answered_by,
            latency_ms=self.budget.elapsed_ms(),
            usage=self.used,
            cost=self.spent,
            failure=err.code,
            failure_message=str(err),
            raw_text=err.raw_text if isinstance(err, OutputInvalid) else "",
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
