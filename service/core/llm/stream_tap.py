"""Listens to a provider's stream before litellm rewrites it with the asked model's name and its own count of missing usage."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from service.kit.frame.errors import UpstreamUnavailable


@dataclass(slots=True)
class StreamTap:
    """Passes the chunks of ``inner`` on, and notes what they state of the model, its usage, a refusal and the answer's end."""

    inner: AsyncIterator[Any]
    said: str = ""
    metered: bool = False
    refused: bool = False
    finished: bool = False

    def __aiter__(self) -> "StreamTap":
        return self

    async def __anext__(self) -> Any:
        chunk = await anext(self.inner)
        self.said = str(_field(chunk, "model") or "") or self.said
        self.metered = self.metered or bool(_field(_field(chunk, "usage"), "prompt_tokens"))
        for choice in _field(chunk, "choices") or ():
            self.refused = self.refused or bool(_field(_field(choice, "delta"), "refusal"))
            self.finished = self.finished or bool(_field(choice, "finish_reason"))
        self.finished = self.finished or bool(_field(chunk, "finish_reason") or _field(chunk, "is_finished"))
        return chunk

    async def aclose(self) -> None:
        """Close the provider's stream, so that the model stops generating."""
        close = getattr(self.inner, "aclose", None) or getattr(self.inner, "close", None)
        if close is not None:
            await close()


async def tapped(stream: Any) -> StreamTap:
    """Put a tap into litellm's ``stream`` and return it. litellm 1.106 keeps the provider's stream in ``completion_stream``."""
    inner = await stream.fetch_stream() if stream.completion_stream is None else stream.completion_stream
    tap = StreamTap(aiter(inner))
    stream.completion_stream = tap
    return tap


async def whole_answer(
    stream: Any, build: Callable[[list[Any]], Any], on_text: Callable[[str], None], model: str
) -> Any:
    """Call ``on_text`` with each piece of the stream's text, and return the response that litellm's ``build`` puts together.

    Its ``model`` is the one that the provider states; its ``usage`` is None if the provider states none, and its
    ``finish_reason`` is ``content_filter`` if the model refused.

    Raises:
        UpstreamUnavailable: the stream ended before the answer did, or was none.
    """
    tap = await tapped(stream)
    chunks: list[Any] = []
    # Closed also when the client disconnects: the model stops generating and the connection is free again.
    async with contextlib.aclosing(stream):
        async for chunk in stream:
            chunks.append(chunk)
            if chunk.choices and chunk.choices[0].delta.content:
                on_text(chunk.choices[0].delta.content)
    response = build(chunks)
    if response is None or not (tap.said or response.choices[0].message.content):
        raise UpstreamUnavailable(f"{model} answered 200 without a stream; check the address, or try again later")
    if not (tap.finished or tap.refused):  # litellm ends a stream that broke off like one that has ended
        raise UpstreamUnavailable(f"{model} broke off in the middle of its answer; try again later")
    response.model = tap.said
    if not tap.metered:
        response.usage = None  # what the builder put there is litellm's own count of the words
    if tap.refused:
        response.choices[0].finish_reason = "content_filter"
    return response


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
