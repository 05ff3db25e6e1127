"""``serve``: the service in the foreground, with the stand-ins that it needs."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.commands.local import add_without_bedrock, print_part

if TYPE_CHECKING:
    import socket

    from service.settings import Settings


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    serve = add("serve", help="serve in the foreground, after `up` where no endpoints are set")
    serve.add_argument("--port", type=int, help="TCP port (default OMNI_PORT, 8080); 0 takes a free one")
    serve.add_argument("--host", help="address to listen on (default OMNI_HOST, 127.0.0.1)")
    add_without_bedrock(serve)
    serve.set_defaults(run=_serve)


def _serve(settings: "Settings", options: argparse.Namespace) -> int:
    # The port first: nothing is started for a service that cannot listen.
    listener = _listen(settings)
    with listener:
        settings = _with_stand_ins(settings, without_bedrock=options.without_bedrock)
        from service.runtime import build_runtime
        from service.telemetry.log import configure_logging

        configure_logging(settings.telemetry.log_level)
        if (
            "writer_process" not in settings.summaries.model_fields_set
        ):  # somebody may have a reason to want one process
            settings = settings.model_copy(update={"writer_process": True})
        runtime = build_runtime(settings)
        import uvicorn

        from service.app import create_app

        host, port = listener.getsockname()[:2]
        print(f"serving on http://{host}:{port} (docs at /docs, readiness at /readyz); stop with Ctrl-C", flush=True)
        if settings.environment == "local":
            print('  every call needs a token: -H "authorization: Bearer $(make -s token)"', flush=True)
        config = uvicorn.Config(
            create_app(settings, runtime),
            log_config=None,
            access_log=False,
            # Longer than the load balancer's own (NLB: 350 s), or it sends a request into a connection that we are closing.
            timeout_keep_alive=360,
            timeout_graceful_shutdown=10,
        )
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
    return 0 if server.started else 2


def _listen(settings: "Settings") -> "socket.socket":
    import socket

    from service.errors import ConfigurationError

    listener = socket.socket(socket.AF_INET6 if ":" in settings.serving.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.serving.host, settings.serving.port))
        # Listening already here: without it a second service could bind too and would fail only later.
        listener.listen(2048)
    except OSError as err:
        listener.close()
        raise ConfigurationError(
            f"port {settings.serving.port} on {settings.serving.host} cannot be used ({err.strerror}): "
            f"stop the program that holds it, or choose another: python -m service serve --port {settings.serving.port + 10}"
        ) from err
    return listener


def _with_stand_ins(settings: "Settings", *, without_bedrock: bool) -> "Settings":
    from service.local import stack

    if settings.environment != "local":
        return settings
    parts = []
    if settings.aws.endpoint is None:
        parts.append(stack.up_aws(settings))
    if settings.bedrock.endpoint is None and not without_bedrock:
        parts.append(stack.up_bedrock(settings))
    for part in parts:
        print_part(part)
    return stack.with_endpoints(settings, parts)
