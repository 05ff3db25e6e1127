"""litellm's HTTP clients: closed with their event loop, kept from following redirects, and from sending in rehearsals.

litellm 1.106 keeps a client per event loop under the loop's ``id``, and closes none at the loop's end. Harness and tests use many
loops, and a new one may have the id of a dead one, whose connections are of no use to it.

It and openai's client follow redirects, which would take prompt and key to a server that nobody named; httpx drops only
``Authorization`` on the way. All of their asynchronous clients send through one transport, unless ``force_ipv4`` or
``disable_aiohttp_transport`` is set, which this package does not do.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from contextvars import ContextVar
from typing import Any

_holders: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}  # of the process, as litellm's cache is
_sending_nothing: ContextVar[bool] = ContextVar("sending_nothing", default=False)


async def close_with_loop(imported: Any) -> None:
    """Have the running loop's clients of ``imported`` litellm closed when the loop ends.

    An event loop closes its asynchronous generators at its end; the one made here then closes the clients.
    """
    loop = asyncio.get_running_loop()
    if loop not in _holders:
        _holders[loop] = _hold(imported, loop)
        await anext(_holders[loop])


async def _hold(imported: Any, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
    await _close(imported, loop)  # what a dead loop with this id has left
    try:
        yield
    finally:
        del _holders[loop]
        await _close(imported, loop)


async def _close(imported: Any, loop: asyncio.AbstractEventLoop) -> None:
    cache = imported.in_memory_llm_clients_cache
    for key in [key for key in cache.cache_dict if str(key).endswith(f"-{id(loop)}")]:
        client = cache.cache_dict.pop(key)
        cache.ttl_dict.pop(key, None)
        with contextlib.suppress(Exception):  # a dead loop's connections cannot be closed in good order
            await client.close()
    # Anthropic's streams use one client of the process, whose transport opens a session in each loop and closes none.
    transport = getattr(imported.module_level_aclient.client, "_transport", None)
    session = getattr(transport, "client", None)
    if getattr(session, "_loop", None) is loop:
        with contextlib.suppress(Exception):
            await transport.aclose()  # type: ignore[union-attr]  # a transport, since it has a session


@contextlib.contextmanager
def sending_nothing() -> Iterator[None]:
    """Refuse all requests of litellm's asynchronous clients in this block: some handlers (Replicate's) do not ask before."""
    token = _sending_nothing.set(True)
    try:
        yield
    finally:
        _sending_nothing.reset(token)


def guard_requests() -> None:
    """Answer each redirect without its address, so that it is an error like any other status. Imports litellm.

    From then on ``sending_nothing`` holds, too.
    """
    from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

    send = LiteLLMAiohttpTransport.handle_async_request
    if getattr(send, "is_guarded", False):
        return

    async def handle_async_request(self: Any, request: Any) -> Any:
        if _sending_nothing.get():
            raise RuntimeError("a rehearsal sends nothing")
        response = await send(self, request)
        response.headers.pop("location", None)
        return response

    handle_async_request.is_guarded = True  # type: ignore[attr-defined] # marks it for the next call
    LiteLLMAiohttpTransport.handle_async_request = handle_async_request
