"""The one path of an answer: takes the pair, reads the inputs, runs the task, keeps the answer and logs it.

``POST /v1/<task>`` and ``POST /omni-channel-insights`` are faces of it, and word the answer themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from service.access.tokens import Caller
from service.answers_kept.record import utc_text
from service.api.answering import answer, pair_for_tenant, short_name, start_timer, tools_of_run, usd
from service.api.entry import entry_of
from service.api.http.problems import TaskFailedError
from service.api.http.tenancy import require_tenant
from service.audit.step import ConversationFacts
from service.conversations.model import KeptConversation
from service.core.release.served import ServedPair
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.task import Task, TaskResult
from service.desk.entering import with_queue
from service.kit.frame.errors import OutputInvalid
from service.kit.telemetry.log import Event, log
from service.runtime import Runtime
from service.warehouse.events import SCHEMA_VERSION

In = TypeVar("In", bound=BaseModel)
_LOGGED = ("model_used", "answered_by", "arm", "degraded", "latency_ms", "cost_usd", "pair", "registry_version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer. ``facts`` say how it came about, by the names that responses, records and the log use."""

    request_id: str
    result: TaskResult
    output: Any  # a text, or an object of the task's model
    served: ServedPair
    facts: Mapping[str, Any]
    kept: bool | None = None  # None: answers of this task are not kept


class Face(ABC, Generic[In]):
    """What differs between the endpoints that ask a task; made for one request.

    ``tenant`` owns the inputs, None without one; ``unit`` is what a rollout assigns pairs by, None without one.
    """

    def __init__(self, task: Task[Any], runtime: Runtime, *, tenant: str | None, unit: str | None) -> None:
        self.task = task
        self.runtime = runtime
        self.tenant = tenant
        self.unit = unit

    @abstractmethod
    async def read(self, served: ServedPair) -> In:
        """Return the inputs for the pair that will answer.

        Raises:
            ServiceError: what the inputs are made of cannot be read.
        """

    async def once(self, ask: Callable[[], Awaitable[TaskResult]], *, request_id: str, patience_s: float) -> TaskResult:
        """Return the result of ``ask``, or that of an earlier request, for which to wait at most ``patience_s``."""
        return await ask()

    @abstractmethod
    async def keep(self, answered: Answered, *, patience_s: float) -> bool | None:
        """Keep the answer; return whether it is stored durably already, None if this task's answers are not kept."""

    @abstractmethod
    def logged(self, answered: Answered) -> Mapping[str, Any]:
        """Return the fields of the log's line about the answer that only this endpoint has."""


async def answer_request(
    face: Face[Any],
    request: Request,
    *,
    tell_tool: Callable[[str], None] | None = None,
    request_id: str | None = None,
    conversation: KeptConversation | None = None,
) -> Answered:
    """Run the task for a request, and keep and log its answer; ``tell_tool`` gets the name of each tool before its call.

    The answer is that of ``request_id``, None for the request's own. ``conversation`` is the kept one before this turn.

    Raises:
        ServiceError: there is no answer.
        TenantRefused: the inputs are about another tenant.
    """
    task, runtime = face.task, face.runtime
    request_id = request_id or request.state.request_id
    timer = start_timer(runtime)
    require_tenant(request, face.tenant)
    served, shadows = await pair_for_tenant(runtime, task.name, face.tenant, face.unit)
    inputs = await face.read(served)

    def patience_s() -> float:
        return max(served.pair.serving.deadline_ms - timer.elapsed_ms(), 0.0) / 1000

    tools = tools_of_run(task.name, inputs, served=served, request=request)
    entry = entry_of(task, inputs, request, conversation)
    if tools is not None:
        tools = replace(tools, tell=tell_tool, tools=with_queue(tools.tools, entry))
    running = face.once(
        lambda: answer(task.name, inputs, served=served, runtime=runtime, timer=timer, tools=tools, shadows=shadows),
        request_id=request_id,
        patience_s=patience_s(),
    )
    result, output = await _audited(running, task, inputs, served, runtime, conversation, request_id)
    if entry is not None:
        await entry.settled(output)  # before the customer reads that a person takes over
    facts = answer_facts(result, served, request, runtime) | {"request_id": request_id}
    answered = Answered(
        request_id=request_id,
        result=result,
        output=output,
        served=served,
        facts=facts | {"latency_ms": round(timer.elapsed_ms())},
    )
    kept = await face.keep(answered, patience_s=patience_s())
    done = replace(answered, kept=kept, facts=facts | {"latency_ms": round(timer.elapsed_ms())})
    log(
        Event.REQUEST_COMPLETED,
        **face.logged(done),
        **_approved(task, result),
        **{name: done.facts[name] for name in _LOGGED},
    )
    return done


def _approved(task: Task[Any], result: TaskResult) -> dict[str, bool]:
    """Return the log's field that says whether the pair itself approved its answer; none where nothing was up for approval."""
    approved = None if result.output is None else task.approved(result.output)
    return {} if approved is None else {"approved": approved}


def answer_facts(result: TaskResult, served: ServedPair, request: Request, runtime: Runtime) -> dict[str, Any]:
    """Return how a result came about, by the names that responses, records and the log use."""
    caller: Caller | None = getattr(request.state, "caller", None)  # None without access control (the harness)
    return {
        "client": "unknown" if caller is None else caller.client_id,
        "generated_at": utc_text(runtime.now()),
        "model_used": short_name(result.model, runtime),
        "answered_by": short_name(result.answered_by, runtime),
        "arm": result.arm,
        "degraded": result.degraded,
        "pair": served.pair.name,
        "pair_digest": served.pair.digest,
        "prompt_version": f"v{served.pair.version}",
        "registry_version": served.registry_version,
        "rollout_arm": served.rollout_arm,
        "environment": runtime.settings.environment,
        "cost_usd": usd(result),
        "input_tokens": result.usage.input_tokens,
        "output_tokens": result.usage.output_tokens,
        "prompt_cache_read_tokens": result.usage.cache_read_tokens,
        "prompt_cache_write_tokens": result.usage.cache_write_tokens,
        "guard_findings": result.guard_findings,
        "guard_kinds": tuple(sorted(result.guarded)),
        "repaired": result.repaired,
        "schema_version": SCHEMA_VERSION,
    }


def conversation_facts(conversation: KeptConversation) -> ConversationFacts:
    """Return what the audit needs to know of a kept conversation."""
    called = (tool for each in conversation.messages if each.made_by is not None for tool in each.made_by.tools)
    return ConversationFacts(
        channel=conversation.channel,
        started_at=conversation.started_at,
        turns=conversation.turns,
        tools=tuple(dict.fromkeys(called)),
        session=conversation.session,
    )


async def _audited(
    running: Awaitable[TaskResult],
    task: Task[Any],
    inputs: BaseModel,
    served: ServedPair,
    runtime: Runtime,
    conversation: KeptConversation | None,
    request_id: str,
) -> tuple[TaskResult, Any]:
    """Return a run's result and its output; a turn of a conversation is audited, also one that failed."""
    audit = runtime.conversing.audit
    if audit is None or not isinstance(task, DialogueTask) or not isinstance(inputs, DialogueInputs):
        result = await running
        return result, _output_of(task, result)
    facts = None if conversation is None else conversation_facts(conversation)
    turn = audit.begin(task, inputs, served, facts=facts, correlation_id=request_id)
    try:
        result = await running
    except TaskFailedError as err:
        audit.ended(task, turn, err.result, None)
        raise
    output = _output_of(task, result)
    audit.ended(task, turn, result, output)
    return result, output


def _output_of(task: Task[Any], result: TaskResult) -> Any:
    """Return the output as the answer holds it: a text, or an object of the task's model."""
    assert result.output is not None
    if task.output_model is None:
        return result.output
    try:
        return task.output_model.model_validate_json(result.output)
    except ValidationError as err:  # of the task's own code: a fallback, or what needs no model
        raise OutputInvalid(f"the output of task {task.name!r} is not as its model says") from err
