"""POST /v1/<task> for every discovered task: accepts the task's own inputs, returns one generic answer."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, create_model

from service.api.answer_path import answer_request
from service.api.examples import examples
from service.api.http.limits import Bounded
from service.api.http.problems import RESPONSES
from service.api.keeping import TaskFace
from service.conversations.model import KeptConversation
from service.core.run.task import Arm, Task
from service.kit.telemetry.log import Event, log


class UsageFields(BaseModel):
    """Metered tokens; ``input_tokens`` excludes the cached ones."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


class TaskAnswer(BaseModel):
    """A task's output and how it was made; every task returns the same fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("TaskAnswer"))

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
    (example,) = examples("TaskAnswer")["examples"]
    outputs = output.model_json_schema().get("examples", ())
    shown: list[Any] = [example | {"task": task.name, "output": one} for one in outputs]
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
    run_task.__annotations__["inputs"] = Bounded[task.input_model]  # type: ignore[misc, name-defined]  # of run time
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
    """Run a task for a request, keep its answer, and return it as ``model``. See ``answer_request``."""
    face = TaskFace(task, inputs, request)
    answered = await answer_request(
        face, request, tell_tool=tell_tool, request_id=request_id, conversation=conversation
    )
    usage = answered.result.usage
    return model(
        **{name: fact for name, fact in answered.facts.items() if name in model.model_fields},
        task=task.name,
        output=answered.output,
        model=answered.facts["model_used"],
        usage=UsageFields(**{name: getattr(usage, name) for name in UsageFields.model_fields}),
        failure=None,
        kept=answered.kept,
    )
