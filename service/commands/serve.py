"""``serve``: runs the service in the foreground, with the stand-ins that it needs."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.local import WithoutBedrock, print_part
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Iterable

    from service.core.run.task import Task
    from service.kit.settings import Settings
    from service.runtime import Runtime

# How long a start waits for the first answer of the registry before it listens without a pair.
_PATIENCE_S = 15.0
_LOOK_EVERY_S = 1.0
_LONGEST_SAMPLE = 500  # characters of a request's body that are shown


def serve(
    port: Annotated[int | None, typer.Option(help="TCP port; default: OMNI_PORT, 8080. 0 takes a free one.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: OMNI_HOST, 127.0.0.1.")] = None,
    without_bedrock: WithoutBedrock = False,
) -> None:
    """Serve the pair in production; start local stand-ins for endpoints that are not set."""
    from service.kit.settings import Settings

    # Passed as settings, so that they are validated like the environment variables.
    given = {name: value for name, value in (("port", port), ("host", host)) if value is not None}
    settings = Settings(**given)
    # Claim the port first: start nothing for a service that cannot listen. It listens when it can answer.
    with _bound(settings) as claimed:
        settings = _with_stand_ins(settings, without_bedrock=without_bedrock)
        from service.kit.telemetry.log import configure_logging
        from service.runtime import build_runtime

        configure_logging(settings.telemetry.log_level)
        settings = _with_writer_process(settings)
        runtime = build_runtime(settings)
        import uvicorn

        from service.api.http.connections import bounded_protocol
        from service.app import create_app

        config = uvicorn.Config(
            create_app(settings, runtime, patience_s=_PATIENCE_S),
            http=bounded_protocol(settings.serving),
            ws="none",  # no endpoint speaks it, and an upgrade would leave the bounded protocol
            backlog=2048,
            log_config=None,
            access_log=False,
            # Longer than the load balancer's (NLB: 350 s): otherwise it sends a request into a connection that we are closing.
            timeout_keep_alive=360,
            timeout_graceful_shutdown=10,
        )
        server = uvicorn.Server(config)
        started, stopped = server.startup, server.shutdown

        async def startup(sockets: "list[socket.socket] | None" = None) -> None:
            await started(sockets=sockets)
            _announce(settings, runtime, *claimed.getsockname()[:2])

        async def shutdown(sockets: "list[socket.socket] | None" = None) -> None:
            runtime.leaving.set()
            await stopped(sockets=sockets)

        server.startup = startup  # type: ignore[method-assign]
        server.shutdown = shutdown  # type: ignore[method-assign]
        try:
            server.run(sockets=[claimed])
        except OSError as err:  # another service was starting on this port, too, and was faster
            raise _taken(settings, err) from err
    if not server.started:
        raise typer.Exit(2)


def sample_requests(settings: "Settings", tasks: "Iterable[Task[Any]]", host: str, port: int) -> list[str]:
    """Return a command for each of ``tasks`` that asks it: for a sample customer's summary, else for its first case.

    Every request needs a token. Of a task whose first case is none of its inputs, or too long for a command line, the line says
    where they are described.
    """
    omni = Path(sys.executable).parent / "omni"
    lines = []
    for task in tasks:
        path, body = f"/v1/{task.name}", _first_inputs(settings, task)
        if task.name == "summarize":
            path, body = "/omni-channel-insights", '{"account_number": "1234567890", "contact_id": "abc-123-xyz"}'
        lines.append(
            f'curl -s http://{host}:{port}{path} -H "authorization: Bearer $({omni} token)" '
            f"-H 'content-type: application/json' -d {shlex.quote(body)}"
            if body
            else f"POST http://{host}:{port}{path}, with a token from {omni} token; its inputs: http://{host}:{port}/docs"
        )
    return lines


def _first_inputs(settings: "Settings", task: "Task[Any]") -> str:
    """Return the inputs of the task's first case as JSON; "" if there is none that the task takes and a command line holds."""
    try:
        with (settings.datasets_dir / task.name / "dev.jsonl").open(encoding="utf-8") as cases:
            inputs = json.loads(cases.readline())["inputs"]
        task.input_model.model_validate(inputs)
    except (OSError, ValueError, LookupError, TypeError):
        return ""  # a deployment has no cases, and those of conversations are no inputs
    body = json.dumps(inputs, ensure_ascii=False)
    return body if len(body) <= _LONGEST_SAMPLE else ""


class FirstLines:
    """Prints where the service listens, that it serves once it has a pair to serve, and a request for each task that is released.

    The registry is looked up in the background, so that all of it may become true after the start.
    """

    def __init__(self, settings: "Settings", runtime: "Runtime", address: str, port: int) -> None:
        self._settings, self._runtime, self._place = settings, runtime, (address, port)
        self._said = ""
        self._shown = set[str]()

    def print(self) -> bool:
        """Print what is new; return whether nothing is to come."""
        from service.api.health import readiness_of

        readiness = readiness_of(self._runtime)
        url = "http://{}:{}".format(*self._place)
        if readiness.ready:
            what = "serving simulated weeks" if self._settings.simulated else "serving"
            self._say_once(f"{what} on {url} (docs at /docs, readiness at /readyz); stop with Ctrl-C")
        elif not self._said:
            self._say_once(f"listening on {url}, not serving yet: {'; '.join(readiness.reasons)}")
        states = {name: source.status() for name, source in self._runtime.answering.pair_sources.items()}
        if self._settings.environment == "local":
            self._print_samples(name for name, state in states.items() if state.served)
        looked = all(state.last_refresh_at is not None or state.last_error is not None for state in states.values())
        return readiness.ready and looked

    def follow(self, leaving: "threading.Event") -> None:
        """Print what becomes true until nothing is to come, or the service ends."""
        while not leaving.wait(_LOOK_EVERY_S) and not self.print():
            pass

    def _say_once(self, line: str) -> None:
        if line != self._said:
            self._said = line
            say(line, flush=True)

    def _print_samples(self, served: "Iterable[str]") -> None:
        required = self._settings.serving.required_tasks
        new = sorted(set(served) - self._shown, key=lambda name: (name not in required, name))
        tasks = [self._runtime.answering.tasks[name] for name in new]
        for line in sample_requests(self._settings, tasks, *self._place):
            say(f"{'or' if self._shown else 'Next, in a second terminal'}: {line}", flush=True)
            self._shown.update(new)


def _announce(settings: "Settings", runtime: "Runtime", address: str, port: int) -> None:
    import threading

    lines = FirstLines(settings, runtime, address, port)
    if not lines.print():
        threading.Thread(target=lines.follow, args=(runtime.leaving,), name="first-lines", daemon=True).start()


def _bound(settings: "Settings") -> "socket.socket":
    """Return a socket that is bound and does not listen: until the service is ready, clients are refused and go elsewhere.

    A socket that listens early accepts requests seconds before anybody reads them.
    """
    try:
        # After bind alone, a second service could bind, too: only listening shows whether another program has the port.
        with _new_socket(settings, settings.serving.port) as probe:
            probe.listen(1)
            port = probe.getsockname()[1]
        return _new_socket(settings, port)
    except OSError as err:
        raise _taken(settings, err) from err


def _new_socket(settings: "Settings", port: int) -> "socket.socket":
    import socket

    made = socket.socket(socket.AF_INET6 if ":" in settings.serving.host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((settings.serving.host, port))
    except OSError:
        made.close()
        raise
    return made


def _taken(settings: "Settings", err: OSError) -> Exception:
    from service.kit.frame.errors import ConfigurationError

    return ConfigurationError(
        f"port {settings.serving.port} on {settings.serving.host} cannot be used ({err.strerror}): "
        f"stop the program that holds it, or choose another: omni serve --port {settings.serving.port + 10}"
    )


def _with_writer_process(settings: "Settings") -> "Settings":
    """Return ``settings`` with a child process for the summary writer, unless `OMNI_WRITER_PROCESS` decides."""
    if "writer_process" in settings.summaries.model_fields_set:
        return settings
    return settings.model_copy(update={"writer_process": True})


def _with_stand_ins(settings: "Settings", *, without_bedrock: bool) -> "Settings":
    wanted = settings.aws.endpoint is None or (settings.bedrock.endpoint is None and not without_bedrock)
    if settings.environment != "local" or not wanted:
        return settings
    from service.local import stack  # in no image

    parts = []
    if settings.aws.endpoint is None:
        parts.append(stack.up_aws(settings))
    if settings.bedrock.endpoint is None and not without_bedrock:
        parts.append(stack.up_bedrock(settings))
    for part in parts:
        print_part(part)
    return stack.with_endpoints(settings, parts)
