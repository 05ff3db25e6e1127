"""Runs a task for an endpoint: takes the pair once, calls the same ``run`` as the harness, raises a failure as an error."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

import anyio.to_thread
from fastapi import Request
from pydantic import BaseModel

from service.api.http.problems import TaskFailedError
from service.api.http.tenancy import TenantRefused
from service.calls.failure import CallFailed
from service.core.release.served import ServedPair
from service.core.run.task import TaskContext, TaskResult
from service.core.tools.allowed import AllowedTools
from service.core.unit.tenant import Tenant
from service.rollouts.live_counts import Observation
from service.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """Milliseconds since the request's handler began; ``clock`` is monotonic, in seconds."""

    clock: Callable[[], float]
    started: float

    def elapsed_ms(self) -> float:
        """Milliseconds since the start."""
        return (self.clock() - self.started) * 1000


def start_timer(runtime: Runtime) -> Timer:
    """Return a timer that starts now."""
    return Timer(clock=runtime.clock, started=runtime.clock())


def runtime_of(request: Request) -> Runtime:
    """Return the runtime that the application's lifespan opened."""
    return cast(Runtime, request.app.state.runtime)


def owner_of(request: Request) -> str:
    """Return whose conversations a request is about: its tenant's, or its client's without one. "" without access control."""
    caller = getattr(request.state, "caller", None)
    if caller is None:
        return ""
    # A client may have the name of a tenant that it does not belong to.
    return f"client:{caller.client_id}" if caller.tenant is None else Tenant(caller.tenant).owner


def tools_of_run(task: str, inputs: BaseModel, *, served: ServedPair, request: Request) -> AllowedTools | None:
    """Return the tools of this request's run; None if the pair names none.

    Equal writing calls of one conversation are made once, and one client's conversation is never another's.
    """
    runtime = runtime_of(request)
    if not served.pair.tools or task not in runtime.answering.tools:
        return None
    conversation = runtime.answering.tasks[task].conversation(inputs)
    return runtime.answering.tools[task].for_run(
        served.pair, f"{owner_of(request)}/{conversation or request.state.request_id}"
    )


async def pair_for_tenant(runtime: Runtime, task: str, tenant: str | None, unit: str | None) -> tuple[ServedPair, bool]:
    """Return the pair that answers, and whether a rollout's candidate may see the inputs, too.

    A tenant with a model or regions of its own gets a released pair that fits them, and takes no part in rollouts.

    Raises:
        TenantRefused: there is none.
        RegistryError: no verified pair has been found yet.
    """
    desk = runtime.calls.tenants
    if tenant is None or desk is None or await desk.tenants.threads.run(desk.is_free, tenant):
        return runtime.answering.pair_for(task, unit), True
    production = runtime.answering.pair_sources[task].current()
    try:
        return await anyio.to_thread.run_sync(desk.served, tenant, production), False
    except CallFailed as err:
        raise TenantRefused(err.detail) from err


async def answer(
    task: str,
    inputs: BaseModel,
    *,
    served: ServedPair,
    runtime: Runtime,
    timer: Timer,
    tools: AllowedTools | None = None,
    shadows: bool = True,
) -> TaskResult:
    """Run ``task`` within the rest of the pair's deadline, which started with the request: reading the history counts too.

    ``shadows``: whether a rollout's candidate may be asked, too.

    Raises:
        TaskFailedError: the result has no output.
        PairError: the pair does not fit the task.
    """
    deadline_ms = served.pair.serving.deadline_ms
    context = TaskContext(
        pair=served.pair,
        gateway=runtime.answering.gateway,
        cards=runtime.answering.cards,
        chain="serve",
        patience=max(deadline_ms - timer.elapsed_ms(), 0.0) / deadline_ms,
        clock=runtime.clock,
        reliability=runtime.reliability,
        tools=tools,
        crowded=runtime.crowding.crowded,
    )
    result: TaskResult = await runtime.answering.tasks[task].run(inputs, context)
    rollout = runtime.answering.rollouts.get(task)
    if rollout is not None:
        approved = None if result.output is None else runtime.answering.tasks[task].approved(result.output)
        rollout.observe(served.pair.digest, observation(result, timer, approved=approved))
        candidate = rollout.shadow(runtime.answering.tasks[task].unit(inputs)) if shadows else None
        if candidate is not None and runtime.answering.shadow is not None and not context.crowded:
            # The tools that the candidate names, which need not be those of the pair that has answered.
            reading = (
                runtime.answering.tools[task].for_shadow(candidate.served.pair)
                if task in runtime.answering.tools
                else None
            )
            unseen = replace(context, tools=reading)
            runtime.answering.shadow.submit(
                runtime.answering.tasks[task], inputs, unseen, result, candidate, now=runtime.now()
            )
    if result.failure is not None:
        raise TaskFailedError(result)
    return result


def observation(result: TaskResult, timer: Timer, *, approved: bool | None = None) -> Observation:
    """Return the figures of a run that a rollout counts; ``approved`` as in ``Task.approved``."""
    return Observation(
        latency_ms=timer.elapsed_ms(),
        error=result.failure is not None,
        degraded=result.degraded,
        guarded=bool(result.guarded),
        approved=approved,
        cost_usd=None if result.cost is None else float(result.cost.metered_usd),
    )


def short_name(model: str, runtime: Runtime) -> str:
    """Return a model's short name, or ``model`` itself when it has no card ("none", the name of a stand-in)."""
    return runtime.answering.cards.get(model).short_name if model in runtime.answering.cards else model


def usd(result: TaskResult) -> str | None:
    """Return the run's cost in USD as a plain decimal, None when a model without prices answered."""
    return None if result.cost is None else decimal_text(result.cost.metered_usd)


def decimal_text(value: Decimal) -> str:
    """Return ``value`` without exponent and without trailing zeros."""
    return format(value.normalize(), "f")
