"""One run of a task: its context, and the attempt that calls models, checks answers and counts costs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from service.core.llm.deadline import Budget, complete_within
from service.core.llm.hedging import HedgeBudget
from service.core.llm.model_call import AnswerOrigin, Gateway, ModelCall, ModelReply
from service.core.llm.pricing import Cost, Usage, cost_of
from service.core.llm.reliability import Reliability, WatchedGateway, estimated_usage
from service.core.llm.streaming import not_streaming
from service.core.run.guard import Guard, GuardFinding, check_answer, kinds_of, repair_messages, worst_of
from service.core.run.task_result import NO_MODEL, Arm, NotedFinding, TaskResult
from service.core.statements.answers.echoes import echoes_in
from service.core.tools.allowed import NO_TOOLS, AllowedTools
from service.core.tools.provenance import Sources
from service.core.tools.use import ToolOutcome, TracedStep
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair, Part
from service.core.unit.question import Question, Use
from service.kit.delivery.breaker import BreakerState
from service.kit.frame.errors import AnswerRefused, ModelError, OutputInvalid
from service.kit.telemetry.log import Event, log

Chain = Literal["serve", "primary", "backup"]
# An abandoned call counts against its model if it ran for the pair's hedge delay, and at least for this time.
_LEAST_SLOW_S = 1.0
# A repair needs at least this much time, and at least as much as the first attempt took.
_LEAST_REPAIR_S = 0.5
# A request whose primary is slow may use this part of the hedge budget, and all of it after this part of the time left then.
# With 10% of the calls hanging these leave 1.1% digests at 11.9% further calls (tests/unit/load/test_hanging_and_throttled.py).
_FIRST_PART, _PATIENT_PART = 0.8, 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """The pair, models and limits of a run.

    ``chain`` is ``serve`` (primary, hedged backup, fallback), or the single arm that an evaluation measures, so that scores never
    include a failover. ``patience`` multiplies the pair's deadline: 1 when serving; an evaluation waits longer and counts late
    answers, so that a slow machine affects latency figures and not quality figures. ``reliability`` holds the breakers and hedge
    budgets of a serving process; with None every call and every hedge is allowed. With ``crowded`` (an overloaded process) the
    task's own fallback answers at once.
    """

    pair: Pair
    gateway: Gateway
    cards: ModelCards
    chain: Chain = "serve"
    throttle_retries: int = 1
    patience: float = 1.0
    clock: Callable[[], float] = time.perf_counter
    reliability: Reliability | None = None
    tools: AllowedTools | None = None
    crowded: bool = False


@dataclass(slots=True)
class Attempt:
    """Calls models for one run, checks their answers, and counts usage and cost, also of failed answers."""

    context: TaskContext
    budget: Budget
    guard: Guard | None = None
    question: Question = field(init=False)
    spent: Cost | None = field(default_factory=Cost)
    used: Usage = field(default_factory=Usage)
    estimated: Usage = field(default_factory=Usage)
    answered_by: str = ""
    origins: tuple[AnswerOrigin, ...] = ()
    guarded: dict[str, None] = field(default_factory=dict)
    findings: list[NotedFinding] = field(default_factory=list)
    stack: tuple[str, ...] = ()
    trace: list[TracedStep] = field(default_factory=list)
    taken: int = 0  # steps

    @property
    def prompt(self) -> Part:
        """The part of the pair that the current ``question`` asks."""
        return self.context.pair.part(self.question.part)

    def call(self) -> ModelCall:
        """Return the call that asks the current ``question``."""
        pair, prompt = self.context.pair, self.prompt
        return ModelCall(
            model=prompt.model,
            messages=pair.render(self.question.values, prompt.name),
            sampling=prompt.sampling,
            timeout_s=self.budget.remaining_s(),
            cache_prefix=prompt.cache_prefix,
            document=self.question.document,
            answer_schema=self.question.answer_schema,
            turns=self.question.turns,
            tools=pair.tools if self.question.tools else (),
            part=prompt.name,
        )

    async def ask(self, call: ModelCall, model: str, arm: Arm) -> TaskResult:
        """Ask ``model`` within the budget, run the guard on the answer, and ask once more if the guard finds something.

        Raises:
            ModelError: no answer, or ``AnswerRefused`` if the guard's findings remain or the time is too short to repair.
        """
        call = replace(call, model=model)
        if not self.question.shown:
            with not_streaming():
                return await self._ask_once(call, arm)
        if self.guard is None or self._is_code(model):
            return await self._ask_once(call, arm)
        preparing = self.guard.prepare_soon()
        try:
            result = await self._ask_once(call, arm)
        finally:
            preparing.cancel()
        findings = await self._findings(result)
        return result if not findings else await self.repair(call, result, findings)

    async def _ask_once(self, call: ModelCall, arm: Arm, throttle_retries: int | None = None) -> TaskResult:
        # A call that ignores its cancellation may end when the next question is being asked.
        question, shared = self.question, self.context.reliability
        retries = None if shared is None else shared.retries.of(call.model)
        if retries is not None:
            retries.request()
        reply, attempts = await complete_within(
            self._gateway(arm, question),
            call,
            self.budget,
            throttle_retries=self.context.throttle_retries if throttle_retries is None else throttle_retries,
            may_retry=lambda: retries is None or retries.allow(),
        )
        return self._finished(reply, question, call.model, arm, attempts)

    async def _findings(self, answer: TaskResult) -> tuple[GuardFinding, ...]:
        """Return what the guard wants repaired in ``answer``."""
        if self.guard is None or answer.output is None or answer.uses:  # the tools have their own guard
            return ()
        found = await check_answer(self.guard, answer.output, self.budget.remaining_s())
        return self.note((*found, *echoes_in(answer.output, self.prompt.messages)), answer)

    def note(self, findings: Sequence[GuardFinding], answer: TaskResult) -> tuple[GuardFinding, ...]:
        """Log and count what was found in ``answer``, and return what must be repaired: all but what is ``low``.

        Raises:
            AnswerRefused: a finding is ``high``, so no repair is asked for.
        """
        if findings:
            kinds = kinds_of(findings)
            self.guarded.update(dict.fromkeys(kinds))
            self.findings += [_noted(finding, answer.output or "") for finding in findings]
            worst = worst_of(findings)
            log(
                Event.GUARD_TRIGGERED,
                task=self.context.pair.task,
                arm=answer.arm,
                kinds=" ".join(kinds),
                severity=worst,
            )
            if worst == "high":
                raise AnswerRefused(
                    f"the guard found {' '.join(kinds)}, which is not shown", raw_text=answer.output or ""
                )
        return tuple(finding for finding in findings if finding.severity != "low")

    async def repair(self, call: ModelCall, first: TaskResult, findings: Sequence[GuardFinding]) -> TaskResult:
        """Ask the same model once more, naming the findings, if the time left is at least that of the first answer.

        Raises:
            AnswerRefused: it was repaired before, code wrote it, the time is too short, or the guard finds something again.
        """
        assert first.output is not None
        kinds = " ".join(kinds_of(findings))
        if first.repaired:
            raise AnswerRefused(f"the guard found {kinds} in the repaired answer, too", raw_text=first.output)
        if self._is_code(call.model):
            raise AnswerRefused(f"the guard found {kinds}, and code would answer the same again", raw_text=first.output)
        if self.budget.remaining_s() < max(_LEAST_REPAIR_S, first.model_ms / 1000):
            raise AnswerRefused(
                f"the guard found {kinds}, and the time left is too short to ask again", raw_text=first.output
            )
        again = (
            replace(call, turns=(*call.turns, *repair_messages((), first.output, findings)))
            if call.turns
            else replace(call, messages=repair_messages(call.messages, first.output, findings))
        )
        second = await self._ask_once(again, first.arm, throttle_retries=0)
        second = replace(second, attempts=first.attempts + second.attempts, repaired=True)
        if left := await self._findings(second):
            raise AnswerRefused(
                f"the guard found {' '.join(kinds_of(left))} in the repaired answer, too",
                raw_text=second.output or "",
            )
        return second

    def relieves(self) -> bool:
        """Return whether this question is one of those that go straight to the backup, because hedges have run out."""
        shared, backup = self.context.reliability, self.prompt.backup
        if shared is None or backup is None or self._is_code(backup):
            return False
        if shared.breakers.of(backup).state is not BreakerState.CLOSED:
            return False
        return self._hedges(shared).relieve()

    def _hedges(self, shared: Reliability) -> HedgeBudget:
        # Each part has its own, so that a judge that is slow does not use up what the main prompt needs.
        digest, part = self.context.pair.digest, self.question.part
        return shared.hedges.of(f"{digest}/{part}" if part else digest)

    def hedging(self, primary: str, backup: str) -> Callable[[], bool]:
        """Count this question, and return the function that decides whether the backup may start beside a slow primary."""
        shared = self.context.reliability
        if shared is None or self._is_code(backup):
            return lambda: True
        hedges = self._hedges(shared)
        hedges.request()
        slow_s = self.context.pair.serving.hedge_delay_ms / 1000

        def allowed() -> bool:
            if shared.breakers.of(backup).state is BreakerState.OPEN or not shared.breakers.armed:
                return False  # not armed: the backup would wait for the start of the process, too
            # The primary's breaker is open or probing: it has failed rather than being slow, so no hedge budget is needed.
            if shared.breakers.of(primary).state is not BreakerState.CLOSED:
                return True
            # While many calls hang, the budget is scarce, and those that have waited longest get it: they hang rather than are
            # slow. So the moment of the hedge follows the model's latencies of the last minute.
            waited_s, left_s = self.budget.elapsed_ms() / 1000 - slow_s, self.budget.remaining_s()
            patience_s = max((waited_s + left_s) * _PATIENT_PART, 0.001)
            return hedges.allow(_FIRST_PART + (1 - _FIRST_PART) * min(waited_s / patience_s, 1))

        return allowed

    def settle(self, result: TaskResult) -> TaskResult:
        """Return ``result`` with the usage, cost and guard findings of all calls of the run, failed ones included."""
        return replace(
            result,
            usage=self.used,
            cost=self.spent,
            estimated_usage=self.estimated,
            guarded=tuple(self.guarded),
            guard_findings=len(self.findings),
            findings=tuple(self.findings),
            stack=self.stack,
            trace=tuple(self.trace),
        )

    def unasked(self, output: str) -> TaskResult:
        """Return the result of a run that asked no model."""
        return TaskResult(
            output=output, arm="none", model=NO_MODEL, answered_by=NO_MODEL, latency_ms=self.budget.elapsed_ms()
        )

    async def use(self, use: Use, sources: Sources) -> ToolOutcome:
        """Use a tool within the budget, and note it in the trace. Without tools in the context every use is refused."""
        tools = self.context.tools or NO_TOOLS
        outcome = await tools.use(use, sources=sources, timeout_s=self.budget.remaining_s())
        self.trace.append(
            TracedStep(
                kind="tool",
                name=use.tool,
                arguments=dict(use.arguments),
                status=outcome.status,
                reason=outcome.reason,
                content=outcome.content,
                undecided=outcome.undecided,
                ms=outcome.ms,
            )
        )
        return outcome

    def _is_code(self, model: str) -> bool:
        return self.context.cards.get(model).wire == "in_process"

    def _gateway(self, arm: Arm, question: Question) -> Gateway:
        context = self.context
        slow_s = max(context.pair.serving.hedge_delay_ms / 1000, _LEAST_SLOW_S)
        return WatchedGateway(
            gateway=context.gateway,
            cards=context.cards,
            shared=context.reliability,
            clock=context.clock,
            slow_s=slow_s,
            # Between being slow and the deadline; the backup is asked when something is wrong already.
            overdue_s=slow_s if arm == "backup" else max(slow_s, (slow_s + self.budget.total_s) / 2),
            on_unanswered=self._unanswered,
            on_unusable=lambda call, reply: self._count(reply, question, call.model, "unusable"),
        )

    def _unanswered(self, call: ModelCall) -> None:
        usage = estimated_usage(call)
        self.estimated = self.estimated + usage
        self._pay(usage, call.model)

    def _count(self, reply: ModelReply, question: Question, model: str, status: str, output: str = "") -> None:
        """Count the usage and cost of a reply, and note it in the trace with what was read in it."""
        cost = self._pay(reply.usage, model)
        if reply.metered:
            self.used = self.used + reply.usage
        else:
            self.estimated = self.estimated + reply.usage
        self.trace.append(
            TracedStep(
                kind="model",
                name=question.part or "main",
                model=model,
                status=status,
                content=output,
                answered_by=reply.answered_by,
                origin=reply.origin,
                usage=reply.usage,
                ms=reply.latency_ms,
                cost_usd=None if cost is None else float(cost.metered_usd),
            )
        )

    def _pay(self, usage: Usage, model: str) -> Cost | None:
        cost = cost_of(usage, self.context.cards.get(model))
        self.spent = None if cost is None or self.spent is None else self.spent + cost
        return cost

    def _finished(self, reply: ModelReply, question: Question, model: str, arm: Arm, attempts: int) -> TaskResult:
        """Count the usage and cost of a reply, and return the result that its text gives.

        Raises:
            OutputInvalid: the reply was cut off, or its text is not valid.
        """
        if question is self.question:
            self.answered_by, self.origins = reply.answered_by, (reply.origin,)
        output, uses = "", tuple[Use, ...]()
        try:
            output, uses = _read(reply, question)
        finally:
            self._count(reply, question, model, reply.stop_reason, output)
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
            origins=(reply.origin,),
            uses=uses,
        )

    def fall_back(self, model: str, output: str) -> TaskResult:
        """Return the result with the output of the task's own fallback."""
        # The pair's output rules apply to its models only: the fallback is valid by construction.
        return self.settle(
            TaskResult(
                output=output,
                arm="fallback",
                model=model,
                answered_by=self.context.cards.get(model).short_name,
                latency_ms=self.budget.elapsed_ms(),
                attempts=1,
                origins=("code",),
            )
        )

    def failed(self, err: ModelError) -> TaskResult:
        """Return the result of a run that failed with ``err``."""
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
                origins=self.origins,
            )
        )


def _noted(finding: GuardFinding, answer: str) -> NotedFinding:
    return NotedFinding(
        kind=finding.kind, value=finding.value, severity=finding.severity, told=finding.told, answer=answer
    )


def _read(reply: ModelReply, question: Question) -> tuple[str, tuple[Use, ...]]:
    if reply.stop_reason == "max_tokens":
        raise OutputInvalid("the answer was cut off at the pair's maxOutputTokens", raw_text=reply.text)
    # Only uses of tools that were offered: the text of others would be shown without check and guard.
    uses = reply.uses if question.tools else ()
    try:
        return reply.text if uses else question.read(reply.text), uses
    except OutputInvalid as err:
        err.raw_text = reply.text
        raise
