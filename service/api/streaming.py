"""Streams a summary as server-sent events: ``text`` pieces, then ``verdict``, then ``result`` or ``problem``."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import BaseModel
from starlette.responses import Response

from service.api.http.problems import problem_of
from service.core.llm.streaming import TextSink, streaming_into
from service.kit.frame.errors import ServiceError
from service.kit.telemetry.log import Event, log

MEDIA_TYPE = "text/event-stream"


def wants_stream(accept: str | None) -> bool:
    """Return whether an ``Accept`` header includes ``text/event-stream``."""
    return accept is not None and any(
        part.partition(";")[0].strip().lower() == MEDIA_TYPE for part in accept.split(",")
    )


async def stream(answer: Callable[[], Awaitable[BaseModel]], *, text_field: str, request_id: str) -> Response:
    """Run ``answer`` and stream its text while the model writes it.

    The streamed text is provisional, because the answer is checked when it is complete. ``verdict`` says whether the text was
    accepted; if not, the client must show ``result`` instead. Nothing is sent before the first text, so an earlier failure is an
    ordinary problem response with its own status.

    Args:
        answer: returns the body that a request without streaming would get.
        text_field: the field of that body that holds the text.
        request_id: for a problem body inside the stream.

    Raises:
        ServiceError: the answer failed before the first text.
    """
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    sink = TextSink(pieces.put_nowait)
    started = time.perf_counter()

    async def run() -> BaseModel:
        try:
            return await answer()
        finally:
            pieces.put_nowait(None)

    with streaming_into(sink):
        running = asyncio.create_task(run())
    try:
        first = await pieces.get()
        if first is None:
            await running
    except BaseException:
        running.cancel()
        raise
    first_text_ms = round((time.perf_counter() - started) * 1000)
    events = _events(first, pieces, running, sink, text_field, request_id, first_text_ms)
    return EventSourceResponse(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _events(
    first: str | None,
    pieces: "asyncio.Queue[str | None]",
    running: "asyncio.Task[BaseModel]",
    sink: TextSink,
    text_field: str,
    request_id: str,
    first_text_ms: int,
) -> AsyncIterator[bytes]:
    try:
        piece = first
        while piece is not None:
            yield _event("text", {"text": piece})
            piece = await pieces.get()
        try:
            body = (await running).model_dump(mode="json")
        except ServiceError as err:
            yield _event("verdict", {"accepted": False, "first_text_ms": first_text_ms})
            yield format_sse_event(data_str=bytes(problem_of(err, request_id).body).decode(), event="problem")
            return
        if first is None:  # nothing was streamed: code, a stored summary or the extractive digest answered
            yield _event("text", {"text": body[text_field]})
        accepted = first is None or _plain(sink.text) == _plain(body[text_field])
        yield _event("verdict", {"accepted": accepted, "first_text_ms": first_text_ms})
        yield _event("result", body)
        log(Event.STREAM_COMPLETED, first_text_ms=first_text_ms, accepted=accepted)
    finally:
        # The client may have disconnected: stop the model call.
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _plain(text: str) -> str:
    # Compares without whitespace differences: the answer's check trims the text and joins its lines.
    return " ".join(text.strip().strip('"').split())


def _event(name: str, data: dict[str, Any]) -> bytes:
    return format_sse_event(data_str=json.dumps(data, ensure_ascii=False), event=name)
