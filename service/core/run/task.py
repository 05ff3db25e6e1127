"""The base class of tasks: turns inputs into a prompt and an answer into an output. Harness and service call the same ``run``."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from service.core.llm.deadline import Budget, first_good
from service.core.llm.model_call import InProcessModels, ModelCall
from service.core.run.attempt import Attempt
from service.core.run.attempt import Chain as Chain
from service.core.run.attempt import TaskContext as TaskContext
from service.core.run.guard import Guard, GuardFinding
from service.core.run.task_result import Arm as Arm
from service.core.run.task_result import TaskResult as TaskResult
from service.core.run.task_result import combined
from service.core.statements.answers.typed import schema_for_models, typed_output
from service.core.tools.functions import ToolFunction
from service.core.tools.provenance import Sources
from service.core.tools.use import TracedStep
from service.core.unit.pair import Artifact, OutputRules, Pair
from service.core.unit.question import Question, Said, Use
from service.kit.frame.errors import ConfigurationError, ModelError, OutputInvalid
from service.kit.frame.raised import told
from service.kit.telemetry import tracing
from service.kit.telemetry.log import Event, log
from service.kit.telemetry.stack import stack_of

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out")
Steps = Generator[Question | Use, Any, str]
Validation = Generator[Question | Use, Any, Sequence[GuardFinding]]
# Time reserved for the fallback and the response when serving: the digest of an ordinary history takes 10 ms, of a long one
# 60 ms. With a short deadline, a tenth of it is reserved.
_FALLBACK_RESERVE_S = 0.25
# What the API has under /v1/ for operators and agents, with their scopes: a task of such a name could not be asked.
OPERATOR_NAMES = frozenset({"forms", "calls", "dashboards", "pairs", "handovers", "tenants", "agents"})


class Task(ABC, Generic[In]):
    """One LLM task. A subclass defines the inputs and what a valid answer is; it must not use any infrastructure.

    With ``output_model`` the output is JSON of that model: models are asked for its schema, answers are validated, and the API
    returns an object.
    """

    name: ClassVar[str]
    input_model: ClassVar[type[BaseModel]]
    output_model: ClassVar[type[BaseModel] | None] = None
    variables: ClassVar[frozenset[str]]
    # The parts that the task may ask beside the main prompt, each with the variables that it supplies.
    part_variables: ClassVar[Mapping[str, frozenset[str]]] = {}
    in_process: ClassVar[InProcessModels] = {}
    fallback_model: ClassVar[str | None] = None
    # Whether the fallback answers at once while more is asked of the process than it can do.
    fallback_when_crowded: ClassVar[bool] = True
    most_steps: ClassVar[int] = 100
    tool_functions: ClassVar[Sequence[ToolFunction]] = ()
    # The names of the artifacts that the task asks its pair for, and those files beside the code that stand in for them where a
    # pair names none.
    artifact_names: ClassVar[frozenset[str]] = frozenset()
    built_in: ClassVar[Sequence[Artifact]] = ()

    @abstractmethod
    def values(self, inputs: In) -> Mapping[str, str]:
        """Return the text of each template variable."""

    def check(self, text: str, rules: OutputRules) -> str:
        """Return the output that ``text`` holds; the default reads ``output_model``, and without one a task has its own.

        Raises:
            OutputInvalid: the answer must not be shown; the message says why, without quoting it.
        """
        if self.output_model is None:
            raise NotImplementedError(f"task {self.name!r} needs an output_model or its own check")
        return typed_output(text, self.output_model, rules)

    def values_for(self, inputs: In, pair: Pair) -> Mapping[str, str]:
        """Return the variables' texts within the limits of ``pair``; the default is ``values``."""
        return self.values(inputs)

    def document(self, inputs: In) -> object:
        """Return the inputs as an object for in-process models."""
        return inputs

    def document_for(self, inputs: In, pair: Pair) -> object:
        """Return ``document`` with what the answers of ``pair`` depend on, such as its artifacts; the default is ``document``."""
        return self.document(inputs)

    def document_after(self, inputs: In, pair: Pair, seen: Sequence[TracedStep]) -> object:
        """Return ``document_for`` the fallback, after the steps ``seen`` of a run that failed; the default ignores them."""
        return self.document_for(inputs, pair)

    def questions(self, inputs: In, pair: Pair) -> Sequence[Question]:
        """Return the questions about ``inputs``, at least one; several if the inputs are too long for one call."""
        values = self.values_for(inputs, pair)
        return [
            Question(
                values=values,
                document=self.document_for(inputs, pair),
                read=lambda text: self.check(text, pair.output),
                answer_schema=None if self.output_model is None else schema_for_models(self.output_model),
            )
        ]

    def joined(self, inputs: In, pair: Pair, answers: Sequence[str]) -> str:
        """Return the output of the answers to all ``questions``, in their order.

        Raises:
            OutputInvalid: the answers give no valid output.
        """
        (output,) = answers
        return output

    def steps(self, inputs: In, pair: Pair) -> Steps:
        """Yield what the run does next, a ``Question`` or the ``Use`` of a tool, and return the run's output.

        The generator receives the output of each question and the ``ToolOutcome`` of each use. A reply that was cancelled, such
        as that of a hedge that lost, is never received, so no tool is used because of it. A question that failed raises its
        ``ModelError`` in the generator, which may do without the answer; otherwise the run fails with it. The default asks
        ``questions`` one after the other. Like ``joined``, it raises ``OutputInvalid`` if what it received gives no valid output.
        """
        answers = []
        for question in self.questions(inputs, pair):
            answers.append((yield question))  # noqa: PERF401 - a comprehension cannot yield
        return self.joined(inputs, pair, answers)

    def sources(self, inputs: In) -> Sources:
        """Return what the arguments of a writing tool may come from: the customer's words and verified records."""
        return Sources()

    def without_model(self, inputs: In) -> str | None:
        """Return the output for inputs that need no model, or None."""
        return None

    def unit(self, inputs: In) -> str | None:
        """Return the id by which a rollout assigns inputs to a pair, so that one customer always gets the same pair; or None."""
        return None

    def conversation(self, inputs: In) -> str | None:
        """Return the id of the conversation that the inputs belong to, or None: in it an equal writing call is made once."""
        return None

    def tenant(self, inputs: In) -> str | None:
        """Return the tenant that owns the inputs: only its clients may send them. None for a task without tenants."""
        return None

    def approved(self, output: str) -> bool | None:
        """Return whether the pair's own judge or checks let ``output`` pass; None where nothing was up for approval.

        A rollout whose candidate lets less pass than production is stopped.
        """
        return None

    def without_ids(self, inputs: In, pseudonym: Callable[[str], str]) -> In | None:
        """Return the inputs with all ids of persons replaced; None, the default, if neither they nor the answer may be stored.

        Answers of ``POST /v1/<task>`` are kept with them. Whatever is given to ``pseudonym`` is also taken out of the answer and
        of the inputs' texts, which lose names and numbers by the rules of ``service/core/redaction`` as well.
        """
        return None

    def unverified(self) -> Sequence[str]:
        """Return what the task tells customers and nobody has verified yet; `omni doctor` refuses it in production."""
        return ()

    def guard(self, inputs: In, seen: Sequence[TracedStep] = ()) -> Guard | None:
        """Return the guard that checks answers before they are shown, or None. Used when serving only (decision 0016).

        ``seen`` are the steps of the run, tools' answers and parts' outputs among them; it grows until an answer is checked.
        """
        return None

    def validate(self, inputs: In, pair: Pair, answer: str, seen: Sequence[TracedStep]) -> Validation:
        """Take the steps that check an answer which is to be shown, such as asking a part of the pair, and return what is wrong.

        Like a guard's findings, what is ``medium`` is repaired once and checked again, and what is ``high`` refuses the answer.
        Unlike a guard, this is part of what the pair does: an evaluation runs it, too. The default finds nothing.
        """
        yield from ()
        return ()

    async def run(self, inputs: In, context: TaskContext) -> TaskResult:
        """Answer ``inputs`` with the context's pair. A model's failure gives a result with a failure code, not an exception.

        Raises:
            PairError: the pair does not fit the task, which is a configuration mistake.
        """
        serving = context.chain == "serve"
        total_s = context.pair.serving.deadline_ms / 1000 * context.patience
        reserve_s = min(_FALLBACK_RESERVE_S, total_s / 10) if serving and self.fallback_model is not None else 0.0
        budget = Budget(total_s, context.clock, reserve_s)
        ready = self.without_model(inputs)
        if ready is not None:
            return Attempt(context, budget).unasked(ready)
        attempt = Attempt(context, budget)
        if serving:
            attempt.guard = self.guard(inputs, attempt.trace)
        if serving and context.crowded and self.fallback_model is not None and self.fallback_when_crowded:
            log(Event.CROWDED, task=self.name)
            return self._fallen_back(attempt, inputs, self.fallback_model)
        try:
            with tracing.conversation(self.conversation(inputs)):
                return await self._taken(inputs, attempt)
        except ModelError as err:
            attempt.stack = stack_of(err)
            if serving and self.fallback_model is not None:
                return self._fallen_back(attempt, inputs, self.fallback_model)
            return attempt.failed(err)

    async def _taken(self, inputs: In, attempt: Attempt) -> TaskResult:
        """Take the run's steps one after the other: they share the budget and the trace."""
        answered: list[tuple[Question, TaskResult]] = []
        output = await self._followed(self.steps(inputs, attempt.context.pair), inputs, attempt, answered)
        return attempt.settle(combined(answered, output) if answered else attempt.unasked(output))

    async def _followed(
        self,
        steps: Generator[Question | Use, Any, Out],
        inputs: In,
        attempt: Attempt,
        answered: list[tuple[Question, TaskResult]],
        *,
        validating: bool = False,
    ) -> Out:
        """Take the steps of a generator, add what was answered to ``answered``, and return the generator's value."""
        received: Any = None
        failed: ModelError | None = None
        try:
            while True:
                try:
                    step = steps.send(received) if failed is None else steps.throw(failed)
                except StopIteration as end:
                    found: Out = end.value
                    return found
                if attempt.taken == self.most_steps:
                    raise OutputInvalid(f"the run took more than {self.most_steps} steps")
                attempt.taken += 1
                failed = None
                if isinstance(step, Use):
                    received = await attempt.use(step, self.sources(inputs))
                    continue
                question = replace(step, shown=False) if validating else step
                try:
                    said = await self._answered(question, inputs, attempt, answered)
                except ModelError as err:
                    received, failed = None, err
                    continue
                answered.append((question, said))
                received = Said(output=said.output or "", uses=said.uses) if step.tools else said.output
        finally:
            steps.close()

    async def _answered(
        self, question: Question, inputs: In, attempt: Attempt, answered: list[tuple[Question, TaskResult]]
    ) -> TaskResult:
        """Return the answer to a question; one that is shown has passed the task's validation, if need be after a repair."""

        async def objections(answer: TaskResult) -> Sequence[GuardFinding]:
            checks = self.validate(inputs, attempt.context.pair, answer.output or "", attempt.trace)
            return attempt.note(await self._followed(checks, inputs, attempt, answered, validating=True), answer)

        attempt.question = question
        call = attempt.call()
        answer = await self._answer(call, attempt)
        # An answer that wants tools used is not shown, and one that repairs another may want them, too.
        while question.shown and not answer.uses and (found := await objections(answer)):
            attempt.question = question
            answer = await attempt.repair(replace(call, model=answer.model), answer, found)
        return answer

    def _fallen_back(self, attempt: Attempt, inputs: In, model: str) -> TaskResult:
        answer = self.in_process[model](self.document_after(inputs, attempt.context.pair, attempt.trace))
        return attempt.fall_back(model, answer if isinstance(answer, str) else answer.output)  # it uses no tools

    async def _answer(self, call: ModelCall, attempt: "Attempt") -> TaskResult:
        pair, chain, prompt = attempt.context.pair, attempt.context.chain, attempt.prompt
        if chain == "backup" and not pair.has_backup:
            raise ConfigurationError(f"pair {pair.name!r} has no backup to evaluate; add one or evaluate the primary")
        if chain == "primary" or prompt.backup is None:
            return await attempt.ask(call, prompt.model, "primary")
        backup = prompt.backup
        if chain == "backup":
            return await attempt.ask(call, backup, "backup")
        may_hedge = attempt.hedging(prompt.model, backup)
        if attempt.relieves():
            with suppress(ModelError):
                return await attempt.ask(call, backup, "backup")
        return await first_good(
            lambda: attempt.ask(call, prompt.model, "primary"),
            lambda: attempt.ask(call, backup, "backup"),
            hedge_delay_s=pair.serving.hedge_delay_ms / 1000,
            may_hedge=may_hedge,
            remaining_s=attempt.budget.remaining_s,
        )


def load_task(name: str) -> Task[Any]:
    """Return the task that module ``service.core.tasks.<name>`` defines as ``TASK``.

    Raises:
        ConfigurationError: there is no such task, when the message lists the existing ones, or it cannot be read or is not fit to
            be served.
    """
    names = task_names()
    if name not in names:
        raise ConfigurationError(f"no task {name!r}; tasks: {', '.join(names)}. Name one with --task.")
    if name in OPERATOR_NAMES:
        raise ConfigurationError(f"no task can be named {name!r}: /v1/{name} is for operators; name the task otherwise")
    try:
        module = importlib.import_module(f"service.core.tasks.{name}")
    except ConfigurationError:
        raise
    except Exception as err:  # its author may have written anything
        raise ConfigurationError(f"service/core/tasks/{name} cannot be read: {told(err)}; mend it there") from err
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task) or task.name != name:
        raise ConfigurationError(f"service.core.tasks.{name} must define TASK, an instance of Task named {name!r}")
    if task.output_model is None and type(task).check is Task.check:
        raise ConfigurationError(f"task {name!r} must define output_model, or check: what is a valid answer?")
    return task


def task_names() -> list[str]:
    """Return the names of all tasks, sorted: the modules of ``service.core.tasks``."""
    package = importlib.import_module("service.core.tasks")
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
