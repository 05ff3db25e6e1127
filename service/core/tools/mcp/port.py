"""The port to the tools of an MCP server: one session for all calls of a process, opened at the first."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from service.core.tools.mcp.wire import KEY_META, NOTHING_HAPPENED_META, CallFate, call_fate
from service.core.tools.port import ToolError, ToolsDown, ToolUndecided
from service.core.unit.pair import ToolSpec

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp_types import CallToolResult, Tool

T = TypeVar("T")
_MOST_PAGES = 20
_OPEN_S = 5.0
_MOST_CAUSE_CHARS = 200
# HTTP's and JSON-RPC's codes of a call that was refused before any tool ran.
_NOT_LET_IN = frozenset({401, 403})
_REFUSED_STATUSES = frozenset({404, 405, 413, 429})
_REFUSED_CODES = frozenset({-32601, -32602})


class McpClient(Protocol):
    """The clients of the MCP SDK and of FastMCP, as far as they are alike."""

    @property
    def session(self) -> "ClientSession":
        """The open session."""


Connect = Callable[[], AbstractAsyncContextManager[McpClient]]


class McpTools:
    """See ``Tools``. ``connect`` opens a connection to the server; after a failure the next call opens another.

    A session belongs to the event loop that opened it. ``listed`` opens one of its own, and may be called on any loop.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._held: _HeldSession | None = None
        self._running: set[asyncio.Task[Any]] = set()

    async def listed(self) -> tuple[ToolSpec, ...]:
        """See ``Tools.listed``; raises ``ToolsDown`` if the server does not answer as an MCP server."""
        try:
            async with asyncio.timeout(_OPEN_S), self._connect() as client:
                return tuple(map(_spec, await _all_tools(client.session)))
        except Exception as err:
            raise ToolsDown(f"the tools' server does not list its tools ({_cause_of(err)})") from err

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """See ``Tools.call``."""
        held = self._usable()
        try:
            session = await asyncio.shield(held.opened)
        except Exception as err:
            raise ToolsDown("the tools cannot be reached") from err
        fate = CallFate()
        call_fate.set(fate)
        held.users += 1
        try:
            meta: Any = None if key is None else {KEY_META: key}
            result = await self._awaited(session.call_tool(name, dict(arguments), meta=meta))
        except Exception as err:
            held.retire()
            raise _failure(err, fate) from err
        finally:
            held.users -= 1
            held.end_if_retired()
        return _text_of(result, key)

    async def aclose(self) -> None:
        """End the session, and the calls that still run."""
        for task in self._running:
            task.cancel()
        held, self._held = self._held, None
        if held is not None:
            await held.aclose()

    def _usable(self) -> "_HeldSession":
        if self._held is None or not self._held.is_usable():
            self._held = _HeldSession(self._connect)
        return self._held

    async def _awaited(self, calling: Coroutine[Any, Any, T]) -> T:
        """Await ``calling``; when we are cancelled, cancel it without awaiting its end: a thread cannot be stopped."""
        task = asyncio.ensure_future(calling)
        self._running.add(task)
        task.add_done_callback(self._settled)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            raise

    def _settled(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen: perhaps nobody waits for it any more


class _HeldSession:
    """A session that a task of its own holds open: a connection must be closed by the task that opened it."""

    def __init__(self, connect: Connect) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._retired = False
        self.users = 0
        self.opened: asyncio.Future[ClientSession] = self._loop.create_future()
        self.opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self._task = asyncio.create_task(self._hold(connect))

    def is_usable(self) -> bool:
        """Return whether calls may use it; a session of another event loop is of no use."""
        return self._loop is asyncio.get_running_loop() and not self._retired and not self._task.done()

    def retire(self) -> None:
        """Give it no further calls; it ends after those that use it."""
        self._retired = True

    def end_if_retired(self) -> None:
        """End a retired session that nobody uses."""
        if self._retired and not self.users:
            self._ending.set()

    async def aclose(self) -> None:
        """End it now."""
        self.retire()
        self._ending.set()
        if self._loop is asyncio.get_running_loop():
            await asyncio.wait([self._task], timeout=_OPEN_S)

    async def _hold(self, connect: Connect) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(_OPEN_S):
                    client = await stack.enter_async_context(connect())
                    # The SDK checks answers and headers by the listing; without it, the first call would ask for it.
                    await _all_tools(client.session)
                self.opened.set_result(client.session)
                await self._ending.wait()
        except Exception as err:  # also while closing, when nobody minds
            if not self.opened.done():
                self.opened.set_exception(err)


async def _all_tools(session: "ClientSession") -> "list[Tool]":
    from mcp_types import PaginatedRequestParams

    page = await session.list_tools()
    tools = list(page.tools)
    for _ in range(_MOST_PAGES):
        if page.next_cursor is None:
            return tools
        page = await session.list_tools(params=PaginatedRequestParams(cursor=page.next_cursor))
        tools += page.tools
    raise ValueError(f"the listing has more than {_MOST_PAGES} pages")


def _spec(tool: "Tool") -> ToolSpec:
    # A server that says nothing may still write: whether a tool writes is the pair's word, unless the server contradicts it.
    says_it_writes = tool.annotations is not None and tool.annotations.read_only_hint is False
    return ToolSpec(
        name=tool.name, description=tool.description or "", arguments=tool.input_schema, writes=says_it_writes
    )


def _failure(err: Exception, fate: CallFate) -> Exception:
    from mcp import MCPError

    if fate.unsent:
        return ToolsDown("the tools cannot be reached")
    if fate.status in _NOT_LET_IN:
        return ToolsDown("the tools' server does not let this service in")
    refused = isinstance(err, MCPError) and err.error.code in _REFUSED_CODES
    if refused or fate.status in _REFUSED_STATUSES:
        return ToolError("the tools' server refused the call")
    return ToolUndecided(fate.problem) if fate.problem else err


def _text_of(result: "CallToolResult", key: str | None) -> str:
    """Return a result as JSON text: its structured content, else its text, which becomes ``{"text": ...}`` if it is no JSON."""
    text = "\n".join(part.text for part in result.content if part.type == "text")
    if result.is_error:
        # Only the server can know that a tool that writes has not written.
        if key is None or (result.meta or {}).get(NOTHING_HAPPENED_META) is True:
            raise ToolError(text)
        raise ToolUndecided(text)
    if result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    if not text and result.content:
        raise ToolUndecided("the tool's answer holds no text")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return json.dumps({"text": text}, ensure_ascii=False)
    return text


def _cause_of(err: BaseException) -> str:
    """Return an error in words, for an operator; of a group of errors the first."""
    while isinstance(err, BaseExceptionGroup):
        err = err.exceptions[0]
    return f"{type(err).__name__}: {err!s:.{_MOST_CAUSE_CHARS}}"
