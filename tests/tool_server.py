"""A task's functions as tools, and servers of tools over real HTTP: a good one, and ones that misbehave."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from service.core.tools.functions import ToolFunction
from service.core.tools.port import ToolError

TOKEN = "a-token-of-the-tools-server-0001"
written = []
streams = []  # requests for the messages that a server sends by itself


async def find_branch(city: str) -> dict[str, str]:
    """Find a branch."""
    return {"branch_id": f"BR-{len(city)}", "city": city}


def request_callback(phone: str, *, key: str | None) -> dict[str, str]:
    """Ask for a call."""
    if phone == "closed":
        raise ToolError("closed on Sundays")
    if phone == "broken":
        raise RuntimeError("password=hunter2")
    written.append((phone, key))
    return {"ticket": f"T-{len(written)}"}


FUNCTIONS = (ToolFunction(call=find_branch), ToolFunction(call=request_callback, writes=True))


@contextmanager
def served(app, *, port=0):
    """Serve an ASGI application on a free port of loopback; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    host, taken = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{taken}/mcp"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


def misbehaving(answer):
    """An MCP server, as far as listing goes, whose calls end in what ``answer(id, arguments)`` returns: a ``Response``."""

    async def post(request):
        message = json.loads(await request.body())
        method, given = message["method"], message.get("params", {})
        if method == "tools/call":
            made = answer(message["id"], given.get("arguments", {}))
            return await made if asyncio.iscoroutine(made) else made
        if "id" not in message:
            return Response(status_code=202)
        if method == "initialize":
            result = {
                "protocolVersion": given["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "bad", "version": "1"},
            }
        elif method == "tools/list":
            result = {"tools": [{"name": "find_branch", "inputSchema": {"type": "object"}}]}
        else:
            error = {"code": -32601, "message": "Method not found"}
            return _json({"jsonrpc": "2.0", "id": message["id"], "error": error})
        session = {"mcp-session-id": "s-1"} if method == "initialize" else {}
        return _json({"jsonrpc": "2.0", "id": message["id"], "result": result}, session)

    async def stream(request):
        streams.append(request)
        return Response(status_code=405)

    return Starlette(routes=[Route("/mcp", post, methods=["POST"]), Route("/mcp", stream, methods=["GET"])])


def result(call_id, *texts, **fields):
    """An MCP result with these texts."""
    content = [{"type": "text", "text": text} for text in texts]
    return _json({"jsonrpc": "2.0", "id": call_id, "result": {"content": content, **fields}})


def broken_off():
    """An answer that ends before its end."""
    return Response('{"jsonrpc"', headers={"content-length": "1000"}, media_type="application/json")


def _json(value, headers=None):
    return Response(json.dumps(value), headers=headers, media_type="application/json")
