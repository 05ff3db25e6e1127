"""Keeps litellm's HTTP clients from following redirects, which would take prompt and key to a server that nobody named.

litellm 1.106 and openai's client follow them, and httpx drops only ``Authorization`` on the way: ``x-api-key`` and
``x-goog-api-key`` travel along. All of their asynchronous clients send through one transport, unless ``force_ipv4`` or
``disable_aiohttp_transport`` is set, which this package does not do.
"""

from typing import Any


def follow_no_redirects() -> None:
    """Answer each redirect without its address, so that it is an error like any other status. Imports litellm."""
    from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

    send = LiteLLMAiohttpTransport.handle_async_request
    if getattr(send, "without_redirects", False):
        return

    async def handle_async_request(self: Any, request: Any) -> Any:
        response = await send(self, request)
        response.headers.pop("location", None)
        return response

    handle_async_request.without_redirects = True  # type: ignore[attr-defined] # marks it for the next call
    LiteLLMAiohttpTransport.handle_async_request = handle_async_request
