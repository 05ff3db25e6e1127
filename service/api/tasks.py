"""POST /v1/<task> for every discovered task: accepts the task's own inputs, returns one generic answer."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from service.api.answering import (
    answer,
    pair_for_tenant,
    runtime_of,
    short_name,
    start_timer,
    tools_of_run,
    usage_fields,
    usd,
)
from service.api.entry import entry_of
from service.api.http.problems import RESPONSES, TaskFailedError
from service.api.http.tenancy import require_tenant
from service.api.keeping import Keeping
from service.audit.step import ConversationFacts
from service.conversations.model import KeptConversation
from service.core.release.served import ServedPair
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.task import Arm, Task, TaskResult
from service.desk.entering import with_queue
from service.kit.frame.errors import OutputInvalid
from service.kit.telemetry.log import Event, log
from service.runtime import Runtime

_EXAMPLE: dict[str, Any] = {
    "task": "summarize",
    "request_id": "req-0123456789ab",
    "output": "Customer called 3 times about a $45 charge; the dispute is open.",
    "pair": "nova-lite",
    "prompt_version": "v1.2.0",
    "pair_digest": "9f2c0d5e" * 8,
    "registry_version": 7,
    "model": "nova-lite",
    "answered_by": "nova-lite",
    "arm": "primary",
    "degraded": False,
    "latency_ms": 1847,
    "cost_usd": "0.000228",
    "usage": {
        "input_tokens": 1020,
        "output_tokens": 196,
        "cache_read_tokens": 1980,
        "cache_write_tokens": 0,
    },
    "failure": None,
    "kept": True,
}


class UsageFields(BaseModel):
    """Metered tokens; ``input_tokens`` excludes the cached ones."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


class TaskAnswer(BaseModel):
    """A task's output and how it was made; every task returns the same fields."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [_EXAMPLE]},
    )

    task: str
    request_id: str
    output: str
    pair: str
    prompt_version: str
    pair_digest: str
    registry_version: int
    model: str
    answered_by: str
    arm: Arm
    degraded: bool
    latency_ms: int
    cost_usd: str | None
    usage: UsageFields
    failure: Literal[None]
    kept: bool | None = Field(
        description="Stored durably before it was sent. False: the store did not confirm in time, and the answer waits on the "
        "service's own disk. None: answers of this task are not kept, so it takes no feedback"
    )


def answer_model(task: Task[Any]) -> type[TaskAnswer]:
    """Return the model of the task's answers: ``TaskAnswer`` with the task's ``output_model`` as its output."""
    output = task.output_model
    if output is None:
        return TaskAnswer
    made = create_model(f"{task.name.title().replace('_', '')}Answer", __base__=TaskAnswer, output=(output, ...))
    shown: list[Any] = [
        _EXAMPLE | {"task": task.name, "output": one} for one in output.model_json_schema().get("examples", ())
    ]
    made.model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": shown})
    made.model_rebuild(force=True)
    return made


def tasks_router(tasks: Iterable[Task[Any]]) -> APIRouter:
    """Return a router with one POST per task."""
    router = APIRouter(prefix="/v1", tags=["tasks"])
    for task in tasks:
        model = answer_model(task)
        router.add_api_route(
            f"/{task.name}",
            _endpoint(task, model),
            methods=["POST"],
            name=task.name,
            operation_id=f"run_{task.name}",
            summary=f"Run the task {task.name}",
            response_model=model,
            responses=RESPONSES,
        )
    return router


def _endpoint(task: Task[Any], model: type[TaskAnswer]) -> Callable[..., Awaitable[TaskAnswer]]:
    async def run_task(inputs: BaseModel, request: Request) -> TaskAnswer:
        log(Event.REQUEST_RECEIVED, path=f"/v1/{task.name}")
        return await ask_task(task, model, inputs, request)

    # FastAPI takes the body's model from the annotation, which is known only at run time here.
    run_task.__annotations__["inputs"] = task.input_model
    return run_task


async def ask_task(
    task: Task[Any],
    model: type[TaskAnswer],
    inputs: BaseModel,
    request: Request,
    tell_tool: Callable[[str], None] | None = None,
    request_id: str | None = None,
    conversation: KeptConversation | None = None,
) -> TaskAnswer:
    """Run a task for a request, keep its answer, and return it; ``tell_tool`` gets the name of each tool before its call.

    The answer is kept as that of ``request_id``, None for the request's own. ``conversation`` is the kept one before this turn.

    Raises:
        ServiceError: there is no answer.
        TenantRefused: the inputs are about another tenant.
    """
    name = task.name
    request_id = request_id or request.state.request_id
    timer = start_timer(runtime := runtime_of(request))
    tenant, unit = runtime.tasks[name].tenant(inputs), runtime.tasks[name].unit(inputs)
    require_tenant(request, tenant)
    served, shadows = await pair_for_tenant(runtime, name, tenant, unit)
    tools = tools_of_run(name, inputs, served=served, request=request)
    entry = entry_of(task, inputs, request, conversation)
    if tools is not None:
        tools = replace(tools, tell=tell_tool, tools=with_queue(tools.tools, entry))
    keeping = Keeping(runtime.tasks[name], inputs, runtime)
    running = answer(name, inputs, served=served, runtime=runtime, timer=timer, tools=tools, shadows=shadows)
    result, output = await _audited(running, task, inputs, served, runtime, conversation, request_id)
    if entry is not None:
        await entry.settled(output)  # before the customer reads that a person takes over
    kept = await keeping.keep(
        result,
        served=served,
        request=request,
        request_id=request_id,
        latency_ms=round(timer.elapsed_ms()),
        patience_s=max(served.pair.serving.deadline_ms - timer.elapsed_ms(), 0.0) / 1000,
    )
    done = model(
        task=name,
        request_id=request_id,
        output=output,
        pair=served.pair.name,
        prompt_version=f"v{served.pair.version}",
        pair_digest=served.pair.digest,
        registry_version=served.registry_version,
        model=short_name(result.model, runtime),
        answered_by=short_name(result.answered_by, runtime),
        arm=result.arm,
        degraded=result.degraded,
        latency_ms=round(timer.elapsed_ms()),
        cost_usd=usd(result),
        usage=UsageFields(**usage_fields(result)),
        failure=None,
        kept=kept,
    )
    _log_completed(done)
    return done


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
    audit = runtime.audit
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


def _log_completed(done: TaskAnswer) -> None:
    log(
        Event.REQUEST_COMPLETED,
        task=done.task,
        model_used=done.model,
        answered_by=done.answered_by,
        arm=done.arm,
        degraded=done.degraded,
        latency_ms=done.latency_ms,
        cost_usd=done.cost_usd,
        pair=done.pair,
        registry_version=done.registry_version,
        **({} if done.kept is None else {"kept": done.kept}),
    )


def _output_of(task: Task[Any], result: TaskResult) -> Any:
    """Return the output as the answer holds it: a text, or an object of the task's model."""
    assert result.output is not None
    if task.output_model is None:
        return result.output
    try:
        return task.output_model.model_validate_json(result.output)
    except ValidationError as err:  # of the task's own code: a fallback, or what needs no model
        raise OutputInvalid(f"the output of task {task.name!r} is not as its model says") from err
