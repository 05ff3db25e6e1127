"""OpenAI's chat completions and Anthropic's messages as JSON: reads requests, builds answers, streams and errors. No I/O."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from service.core.unit.question import Use
from service.local.converse_wire import FORM_TOOL
from service.local.openai.answers import ChatRequest

REFUSAL = "I can't help with that."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """An answer before it is encoded; ``usage`` False leaves the token counts out. A token is a word."""

    model: str
    text: str
    prompt_tokens: int
    cut_off: bool = False
    refused: bool = False
    usage: bool = True
    tool: str | None = None  # Anthropic's way to an answer in a form: the input of the tool that the request forces
    uses: tuple[Use, ...] = ()

    @property
    def output_tokens(self) -> int:
        """The number of words of the answer, at least one."""
        return max(1, len(self.text.split()))


class ChatWire(Protocol):
    """One provider's format."""

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """Return the request.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """

    def body(self, answer: ChatAnswer) -> dict[str, Any]:
        """Return the answer as one JSON object."""

    def events(self, answer: ChatAnswer) -> Iterator[str]:
        """Yield the answer as server-sent events."""

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        """Return an error's JSON object."""


class OpenAIWire:
    """``POST /v1/chat/completions``."""

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """See ``ChatWire.read``."""
        form = (body.get("response_format") or {}).get("json_schema") or {}
        return ChatRequest(
            model=str(body["model"]),
            turns=_turns_of_openai(body["messages"]),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            schema=form.get("schema"),
            tools=tuple(str(tool["function"]["name"]) for tool in body.get("tools") or ()),
            streamed=bool(body.get("stream")),
        )

    def body(self, answer: ChatAnswer) -> dict[str, Any]:
        """See ``ChatWire.body``."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
        if answer.refused:
            message |= {"content": None, "refusal": REFUSAL}
        elif answer.uses:
            message |= {"content": answer.text or None, "tool_calls": [_openai_call(use) for use in answer.uses]}
        found = self._head(answer, "chat.completion") | {
            "choices": [{"index": 0, "message": message, "finish_reason": self._finish(answer)}]
        }
        return found | {"usage": self._usage(answer)} if answer.usage else found

    def events(self, answer: ChatAnswer) -> Iterator[str]:
        """See ``ChatWire.events``."""
        head = self._head(answer, "chat.completion.chunk")

        def chunk(delta: Mapping[str, Any], finish: str | None = None) -> str:
            return _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

        yield chunk({"role": "assistant", "content": ""})
        if answer.refused:
            yield chunk({"refusal": REFUSAL})
        else:
            for piece in _pieces(answer.text):
                yield chunk({"content": piece})
            for index, use in enumerate(answer.uses):
                call = _openai_call(use)
                whole = call["function"]["arguments"]
                yield chunk({"tool_calls": [call | {"index": index, "function": {"name": use.tool, "arguments": ""}}]})
                for part in _halves(whole):
                    yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
        yield chunk({}, self._finish(answer))
        if answer.usage:
            yield _data({**head, "choices": [], "usage": self._usage(answer)})
        yield "data: [DONE]\n\n"

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        """See ``ChatWire.error``."""
        return {"error": {"message": message, "type": code, "param": None, "code": code}}

    def _finish(self, answer: ChatAnswer) -> str:
        return "length" if answer.cut_off else "tool_calls" if answer.uses else "stop"

    def _head(self, answer: ChatAnswer, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-local", "object": kind, "created": 1_700_000_000, "model": answer.model}

    def _usage(self, answer: ChatAnswer) -> dict[str, int]:
        return {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.prompt_tokens + answer.output_tokens,
        }


class AnthropicWire:
    """``POST /v1/messages``."""

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """See ``ChatWire.read``."""
        system = body.get("system")
        turns = [("system", _text_of(system))] if system else []
        turns += [(str(turn["role"]), _text_of(turn["content"])) for turn in body["messages"]]
        tools = {str(tool["name"]): tool for tool in body.get("tools") or ()}
        forced = tools.pop(str((body.get("tool_choice") or {}).get("name", FORM_TOOL)), None)
        form = ((body.get("output_config") or {}).get("format") or body.get("output_format") or {}).get("schema")
        return ChatRequest(
            model=str(body["model"]),
            turns=tuple(turns),
            max_tokens=int(body["max_tokens"]),
            schema=form or (forced.get("input_schema") if forced else None),
            tool=str(forced["name"]) if forced else None,
            tools=tuple(tools),
            streamed=bool(body.get("stream")),
        )

    def body(self, answer: ChatAnswer) -> dict[str, Any]:
        """See ``ChatWire.body``."""
        return self._head(answer) | {
            "content": [] if answer.refused else self._blocks(answer),
            "stop_reason": self._stop(answer),
            "stop_sequence": None,
            **({"usage": self._usage(answer)} if answer.usage else {}),
        }

    def events(self, answer: ChatAnswer) -> Iterator[str]:
        """See ``ChatWire.events``."""
        message = self._head(answer) | {"content": [], "stop_reason": None, "stop_sequence": None}
        if answer.usage:
            message["usage"] = {"input_tokens": answer.prompt_tokens, "output_tokens": 1}
        yield _named("message_start", {"message": message})
        if not answer.refused and (answer.text or not answer.uses):
            empty = {"type": "text", "text": ""} if answer.tool is None else self._block(answer, "{}")
            yield _named("content_block_start", {"index": 0, "content_block": empty})
            kind, name = ("text_delta", "text") if answer.tool is None else ("input_json_delta", "partial_json")
            for piece in _pieces(answer.text):
                yield _named("content_block_delta", {"index": 0, "delta": {"type": kind, name: piece}})
            yield _named("content_block_stop", {"index": 0})
        for index, use in enumerate(() if answer.refused else answer.uses, 1 if answer.text else 0):
            yield _named("content_block_start", {"index": index, "content_block": _anthropic_use(use) | {"input": {}}})
            for part in _halves(json.dumps(dict(use.arguments), ensure_ascii=False)):
                delta = {"type": "input_json_delta", "partial_json": part}
                yield _named("content_block_delta", {"index": index, "delta": delta})
            yield _named("content_block_stop", {"index": index})
        end: dict[str, Any] = {"delta": {"stop_reason": self._stop(answer), "stop_sequence": None}}
        if answer.usage:
            end["usage"] = {"output_tokens": answer.output_tokens}
        yield _named("message_delta", end)
        yield _named("message_stop", {})

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        """See ``ChatWire.error``."""
        names = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        return {"type": "error", "error": {"type": names.get(status, "api_error"), "message": message}}

    def _head(self, answer: ChatAnswer) -> dict[str, Any]:
        return {"id": "msg_local", "type": "message", "role": "assistant", "model": answer.model}

    def _blocks(self, answer: ChatAnswer) -> list[dict[str, Any]]:
        text = [self._block(answer, answer.text)] if answer.text or not answer.uses else []
        return text + [_anthropic_use(use) for use in answer.uses]

    def _block(self, answer: ChatAnswer, text: str) -> dict[str, Any]:
        if answer.tool is None:
            return {"type": "text", "text": text}
        return {"type": "tool_use", "id": "toolu_local", "name": answer.tool, "input": json.loads(text)}

    def _stop(self, answer: ChatAnswer) -> str:
        if answer.refused:
            return "refusal"
        if answer.cut_off:
            return "max_tokens"
        return "end_turn" if answer.tool is None and not answer.uses else "tool_use"

    def _usage(self, answer: ChatAnswer) -> dict[str, int]:
        return {"input_tokens": answer.prompt_tokens, "output_tokens": answer.output_tokens}


def _turns_of_openai(messages: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Return the turns; results of tools that follow each other are one turn of the user, as on the other wires."""
    turns: list[tuple[str, str]] = []
    for role, group in itertools.groupby(messages, lambda message: str(message["role"])):
        if role == "tool":
            turns.append(("user", "\n".join(_text_of(message["content"]) for message in group)))
            continue
        for message in group:
            calls = [json.dumps(call["function"]) for call in message.get("tool_calls") or ()]
            said = _text_of(message["content"]) if message.get("content") is not None or not calls else ""
            turns.append((role, "\n".join(filter(None, [said, *calls])) if calls else said))
    return tuple(turns)


def _openai_call(use: Use) -> dict[str, Any]:
    arguments = json.dumps(dict(use.arguments), ensure_ascii=False)
    return {"id": use.call_id, "type": "function", "function": {"name": use.tool, "arguments": arguments}}


def _anthropic_use(use: Use) -> dict[str, Any]:
    return {"type": "tool_use", "id": use.call_id, "name": use.tool, "input": dict(use.arguments)}


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(_block_text(block) for block in content)


def _block_text(block: Mapping[str, Any]) -> str:
    if block.get("type") == "tool_result":
        return _text_of(block.get("content") or "")
    if block.get("type") == "tool_use":
        return json.dumps({"name": block["name"], "input": block["input"]}, ensure_ascii=False)
    return str(block.get("text", ""))


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _pieces(text: str) -> Iterator[str]:
    words = text.split(" ")
    for number, word in enumerate(words):
        yield word if number == len(words) - 1 else f"{word} "


def _data(event: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(event)}\n\n"


def _named(kind: str, event: Mapping[str, Any]) -> str:
    return f"event: {kind}\n{_data({'type': kind, **event})}"
