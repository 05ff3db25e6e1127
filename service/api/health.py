"""Liveness (/healthz), readiness (/readyz), which names each missing part and its remedy, and metrics for the scraper."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from service.api.answering import runtime_of
from service.api.examples import examples
from service.api.http.problems import RETRY_AFTER_S, without_paths
from service.core.release.served import PairSourceStatus
from service.runtime import Runtime

router = APIRouter(tags=["health"])
_METRICS = 'omni_requests_total{path="/omni-channel-insights",status="200"} 42.0'


class Health(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra=examples("Health"))

    status: str = "ok"


class TaskReadiness(BaseModel):
    """The pair that one task serves; ``last_error``: why the newest alias target is not served."""

    required: bool
    pair: str | None = None
    prompt_version: str | None = None
    pair_digest: str | None = None
    registry_version: int | None = None
    sequence: int | None = None
    released_at: str | None = None
    released_by: str | None = None
    source: str | None = None
    age_s: float | None = None
    last_refresh_at: str | None = None
    last_error: str | None = None


class Readiness(BaseModel):
    """Ready or not; ``reasons`` names each missing part and its remedy."""

    model_config = ConfigDict(json_schema_extra=examples("Readiness"))

    ready: bool
    environment: str
    reasons: list[str]
    tasks: dict[str, TaskReadiness]


@router.get("/healthz")
async def healthz() -> Health:
    """Answer 200 while the process runs; contacts nothing."""
    return Health()


@router.get(
    "/readyz", responses={503: {"model": Readiness, "description": "Something is missing; reasons say what to do"}}
)
async def readyz(request: Request, response: Response) -> Readiness:
    """Answer 200 when every required task has a verified pair to serve, else 503. Contacts nothing."""
    readiness = readiness_of(runtime_of(request))
    response.status_code = 200 if readiness.ready else 503
    response.headers["Cache-Control"] = "no-store"
    if not readiness.ready:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return readiness


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"example": _METRICS}}}})
async def prometheus_metrics() -> Response:
    """Return every counter, histogram and gauge of this process; contacts nothing."""
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    from service.kit.telemetry.metrics import REGISTRY

    return Response(
        generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
    )


def readiness_of(runtime: Runtime) -> Readiness:
    """Return the pair that each task serves, and a reason for each required task without one."""
    tasks: dict[str, TaskReadiness] = {}
    reasons: list[str] = []
    for name, source in sorted(runtime.answering.pair_sources.items()):
        required = name in runtime.settings.serving.required_tasks
        status = source.status()
        tasks[name] = state = TaskReadiness(
            required=required,
            age_s=status.age_s,
            last_refresh_at=status.last_refresh_at,
            last_error=None if status.last_error is None else without_paths(status.last_error),
        )
        served = status.served
        if served is not None:
            state.pair, state.prompt_version, state.pair_digest = (
                served.pair.name,
                f"v{served.pair.version}",
                served.pair.digest,
            )
            state.registry_version, state.sequence, state.source = (
                served.registry_version,
                served.sequence,
                served.source,
            )
            state.released_at, state.released_by = served.released_at, served.released_by
        elif required:
            reasons.append(_nothing_served(runtime, name, status))
    reasons.extend(
        f"task {name} is required but this build has no such task: correct OMNI_REQUIRED_TASKS"
        for name in sorted(set(runtime.settings.serving.required_tasks) - set(tasks))
    )
    return Readiness(ready=not reasons, environment=runtime.settings.environment, reasons=reasons, tasks=tasks)


def _nothing_served(runtime: Runtime, task: str, status: PairSourceStatus) -> str:
    error = status.last_error
    if status.refused is not None and error is not None:
        return f"task {task}: pair {status.refused} is released and not served: {without_paths(error)}"
    if status.last_refresh_at is None and error is None:
        return f"task {task}: the first registry lookup has not finished yet: wait a few seconds"
    pairs = sorted(path.stem for path in (runtime.settings.prompts_dir / task).glob("*.prompty"))
    name = "extractive" if "extractive" in pairs else pairs[0] if pairs else "<pair>"
    said = f" (the registry said: {without_paths(error)})" if error else ""
    others = any(source.status().served for source in runtime.answering.pair_sources.values())
    unless = "; or leave it out of OMNI_REQUIRED_TASKS" if others else ""
    return (
        f'no pair released for task {task}: run omni promote {name} --why "first release" --task {task}{unless}{said}'
    )
