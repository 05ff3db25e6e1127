"""The Bedrock Converse wire format: parses requests, and encodes errors and event-stream frames. No I/O."""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from service.core.unit.pair import ToolSpec

# Bedrock's default differs per model. A 135M model rarely stops by itself, so an unlimited answer would run to the end of
# the context and occupy its slot for minutes.
DEFAULT_MAX_TOKENS = 512
UNSUPPORTED_FIELDS = ("guardrailConfig",)
# The tool in which litellm asks for structured output.
FORM_TOOL = "json_tool_call"

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
    """One chat turn; the text of several content blocks is joined by newlines.

    A use of a tool is the JSON of its name and arguments, and what came of it is the text of a user turn.
    """

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

    `form` is set for structured output, which is requested by a tool that must be used or has litellm's name for it, or, for
    models that support it, by `outputConfig`. `tools` are all others.
    """

    model_id: str
    turns: tuple[WireTurn, ...]
    prefixes: tuple[CachePrefix, ...] = ()
    max_tokens: int = DEFAULT_MAX_TOKENS
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()
    form: AnswerForm | None = None
    tools: tuple[ToolSpec, ...] = ()

    @property
    def last_user_text(self) -> str:
        """The text of the last user turn."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")


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
    """Collects turns and cache prefixes in Bedrock's order: tools first, then system, then messages."""

    def __init__(self, tools: tuple[ToolSpec, ...]) -> None:
        self.turns: list[WireTurn] = []
        self.prefixes: list[CachePrefix] = []
        self._digest = hashlib.sha256()
        self._texts: list[str] = []
        self._offers = bool(tools)
        self._wanted: tuple[str, ...] = ()  # the uses of the turn before
        for tool in tools:
            self._note("tool", json.dumps([tool.name, tool.description, dict(tool.arguments)]))

    def read(self, role: WireRole, blocks: object, where: str) -> None:
        texts: list[str] = []
        wanted: list[str] = []
        told: list[str] = []
        for index, item in enumerate(_array(blocks, where)):
            block, at = _object(item, f"{where}.{index}"), f"{where}.{index}"
            if "cachePoint" in block:
                self.prefixes.append(CachePrefix(digest=self._digest.hexdigest(), text="\n".join(self._texts)))
                continue
            if "toolUse" in block and role == "assistant":
                texts.append(_tool_use(block["toolUse"], f"{at}.toolUse", wanted))
            elif "toolResult" in block and role == "user":
                texts.append(_tool_result(block["toolResult"], f"{at}.toolResult", told))
            else:
                texts.append(_text(block, at))
            self._note(role, texts[-1])
        self._check_pairs(role, where, wanted, told)
        if texts:
            self.turns.append(WireTurn(role=role, text="\n".join(texts)))

    def end(self, where: str) -> None:
        """Refuse uses of the last turn: nobody has said what came of them."""
        if self._wanted:
            raise _unanswered(self._wanted, where)

    def _check_pairs(self, role: WireRole, where: str, wanted: list[str], told: list[str]) -> None:
        if (wanted or told) and not self._offers:
            raise _invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        if role == "system":
            return
        if missing := [call_id for call_id in self._wanted if call_id not in told]:
            raise _unanswered(missing, where)
        if set(told) - set(self._wanted):
            raise _invalid(
                f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks of previous turn."
            )
        self._wanted = tuple(wanted)

    def _note(self, role: str, text: str) -> None:
        # Include the length, so that different splits of the same characters have different digests.
        self._digest.update(f"{role}:{len(text)}:".encode() + text.encode())
        self._texts.append(text)


def _text(block: Mapping[str, object], where: str) -> str:
    text = block.get("text")
    if not isinstance(text, str):
        raise _invalid(f"{where} holds {sorted(block)}: the local model takes text, tools and cachePoint only")
    if not text.strip():
        raise _invalid(
            f"The text field in the ContentBlock object at {where} is blank. Add text to the text field, and try again."
        )
    return text


def _tool_use(value: object, where: str, wanted: list[str]) -> str:
    use = _object(value, where)
    wanted.append(_name(use, "toolUseId", where))
    arguments = dict(_object(use.get("input"), f"{where}.input"))
    return json.dumps({"tool": _name(use, "name", where), "arguments": arguments}, ensure_ascii=False)


def _tool_result(value: object, where: str, told: list[str]) -> str:
    result = _object(value, where)
    told.append(_name(result, "toolUseId", where))
    texts = []
    for index, item in enumerate(_array(result.get("content"), f"{where}.content")):
        block = _object(item, f"{where}.content.{index}")
        is_json = "json" in block
        texts.append(
            json.dumps(block["json"], ensure_ascii=False) if is_json else _text(block, f"{where}.content.{index}")
        )
    return "\n".join(texts)


def _name(holder: Mapping[str, object], field: str, where: str) -> str:
    value = holder.get(field)
    if not isinstance(value, str) or not value:
        raise _invalid(f"{where}.{field} must be a non-empty string")
    return value


def _unanswered(call_ids: Iterable[str], where: str) -> BedrockError:
    return _invalid(f"Expected toolResult blocks at {where} for the following Ids: {', '.join(call_ids)}")


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
    form, tools = _answer_form(root)
    reader = _Reader(tools)
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
    reader.end(f"messages.{len(messages)}.content")
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
        form=form,
        tools=tools,
    )


def _answer_form(root: Mapping[str, object]) -> tuple[AnswerForm | None, tuple[ToolSpec, ...]]:
    """Return the requested structured output, as one of the tools or a JSON schema for the text, and the other tools."""
    form: AnswerForm | None = None
    tools: tuple[ToolSpec, ...] = ()
    if root.get("toolConfig") is not None:
        config = _object(root["toolConfig"], "toolConfig")
        tools = _tools(config)
        forced: Any = config.get("toolChoice") or {}
        name = (forced.get("tool") or {}).get("name", FORM_TOOL)
        form = next((AnswerForm(schema=tool.arguments, tool=name) for tool in tools if tool.name == name), None)
        tools = tuple(tool for tool in tools if tool.name != name)
    if root.get("outputConfig") is not None:
        where = "outputConfig.textFormat.structure.jsonSchema"
        value: object = root
        for key in ("outputConfig", "textFormat", "structure", "jsonSchema"):
            value = _object(value, where).get(key)
        text = _object(value, where).get("schema")
        try:
            form = AnswerForm(schema=_object(json.loads(text) if isinstance(text, str) else None, f"{where}.schema"))
        except ValueError as err:
            raise _invalid(f"{where}.schema is not valid JSON: {err}") from err
    return form, tools


def _tools(config: Mapping[str, object]) -> tuple[ToolSpec, ...]:
    listed = _array(config.get("tools"), "toolConfig.tools")
    found = []
    for index, item in enumerate(listed):
        block = _object(item, f"toolConfig.tools.{index}")
        if "cachePoint" in block:
            continue
        where = f"toolConfig.tools.{index}.toolSpec"
        spec = _object(block.get("toolSpec"), where)
        name = _name(spec, "name", where)
        schema = _object(
            _object(spec.get("inputSchema"), f"{where}.inputSchema").get("json"), f"{where}.inputSchema.json"
        )
        found.append(ToolSpec(name=name, description=str(spec.get("description") or ""), arguments=schema))
    if not found:
        raise _invalid(f"toolConfig.tools holds {len(found)} tools: give at least one, or leave toolConfig out")
    return tuple(found)


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
