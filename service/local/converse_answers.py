"""Answers in the Bedrock Converse wire format: as one JSON object, and as frames of an event stream. No I/O."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from service.core.unit.question import Use
from service.local.converse_wire import AnswerForm, WireStopReason, event_frame


@dataclass(frozen=True, slots=True, kw_only=True)
class WireUsage:
    """Token counts as Bedrock meters them: `input_tokens` excludes cache reads and cache writes."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    def to_wire(self) -> dict[str, int]:
        """Converse's `usage` object; the total covers all four counts."""
        return {
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "totalTokens": self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens,
            "cacheReadInputTokens": self.cache_read_tokens,
            "cacheWriteInputTokens": self.cache_write_tokens,
        }


def _content(text: str, uses: Sequence[Use], form: AnswerForm | None) -> tuple[list[dict[str, object]], bool]:
    """Return an answer's content blocks, and whether it uses a tool. Prose stays text, as with a model that ignores a tool."""
    if form is not None and form.tool is not None:
        try:
            filled = json.loads(text)
        except ValueError:
            filled = None
        if isinstance(filled, dict):
            call = {"toolUseId": f"tooluse_{zlib.crc32(text.encode()):08x}", "name": form.tool, "input": filled}
            return [{"toolUse": call}], True
    content: list[dict[str, object]] = [{"text": text}] if text or not uses else []
    content += [{"toolUse": {"toolUseId": use.call_id, "name": use.tool, "input": dict(use.arguments)}} for use in uses]
    return content, bool(uses)


def converse_body(
    text: str,
    stop: WireStopReason,
    usage: WireUsage,
    latency_ms: int,
    answered_by: str,
    form: AnswerForm | None = None,
    uses: Sequence[Use] = (),
) -> bytes:
    """The JSON answer to POST /model/{id}/converse; with a tool in `form`, JSON text becomes that tool's input."""
    content, called = _content(text, uses, form)
    if called and stop is WireStopReason.END_TURN:
        stop = WireStopReason.TOOL_USE
    answer = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": usage.to_wire(),
        "metrics": {"latencyMs": latency_ms},
        "additionalModelResponseFields": {"answered_by": answered_by},
    }
    return json.dumps(answer).encode()


def stream_start() -> bytes:
    """The first frame of every stream."""
    return event_frame("messageStart", {"role": "assistant"})


def stream_delta(text: str) -> bytes:
    """A piece of the answer's text."""
    return event_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})


def stream_stop(index: int) -> bytes:
    """The end of a content block."""
    return event_frame("contentBlockStop", {"contentBlockIndex": index})


def stream_use(index: int, use: Use) -> bytes:
    """The content block of a tool's use, its arguments in two pieces."""
    written = json.dumps(dict(use.arguments), ensure_ascii=False)
    half = len(written) // 2
    start = {"toolUse": {"toolUseId": use.call_id, "name": use.tool}}
    return (
        event_frame("contentBlockStart", {"contentBlockIndex": index, "start": start})
        + b"".join(
            event_frame("contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": part}}})
            for part in (written[:half], written[half:])
        )
        + stream_stop(index)
    )


def stream_end(stop: WireStopReason, usage: WireUsage, latency_ms: int, answered_by: str) -> bytes:
    """The two closing frames: messageStop, metadata."""
    return event_frame(
        "messageStop", {"stopReason": stop, "additionalModelResponseFields": {"answered_by": answered_by}}
    ) + event_frame("metadata", {"usage": usage.to_wire(), "metrics": {"latencyMs": latency_ms}})
