"""The Bedrock Converse wire format: parses requests, and encodes answers, event-stream frames and errors. No I/O."""

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

# Bedrock's default differs per model. A 135M model rarely stops by itself, so an unlimited answer would run to the end of
# the context and occupy its slot for minutes.
DEFAULT_MAX_TOKENS = 512
UNSUPPORTED_FIELDS = ("guardrailConfig",)

WireRole = Literal["system", "user", "assistant"]


class WireStopReason(StrEnum):
    """Why an answer ended, with Converse's values."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    TOOL_USE = "tool_use"


class ErrorKind(StrEnum):
    """Bedrock runtime exceptions that the stand-in can raise; the value is the exception's shape name."""

    ACCESS_DENIED = "AccessDeniedException"
    INTERNAL = "InternalServerException"
    NOT_FOUND = "ResourceNotFoundException"
    NOT_READY = "ModelNotReadyException"
    THROTTLED = "ThrottlingException"
    TIMEOUT = "ModelTimeoutException"
    UNAVAILABLE = "ServiceUnavailableException"
    VALIDATION = "ValidationException"


# botocore 1.43.106, bedrock-runtime 2023-09-30 service model.
HTTP_STATUS: Mapping[ErrorKind, int] = {
    ErrorKind.ACCESS_DENIED: 403,
    ErrorKind.INTERNAL: 500,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.NOT_READY: 429,
    ErrorKind.THROTTLED: 429,
    ErrorKind.TIMEOUT: 408,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.VALIDATION: 400,
}


class BedrockError(Exception):
    """An answer in Bedrock's error form: `kind` decides the HTTP status and the class that boto3 raises."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status that Bedrock uses for this error."""
        return HTTP_STATUS[self.kind]

    def body(self) -> bytes:
        """The JSON body; the `x-amzn-ErrorType` header names the exception."""
        return json.dumps({"message": self.message}).encode()

    def frame(self) -> bytes:
        """The same error as a frame inside an event stream that has already begun."""
        name = self.kind.value
        return encode_frame({":message-type": "exception", ":exception-type": name[0].lower() + name[1:]}, self.body())


@dataclass(frozen=True, slots=True, kw_only=True)
class WireTurn:
    """One chat turn; the text of several content blocks is joined by newlines."""

    role: WireRole
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePrefix:
    """Everything before one cachePoint: its text and a digest that also covers roles and block boundaries."""

    digest: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """The JSON schema of an answer, and the name of the tool that takes the answer as input; None if the answer is text."""

    schema: Mapping[str, object]
    tool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverseRequest:
    """A validated Converse request. `prefixes` are in order of length, one per cachePoint.

    `form` is set for structured output, which litellm requests by a single tool (`toolConfig`) or, for models that support
    it, by `outputConfig`.
    """

    model_id: str
    turns: tuple[WireTurn, ...]
    prefixes: tuple[CachePrefix, ...] = ()
    max_tokens: int = DEFAULT_MAX_TOKENS
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()
    form: AnswerForm | None = None

    @property
    def last_user_text(self) -> str:
        """The text of the last user turn."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")


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


def _invalid(message: str) -> BedrockError:
    return BedrockError(ErrorKind.VALIDATION, message)


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _invalid(f"{where} must be a JSON object")
    return value


def _array(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _invalid(f"{where} must be a JSON array")
    return value


def _number(config: Mapping[str, object], field: str) -> float | None:
    value = config.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _invalid(f"The value at 'inferenceConfig.{field}' must be a number between 0 and 1, got {value!r}")
    return float(value)


class _Reader:
    """Collects turns and cache prefixes in Bedrock's order: system first, then messages."""

    def __init__(self) -> None:
        self.turns: list[WireTurn] = []
        self.prefixes: list[CachePrefix] = []
        self._digest = hashlib.sha256()
        self._texts: list[str] = []

    def read(self, role: WireRole, blocks: object, where: str) -> None:
        texts: list[str] = []
        for index, item in enumerate(_array(blocks, where)):
            block = _object(item, f"{where}.{index}")
            if "cachePoint" in block:
                self.prefixes.append(CachePrefix(digest=self._digest.hexdigest(), text="\n".join(self._texts)))
                continue
            text = block.get("text")
            if not isinstance(text, str):
                raise _invalid(f"{where}.{index} holds {sorted(block)}: the local model takes text and cachePoint only")
            if not text.strip():
                raise _invalid(
                    f"The text field in the ContentBlock object at {where}.{index} is blank. "
                    "Add text to the text field, and try again."
                )
            # Include the length, so that different splits of the same characters have different digests.
            self._digest.update(f"{role}:{len(text)}:".encode() + text.encode())
            self._texts.append(text)
            texts.append(text)
        if texts:
            self.turns.append(WireTurn(role=role, text="\n".join(texts)))


def parse_request(model_id: str, body: bytes) -> ConverseRequest:
    """Read a Converse or ConverseStream body.

    Raises:
        BedrockError: ValidationException for anything that Bedrock or the text-only local model would refuse.
    """
    try:
        root = _object(json.loads(body), "The request body")
    except ValueError as err:
        raise _invalid(f"The request body is not valid JSON: {err}") from err
    for field in UNSUPPORTED_FIELDS:
        if field in root:
            raise _invalid(f"{field} is not supported by the local model: leave it out or call Bedrock")
    reader = _Reader()
    reader.read("system", root.get("system") or [], "system")
    messages = _array(root.get("messages"), "messages")
    for index, item in enumerate(messages):
        message = _object(item, f"messages.{index}")
        role = message.get("role")
        if role != "user" and role != "assistant":
            raise _invalid(f"messages.{index}.role must be 'user' or 'assistant', got {role!r}")
        if index == 0 and role != "user":
            raise _invalid(
                "A conversation must start with a user message. Try again with a conversation that starts with a "
                "user message."
            )
        reader.read("user" if role == "user" else "assistant", message.get("content"), f"messages.{index}.content")
    if not any(turn.role == "user" for turn in reader.turns):
        raise _invalid("messages must hold at least one user message with text")
    config = _object(root.get("inferenceConfig") or {}, "inferenceConfig")
    max_tokens = config.get("maxTokens", DEFAULT_MAX_TOKENS)
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
        raise _invalid(f"The value at 'inferenceConfig.maxTokens' must be an integer of at least 1, got {max_tokens!r}")
    stops: list[str] = []
    for stop in _array(config.get("stopSequences") or [], "inferenceConfig.stopSequences"):
        if not isinstance(stop, str) or not stop:
            raise _invalid("inferenceConfig.stopSequences must hold non-empty strings")
        stops.append(stop)
    return ConverseRequest(
        model_id=model_id,
        turns=tuple(reader.turns),
        prefixes=tuple(reader.prefixes),
        max_tokens=max_tokens,
        temperature=_number(config, "temperature"),
        top_p=_number(config, "topP"),
        stop_sequences=tuple(stops),
        form=_answer_form(root),
    )


def _answer_form(root: Mapping[str, object]) -> AnswerForm | None:
    """Return the requested structured output: one tool, or a JSON schema for the text. Several tools are refused."""
    if root.get("toolConfig") is not None:
        tools = _array(_object(root["toolConfig"], "toolConfig").get("tools"), "toolConfig.tools")
        if len(tools) != 1:
            raise _invalid(
                f"toolConfig.tools holds {len(tools)} tools: the local model takes exactly one, for structured output"
            )
        where = "toolConfig.tools.0.toolSpec"
        spec = _object(_object(tools[0], "toolConfig.tools.0").get("toolSpec"), where)
        name = spec.get("name")
        if not isinstance(name, str) or not name:
            raise _invalid(f"{where}.name must be a non-empty string")
        schema = _object(
            _object(spec.get("inputSchema"), f"{where}.inputSchema").get("json"), f"{where}.inputSchema.json"
        )
        return AnswerForm(schema=schema, tool=name)
    if root.get("outputConfig") is not None:
        where = "outputConfig.textFormat.structure.jsonSchema"
        value: object = root
        for key in ("outputConfig", "textFormat", "structure", "jsonSchema"):
            value = _object(value, where).get(key)
        text = _object(value, where).get("schema")
        try:
            return AnswerForm(schema=_object(json.loads(text) if isinstance(text, str) else None, f"{where}.schema"))
        except ValueError as err:
            raise _invalid(f"{where}.schema is not valid JSON: {err}") from err
    return None


def _content(text: str, form: AnswerForm | None) -> tuple[list[dict[str, object]], bool]:
    """Return an answer's content blocks, and whether it is a tool call. Prose stays text, as with a model that ignores a tool."""
    if form is not None and form.tool is not None:
        try:
            filled = json.loads(text)
        except ValueError:
            filled = None
        if isinstance(filled, dict):
            call = {"toolUseId": f"tooluse_{zlib.crc32(text.encode()):08x}", "name": form.tool, "input": filled}
            return [{"toolUse": call}], True
    return [{"text": text}], False


def converse_body(
    text: str, stop: WireStopReason, usage: WireUsage, latency_ms: int, answered_by: str, form: AnswerForm | None = None
) -> bytes:
    """The JSON answer to POST /model/{id}/converse; with a tool in `form`, JSON text becomes that tool's input."""
    content, called = _content(text, form)
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


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One vnd.amazon.eventstream message with JSON payload: prelude, prelude CRC, string headers, payload, CRC."""
    block = b""
    for name, value in {**headers, ":content-type": "application/json"}.items():
        # 7 is the header type "string" (smithy.io, Amazon Event Stream specification).
        block += struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + block + payload
    return message + struct.pack("!I", zlib.crc32(message))


def event_frame(event: str, payload: Mapping[str, object]) -> bytes:
    """One event of a ConverseStream answer."""
    return encode_frame({":message-type": "event", ":event-type": event}, json.dumps(payload).encode())


def stream_start() -> bytes:
    """The first frame of every stream."""
    return event_frame("messageStart", {"role": "assistant"})


def stream_delta(text: str) -> bytes:
    """A piece of the answer's text."""
    return event_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})


def stream_end(stop: WireStopReason, usage: WireUsage, latency_ms: int, answered_by: str) -> bytes:
    """The three closing frames: contentBlockStop, messageStop, metadata."""
    return (
        event_frame("contentBlockStop", {"contentBlockIndex": 0})
        + event_frame(
            "messageStop", {"stopReason": stop, "additionalModelResponseFields": {"answered_by": answered_by}}
        )
        + event_frame("metadata", {"usage": usage.to_wire(), "metrics": {"latencyMs": latency_ms}})
    )
