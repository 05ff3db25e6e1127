"""Connects to an MCP server over streamable HTTP, with a bearer token; bounds what comes back."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
from pydantic import SecretStr

from service.core.tools.mcp.port import Connect, McpClient
from service.core.tools.mcp.wire import CallFate, call_fate

# A tool's answer may have 20,000 characters (`service.core.tools.allowed`); the listing of many tools is longer.
MOST_BYTES = 1_000_000
_TIMEOUT = httpx2.Timeout(5.0, connect=2.0, read=30.0)
# Of a body that we have read: its length and encoding are no longer as sent.
_DROPPED = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def over_http(url: str, token: SecretStr | None = None) -> Connect:
    """Return a function that connects to the server at ``url``; redirects are followed within its origin only."""

    def connect() -> AbstractAsyncContextManager[McpClient]:
        return _connected(url, token)

    return connect


@asynccontextmanager
async def _connected(url: str, token: SecretStr | None) -> AsyncIterator[McpClient]:
    from mcp import Client  # late: it takes half a second, and most services use no tools
    from mcp.client.streamable_http import streamable_http_client

    headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
    transport = _WatchedTransport(httpx2.AsyncHTTPTransport())
    async with (
        httpx2.AsyncClient(transport=transport, headers=headers, timeout=_TIMEOUT) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


class _WatchedTransport(httpx2.AsyncBaseTransport):
    """Reads whole answers up to ``MOST_BYTES``, and notes the fate of each call.

    The SDK's session ends, with all its calls, when the transport raises. So trouble becomes an answer with status 502 or 503.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send ``request`` and read its answer; see the class."""
        if request.method == "GET":
            return httpx2.Response(405, request=request)  # the stream of the server's own messages, which nobody reads
        fate = call_fate.get() or CallFate()
        try:
            response = await self._inner.handle_async_request(request)
            fate.status = response.status_code
            return await _read_whole(response, request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            fate.unsent = True
            return httpx2.Response(503, request=request)
        except _TooLongError as err:
            fate.problem = str(err)
        except httpx2.HTTPError as err:
            fate.problem = f"the connection broke ({type(err).__name__})"
        return httpx2.Response(502, request=request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _TooLongError(Exception):
    """An answer is longer than we read."""


async def _read_whole(response: httpx2.Response, request: httpx2.Request) -> httpx2.Response:
    body = bytearray()
    try:
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise _TooLongError(f"the answer is longer than {MOST_BYTES:,} bytes")
    finally:
        await response.aclose()
    headers = [(name, value) for name, value in response.headers.items() if name.lower() not in _DROPPED]
    return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)
