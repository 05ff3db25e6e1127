"""Starts, stops and reports on the local stack: local AWS and the Bedrock stand-in as background processes."""

import importlib.util
from dataclasses import dataclass

from service.kit.frame.errors import ConfigurationError
from service.kit.settings import REPO_ROOT, Settings
from service.local import aws
from service.local.daemon import Daemon, python_argv
from service.local.loopback import HOST, ensure_running, get_json

_BEDROCK_HEALTH = "/_local/health"
_BEDROCK_MODULE = "service.local.bedrock"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPart:
    """State of one part of the stack; ``pid`` is None when it does not run."""

    name: str
    endpoint: str
    pid: int | None
    healthy: bool
    started_now: bool = False
    detail: str = ""


def bedrock(settings: Settings) -> Daemon:
    """Return the Bedrock stand-in as a background process."""
    return Daemon(
        name="bedrock",
        argv=python_argv(_BEDROCK_MODULE, "--preload", "--port", str(settings.local.bedrock_port)),
        run_dir=settings.state_dir / "run",
        env={"PYTHONPATH": str(REPO_ROOT)},
    )


def bedrock_endpoint(settings: Settings) -> str:
    """Return the base URL of the Bedrock stand-in."""
    return f"http://{HOST}:{settings.local.bedrock_port}"


def up_aws(settings: Settings) -> StackPart:
    """Start the local AWS unless it runs, and load tables and samples.

    Raises:
        ConfigurationError: it cannot start; the message says why and what to do.
        StoreError: it runs but refuses the tables or samples.
    """
    _only_local(settings)
    started = aws.start(settings)
    return StackPart(
        name="ministack",
        endpoint=aws.endpoint(settings),
        pid=aws.ministack(settings).pid(),
        healthy=True,
        started_now=started,
    )


def up_bedrock(settings: Settings) -> StackPart:
    """Start the Bedrock stand-in unless it runs; ``detail`` names the engine that answers.

    Raises:
        ConfigurationError: it cannot start; the message says why and what to do.
    """
    _only_local(settings)
    if importlib.util.find_spec(_BEDROCK_MODULE) is None:
        raise ConfigurationError(
            f"this build has no {_BEDROCK_MODULE}: set OMNI_BEDROCK_ENDPOINT or use --without-bedrock"
        )
    daemon = bedrock(settings)
    started, health = ensure_running(
        daemon, port=settings.local.bedrock_port, health_path=_BEDROCK_HEALTH, port_setting="OMNI_LOCAL_BEDROCK_PORT"
    )
    return StackPart(
        name="bedrock",
        endpoint=bedrock_endpoint(settings),
        pid=daemon.pid(),
        healthy=True,
        started_now=started,
        detail=_answering(health.get("engines")),
    )


def down(settings: Settings) -> list[tuple[str, bool]]:
    """Stop both parts; return for each its name and whether it was running."""
    return [(daemon.name, daemon.stop()) for daemon in (bedrock(settings), aws.ministack(settings))]


def status(settings: Settings) -> list[StackPart]:
    """Return the state of both parts, contacting only this machine."""
    parts = []
    for daemon, endpoint, path in (
        (aws.ministack(settings), aws.endpoint(settings), aws.HEALTH_PATH),
        (bedrock(settings), bedrock_endpoint(settings), _BEDROCK_HEALTH),
    ):
        pid = daemon.pid()
        healthy = pid is not None and get_json(f"{endpoint}{path}") is not None
        parts.append(StackPart(name=daemon.name, endpoint=endpoint, pid=pid, healthy=healthy))
    return parts


def with_endpoints(settings: Settings, parts: list[StackPart]) -> Settings:
    """Return ``settings`` with the endpoints of ``parts``."""
    update: dict[str, str] = {}
    for part in parts:
        if part.name == "ministack":
            update["aws_endpoint"] = part.endpoint
        else:
            update["bedrock_endpoint"] = part.endpoint
            update["bedrock_stand_in"] = settings.bedrock.stand_in or part.detail
    return settings.model_copy(update=update)


def _answering(engines: object) -> str:
    # The stand-in lists its engines with the real model last; without a real model, the echo is last and answers.
    return str(engines[-1]) if isinstance(engines, list) and engines else "local-stand-in"


def _only_local(settings: Settings) -> None:
    if settings.environment != "local":
        raise ConfigurationError(
            f"the local stack needs OMNI_ENVIRONMENT=local; OMNI_ENVIRONMENT is {settings.environment!r}"
        )
