"""The MCP server of a task's functions; needs the extra `tools` (FastMCP)."""

import asyncio
import inspect
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, get_type_hints

from service.core.tools.functions import KEY, ToolFunction
from service.core.tools.mcp.wire import KEY_META, NOTHING_HAPPENED_META
from service.core.tools.port import ToolError
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from fastmcp import FastMCP
    from fastmcp.client import Client
    from fastmcp.server.auth import TokenVerifier


def build_server(
    task: str, functions: Sequence[ToolFunction], *, auth: "TokenVerifier | None" = None
) -> "FastMCP[Any]":
    """Return the MCP server of a task's functions.

    Raises:
        ConfigurationError: the extra `tools` is not installed, or a function's arguments have no JSON schema.
    """
    # Its own log prints an exception's text and local variables; without it the records go through ours.
    os.environ.setdefault("FASTMCP_LOG_ENABLED", "false")
    try:
        from fastmcp import FastMCP
        from fastmcp.tools import Tool
        from mcp_types import ToolAnnotations
    except ImportError as err:
        raise ConfigurationError(
            f"task {task!r} offers functions as tools, and the extra 'tools' is not installed: pip install "
            "'omni-insights[tools]', or name a server of its tools in OMNI_TOOLS_SERVERS"
        ) from err

    # Details are masked: an exception's text may hold secrets, and the model would read it.
    server: FastMCP[Any] = FastMCP(task, auth=auth, mask_error_details=True, on_duplicate="error")
    for function in functions:
        try:
            tool = Tool.from_function(
                _without_key(function),
                name=function.name,
                description=inspect.getdoc(function.call) or "",
                annotations=ToolAnnotations(read_only_hint=not function.writes),
            )
            server.add_tool(tool)
        except Exception as err:  # of pydantic, by the annotation
            raise ConfigurationError(
                f"function {function.name!r} of task {task!r} cannot be a tool: {err!s:.200}"
            ) from err
    return server


def in_process(server: "FastMCP[Any]") -> "Callable[[], AbstractAsyncContextManager[Client[Any]]]":
    """Return a function that connects to ``server`` in memory, without sockets."""
    from fastmcp.client import Client

    return lambda: Client(server)


def _without_key(function: ToolFunction) -> Callable[..., Any]:
    """Return the function as FastMCP takes it: without the parameter ``key``, which comes from the call's ``_meta``."""
    signature = inspect.signature(function.call)

    async def call(**arguments: Any) -> Any:
        from fastmcp.tools import ToolResult

        if function.takes_key:
            arguments[KEY] = _key_of_call()
        try:
            return await _called(function.call, arguments)
        except ToolError as err:
            return ToolResult(content=str(err), meta={NOTHING_HAPPENED_META: True}, is_error=True)
        except Exception as err:  # its text may hold secrets, and the model would read it
            return ToolResult(content=f"the tool failed ({type(err).__name__})", is_error=True)

    hints = get_type_hints(function.call, include_extras=True)
    dropped = {KEY} if function.takes_key else set()
    parameters = [given for name, given in signature.parameters.items() if name not in dropped]
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {name: hint for name, hint in hints.items() if name not in dropped}
    call.__name__ = function.name
    return call


async def _called(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    return await asyncio.to_thread(function, **arguments)


def _key_of_call() -> str | None:
    from fastmcp.server.dependencies import get_context

    request = get_context().request_context
    meta = None if request is None else request.meta
    key = (meta or {}).get(KEY_META)
    return key if isinstance(key, str) else None
