"""Listens to a provider's stream before litellm rewrites it with the asked model's name and its own count of missing usage."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any


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


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
