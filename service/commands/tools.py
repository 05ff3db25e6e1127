"""``tools``: lists the tools of a task as a pair names them, and serves its functions to others over MCP."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.local import print_part
from service.kit.frame.display.inert import visible
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    import socket

    from service.core.tools.functions import ToolFunction
    from service.core.tools.mcp.tokens import ClientTokenVerifier
    from service.core.unit.pair import ToolSpec
    from service.kit.settings import Settings

PATH = "/mcp"

tools = typer.Typer(no_args_is_help=True, help="List the tools of a task, and serve them over MCP.")

TaskName = Annotated[str, typer.Option("--task", help="Name of the task.")]


@tools.command("list")
def list_tools(task: TaskName) -> None:
    """Print the tools of a task as `tools:` of a pair file; descriptions are yours to improve, arguments are not."""
    import yaml

    from service.core.run.task import load_task
    from service.core.tools.port import ToolsDown
    from service.core.tools.serving import build_task_tools
    from service.kit.settings import Settings

    own = load_task(task).tool_functions
    try:
        listed = asyncio.run(build_task_tools(Settings(), {task: own}, None)[task].open_tools().listed())
    except ToolsDown as err:
        raise ConfigurationError(f"{err}: see OMNI_TOOLS_SERVERS and OMNI_TOOLS_TOKENS") from err
    text = yaml.safe_dump({"tools": {tool.name: _declared(tool) for tool in listed}}, sort_keys=False, width=110)
    say(visible(text), end="")


@tools.command("serve")
def serve_tools(
    task: TaskName,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="TCP port; 0 takes a free one.")] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    tokens: Annotated[
        Path | None,
        typer.Option(help="File with a client's name and its token per line; default: clients with scope `tools`."),
    ] = None,
) -> None:
    """Serve a task's functions as tools over MCP (streamable HTTP), to holders of a token."""
    from service.core.run.task import load_task
    from service.core.tools.mcp.server import build_server

    own = load_task(task).tool_functions
    if not own:
        raise ConfigurationError(f"task {task!r} offers no functions as tools: set its tool_functions")
    build_server(task, own)  # reports a missing extra or a wrong function before anything starts
    import uvicorn

    from service.api.http.connections import bounded_protocol
    from service.core.tools.mcp.tokens import read_tokens
    from service.kit.settings import Settings
    from service.kit.telemetry.log import configure_logging

    settings = Settings()
    own = _keeping_callbacks(tuple(own), settings)
    with _bound(host, port) as claimed:
        configure_logging(settings.telemetry.log_level)
        verifier = _clients_of_the_service(settings) if tokens is None else read_tokens(tokens)
        app = build_server(task, own, auth=verifier).http_app(PATH, stateless_http=True)
        config = uvicorn.Config(
            app,
            http=bounded_protocol(settings.serving),
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
            timeout_keep_alive=75,
        )
        address, taken = claimed.getsockname()[:2]
        say(f"serving the tools of {task} on http://{address}:{taken}{PATH}; stop with Ctrl-C", flush=True)
        server = uvicorn.Server(config)
        server.run(sockets=[claimed])
    if not server.started:
        raise typer.Exit(2)


def _keeping_callbacks(own: "tuple[ToolFunction, ...]", settings: "Settings") -> "tuple[ToolFunction, ...]":
    """Return tools whose callbacks are written where the worker reads them: in AWS, or the local AWS that runs here."""
    from service.desk.build import callback_book
    from service.desk.tool import TOOL, with_kept_callbacks
    from service.kit.aws.endpoint import with_endpoint
    from service.kit.frame.clock import wall_clock
    from service.kit.records.shared_state import has_shared_state

    if not has_shared_state(settings):
        from service.local import aws, loopback

        here = aws.endpoint(settings)
        if loopback.get_json(f"{here}{aws.HEALTH_PATH}") is None:
            if any(one.name == TOOL for one in own):
                lost = f"no callback promised by {TOOL} is kept: no local AWS answers at {here}; start it with omni up"
                say(lost, file=sys.stderr)
            return own
    return with_kept_callbacks(own, callback_book(with_endpoint(settings), wall_clock(settings.clock_file)))


def _clients_of_the_service(settings: "Settings") -> "ClientTokenVerifier":
    from service.access.control import open_access
    from service.core.tools.mcp.tokens import ClientTokenVerifier

    if settings.environment == "local" and settings.aws.endpoint is None:  # whose table holds clients and token keys
        from service.local import stack

        part = stack.up_aws(settings)
        print_part(part)
        settings = stack.with_endpoints(settings, [part])
    return ClientTokenVerifier(open_access(settings).tokens.caller_of)


def _declared(tool: "ToolSpec") -> dict[str, Any]:
    declared = {"description": tool.description, "arguments": dict(tool.arguments)}
    return declared | ({"writes": True} if tool.writes else {})


def _bound(host: str, port: int) -> "socket.socket":
    import socket

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as err:
        raise ConfigurationError(
            f"port {port} on {host} cannot be used ({err.strerror}): choose another with --port"
        ) from err
