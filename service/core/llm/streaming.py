"""Streaming of an answer's text: a request may have a sink, into which the gateway writes the text as it is generated.

Hedging, checks, guard and fallback run as without streaming, so streamed text is provisional until the task returns its result.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from service.core.llm.model_call import Gateway, ModelCall, ModelReply

OnText = Callable[[str], None]
# A context variable, so that the code between endpoint and gateway need not pass it on: each `asyncio.create_task` of a request
# inherits the request's sink.
_sink: ContextVar["TextSink | None"] = ContextVar("text_sink", default=None)


class StreamingModel(Gateway, Protocol):
    """A gateway that can also stream an answer."""

    async def stream(self, call: ModelCall, on_text: OnText) -> ModelReply:
        """Answer as ``complete`` does, and call ``on_text`` with each piece of the text as it arrives.

        Raises:
            ModelError: as ``complete``; ``on_text`` may have been called before.
        """


class TextSink:
    """Receives the text of one request. Only the first model call that writes is passed on, so two hedged answers never mix."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self._active_writer: object | None = None
        self._passed_on: list[str] = []

    @property
    def text(self) -> str:
        """All text passed on so far."""
        return "".join(self._passed_on)

    def writer(self) -> OnText:
        """Return the function to which one model call passes each piece of its text."""
        writer = object()

        def write(text: str) -> None:
            if not text:
                return
            if self._active_writer is None:
                self._active_writer = writer
            if self._active_writer is writer:
                self._passed_on.append(text)
                self._on_text(text)

        return write


@contextmanager
def not_streaming() -> Iterator[None]:
    """Stream nothing inside this block: what is asked there is not for the client."""
    token = _sink.set(None)
    try:
        yield
    finally:
        _sink.reset(token)


@contextmanager
def streaming_into(sink: TextSink) -> Iterator[None]:
    """Set the sink for everything that runs inside this block, including asyncio tasks created there."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


class StreamingGateway:
    """Streams the calls of requests that have a sink and completes all others.

    The text of a call that offers tools goes to the sink when the answer is complete, and not at all if it uses a tool. A task
    whose last question offers none streams that answer piece by piece.
    """

    def __init__(self, gateway: StreamingModel) -> None:
        self._gateway = gateway

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        sink = _sink.get()
        if sink is None:
            return await self._gateway.complete(call)
        if not call.tools:
            return await self._gateway.stream(call, sink.writer())
        # Only the end of a stream tells whether its text is the answer or what a model says before it uses a tool.
        held: list[str] = []
        reply = await self._gateway.stream(call, held.append)
        if not reply.uses:
            sink.writer()("".join(held))
        return reply
