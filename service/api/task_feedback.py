"""POST /v1/<task>/feedback: whether an answer of a task helped; only who got the answer may say so."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.access.tokens import Caller
from service.answers_kept.answer_record import FeedbackReason, KeptAnswer
from service.answers_kept.feedback import ByRequest, RatedRow, SaidFeedback
from service.api.answering import runtime_of
from service.api.examples import examples
from service.api.feedback import rate
from service.api.http.limits import Bounded
from service.api.http.problems import STORE_RESPONSES, problem, refused
from service.core.run.task import Task
from service.kit.frame.errors import StoreError

_RequestId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]


class TaskFeedback(BaseModel):
    """Whether one answer helped; it is named by the ``request_id`` that came with it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("TaskFeedback"))

    request_id: _RequestId
    rating: Literal["helpful", "not_helpful"]
    reason: FeedbackReason | None = Field(default=None, description="What was wrong, or what mattered most")
    comment: Annotated[str, StringConstraints(max_length=2000)] | None = Field(
        default=None, description="Names and numbers are taken out before it is stored"
    )
    edited_output: Annotated[str, StringConstraints(max_length=8000)] | None = Field(
        default=None, description="What the answer should have been"
    )


class TaskFeedbackAnswer(BaseModel):
    """The feedback that was kept. ``current`` is false when newer feedback on the answer was already kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("TaskFeedbackAnswer"))

    feedback_id: str
    task: str
    request_id: str
    rating: Literal["helpful", "not_helpful"]
    feedback_timestamp: str
    current: bool


def task_feedback_router(tasks: Iterable[Task[Any]]) -> APIRouter:
    """Return a router with one POST for the feedback of each task."""
    router = APIRouter(prefix="/v1", tags=["feedback"])
    for task in tasks:
        router.add_api_route(
            f"/{task.name}/feedback",
            _endpoint(task.name),
            methods=["POST"],
            name=f"{task.name}_feedback",
            operation_id=f"feedback_{task.name}",
            summary=f"Say whether an answer of {task.name} helped",
            response_model=TaskFeedbackAnswer,
            responses={
                **refused(404, "No such answer of this client or tenant, or it is too old"),
                **STORE_RESPONSES,
            },
        )
    return router


def _endpoint(task: str) -> Callable[..., Awaitable[TaskFeedbackAnswer | Response]]:
    async def task_feedback(body: Bounded[TaskFeedback], request: Request) -> TaskFeedbackAnswer | Response:
        """Keep whether an answer helped. A repeat changes nothing; a later, different rating replaces the first."""
        store = runtime_of(request).summaries.answer_feedback
        if store is None:
            raise StoreError("this service keeps no answers, so there is nothing to give feedback on")
        caller: Caller | None = getattr(request.state, "caller", None)  # None without access control (the harness)
        row = await store.find(ByRequest(request_id=body.request_id))
        if not isinstance(row, RatedRow) or row.record.task != task or not _is_theirs(row.record, caller):
            # The same for an answer of somebody else: nobody learns which requests exist.
            detail = f"there is no such answer of {task} to this client or its tenant, or it has expired"
            if type(runtime_of(request).answering.tasks[task]).without_ids is Task.without_ids:
                detail = (
                    f"no answer of {task} is kept, so there is nothing to give feedback on: its code has no without_ids"
                )
            return problem(request.state.request_id, status=404, code="ANSWER_NOT_FOUND", detail=detail)
        said = SaidFeedback(
            rating=body.rating,
            reason=body.reason,
            comment=body.comment,
            edited=body.edited_output,
            by="unknown" if caller is None else caller.client_id,
        )
        kept = await rate(request, store, row, said, task=task)
        return TaskFeedbackAnswer(
            feedback_id=kept.feedback_id,
            task=task,
            request_id=row.record.request_id,
            rating=body.rating,
            feedback_timestamp=kept.feedback_timestamp,
            current=kept.current,
        )

    return task_feedback


def _is_theirs(answer: KeptAnswer, caller: Caller | None) -> bool:
    """Return whether the caller, or another client of its tenant, got this answer."""
    if caller is None or answer.client == caller.client_id:
        return True
    return answer.tenant is not None and answer.tenant == caller.tenant
