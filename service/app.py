"""The FastAPI application: mounts the endpoints, and its lifespan opens and closes the runtime."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from service.api import assets, calls, dashboards, feedback, forms, health, insights, pairs, tokens
from service.api.conversations.operations import conversations_router
from service.api.embedded import account_token
from service.api.embedded import pages as embedded
from service.api.handovers import operations as handovers
from service.api.http.access import AccessControl
from service.api.http.embedding import Embedding
from service.api.http.limits import BodyLimits
from service.api.http.openapi import complete
from service.api.http.problems import add_problem_handlers
from service.api.http.request_scope import RequestScope
from service.api.qa import operations as qa
from service.api.rescorings import operations as rescorings
from service.api.task_feedback import task_feedback_router
from service.api.tasks import tasks_router
from service.api.tenants import operations as tenants
from service.core.run.task import Task, load_task, task_names
from service.kit.settings import Settings
from service.kit.telemetry.exporting import exporting
from service.kit.telemetry.log import configure_logging
from service.runtime import Runtime, build_runtime


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def create_app(settings: Settings | None = None, runtime: Runtime | None = None, *, patience_s: float = 0.0) -> FastAPI:
    """Return the application. It reads the environment only when neither argument is given, and only when it starts.

    Args:
        settings: the settings to build the runtime from; ``Settings()`` when left out.
        runtime: a ready runtime to use instead; the application opens and closes it.
        patience_s: how long to wait at the start until each required task has a pair, or a reason why not.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.runtime = runtime or _build(settings or Settings())
        with exporting(app.state.runtime.settings):
            app.state.runtime.open()
            try:
                await app.state.runtime.until_known(patience_s)
                yield
            finally:
                await app.state.runtime.close()

    app = _Application(
        title="Omni-channel insights",
        version="1.0.0",
        description="Summaries of a customer's interactions for the agent who takes the next contact.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's loads scripts of another host, unpinned; ours is in `service.api.assets`
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,  # what generated clients call the operation
        # FastAPI would use the process's global OpenTelemetry providers, which are MLflow's; ours are in
        # `service.kit.telemetry.tracing`.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    # The last one added runs first: request id, then other origins, then access control, then limits of the body.
    app.add_middleware(BodyLimits)
    app.add_middleware(AccessControl)
    app.add_middleware(Embedding)
    app.add_middleware(RequestScope)
    add_problem_handlers(app)
    _add_routes(app, runtime.answering.tasks.values() if runtime else [load_task(name) for name in task_names()])
    return app


def _add_routes(app: FastAPI, tasks: Iterable[Task[Any]]) -> None:
    tasks = list(tasks)
    # The figures of calls and their re-scorings come before the calls, whose ids stand in the same place of a path.
    operators = (pairs, forms, qa, rescorings, calls, tenants, dashboards, tokens)
    for module in (insights, feedback, account_token, *operators):
        app.include_router(module.router)
    app.include_router(tasks_router(tasks))
    app.include_router(task_feedback_router(tasks))
    app.include_router(conversations_router(tasks))
    for module in (assets, handovers, embedded, health):
        app.include_router(module.router)


def _build(settings: Settings) -> Runtime:
    configure_logging(settings.telemetry.log_level)
    return build_runtime(settings)
