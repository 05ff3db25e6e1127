"""Passing an answer's text on while it is written: a request may have a sink, and the gateway writes into it.

The task runs as ever (hedge, check, guard, fallback); what was passed on stays provisional until its result is there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from service.llm.model_call import Gateway, ModelCall, ModelReply

OnText = Callable[[str], None]
# A context variable, because tasks and hedges between endpoint and gateway have nothing to do with it: each
# `asyncio.create_task` below a request inherits the request's own sink.
_sink: ContextVar["TextSink | None"] = ContextVar("text_sink", default=None)


class StreamingModel(Gateway, Protocol):
    """A gateway that can also tell an answer piece by piece."""

    async def stream(self, call: ModelCall, on_text: OnText) -> ModelReply:
        """Answer as ``complete`` does, and call ``on_text`` with each piece of the text as it arrives.

        Raises:
            ModelError: as ``complete``; pieces may have been told by then.
        """
        ...


class TextSink:
    """Where a request's text goes. The first call to say something has the floor; a hedge's second voice is not mixed in."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self._speaker: object | None = None
        self._said: list[str] = []

    @property
    def text(self) -> str:
        """Everything that was passed on."""
        return "".join(self._said)

    def voice(self) -> OnText:
        """Return the function that one model call tells its pieces."""
        speaker = object()

        def tell(text: str) -> None:
            if not text:
                return
            if self._speaker is None:
                self._speaker = speaker
            if self._speaker is speaker:
                self._said.append(text)
                self._on_text(text)

        return tell


@contextmanager
def streaming_into(sink: TextSink) -> Iterator[None]:
    """Give the work that is started inside this block, tasks included, a sink."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


class TellingGateway:
    """Streams the calls of requests that have a sink and completes all others."""

    def __init__(self, gateway: StreamingModel) -> None:
        self._gateway = gateway

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        sink = _sink.get()
        if sink is None:
            return await self._gateway.complete(call)
        return await self._gateway.stream(call, sink.voice())
