"""litellm's formats: messages and answer forms on the way in, usage, headers and stop reasons on the way out."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.core.llm.failures import charged
from service.core.llm.model_call import ModelCall, ModelReply, StopReason
from service.core.llm.pricing import Usage, estimated_tokens
from service.core.unit.pair import PromptMessage, ToolSpec
from service.core.unit.question import ToolTurn, Use
from service.kit.frame.errors import OutputInvalid

STOP_REASONS: Mapping[str, StopReason] = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
# Our stand-ins name the model that answers; providers do not send this header.
ANSWERED_BY_HEADER = "x-omni-answered-by"
_SHOWN_CHARS = 200
_UNREADABLE = ""  # the name under which arguments stand that are no JSON object; no schema allows it


def messages_of(call: ModelCall) -> list[dict[str, Any]]:
    """Return the messages and turns of ``call``; the system message is marked for the provider's cache if the call says so."""
    messages = [_message(message, cache=call.cache_prefix and message.role == "system") for message in call.messages]
    for turn in call.turns:
        messages += [_message(turn, cache=False)] if isinstance(turn, PromptMessage) else _tool_turn(turn)
    return messages


def tools_of(tools: Iterable[ToolSpec]) -> list[dict[str, Any]]:
    """Return the tools as a model is offered them."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.arguments)},
        }
        for tool in tools
    ]


def uses_of(message: Any) -> tuple[Use, ...]:
    """Return the uses of tools that an answer asks for; arguments that are no JSON object fit no tool's schema."""
    calls = getattr(message, "tool_calls", None) or ()
    return tuple(
        Use(
            tool=str(call.function.name or ""),
            arguments=_arguments(call.function.arguments),
            call_id=str(call.id or f"call_{number}"),
        )
        for number, call in enumerate(calls, 1)
    )


def check_streamed_uses(reply: ModelReply, model: str) -> ModelReply:
    """Return the ``reply`` of a stream.

    Raises:
        OutputInvalid: the pieces of a use's arguments give no JSON object, so some may be missing.
    """
    cut_off = reply.stop_reason == "max_tokens"  # the caller says so itself
    if not cut_off and any(_UNREADABLE in use.arguments for use in reply.uses):
        raise charged(OutputInvalid(f"{model} streamed arguments of a tool that are no JSON object"), reply)
    return reply


def usage_from_texts(call: ModelCall, text: str, uses: Iterable[Use]) -> Usage:
    """Estimate the usage of an answer that stated none."""
    answer = [text, *(json.dumps(dict(use.arguments)) for use in uses)]
    return Usage(
        input_tokens=sum(map(estimated_tokens, texts_of(call))), output_tokens=sum(map(estimated_tokens, answer))
    )


def texts_of(call: ModelCall) -> Iterator[str]:
    """Yield the texts that a call sends, to estimate its tokens."""
    for message in (*call.messages, *call.turns):
        if isinstance(message, PromptMessage):
            yield message.content
        else:
            yield from (message.text, *message.contents)
            yield from (json.dumps(dict(use.arguments)) for use in message.uses)


def answer_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the ``response_format`` that asks for ``schema``.

    Where a provider has none, litellm turns it into a tool, which it forces if the model supports that, and returns the tool's
    input as the content.
    """
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def is_metered(usage: Any, *, answered: bool) -> bool:
    """Return whether ``usage`` can be billed by: every prompt has tokens, every answer has some, and none has fewer than none."""
    prompt, completion = (int(getattr(usage, name, 0) or 0) for name in ("prompt_tokens", "completion_tokens"))
    return prompt > 0 and (completion > 0 or (completion == 0 and not answered))


def usage_of(usage: Any) -> Usage:
    """Return litellm's token counts in ours."""
    details = getattr(usage, "prompt_tokens_details", None)
    read = int(getattr(usage, "cache_read_input_tokens", 0) or getattr(details, "cached_tokens", 0) or 0)
    write = int(getattr(usage, "cache_creation_input_tokens", 0) or 0)
    # litellm's prompt_tokens include cached tokens; ours do not, as with Bedrock.
    return Usage(
        input_tokens=max(int(usage.prompt_tokens) - read - write, 0),
        output_tokens=int(usage.completion_tokens),
        cache_read_tokens=read,
        cache_write_tokens=write,
    )


def headers_of(answer: Any) -> dict[str, str]:
    """Return the provider's HTTP headers of a response or stream; litellm 1.106 has no public attribute for them."""
    kept = (getattr(answer, "_hidden_params", None) or {}).get("additional_headers") or {}
    return {str(name).removeprefix("llm_provider-"): str(value) for name, value in kept.items()}


def _arguments(written: Any) -> dict[str, Any]:
    try:
        found = json.loads(written or "{}")
    except (TypeError, ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {_UNREADABLE: str(written)[:_SHOWN_CHARS]}


def _tool_turn(turn: ToolTurn) -> list[dict[str, Any]]:
    calls = [
        {
            "id": use.call_id,
            "type": "function",
            "function": {"name": use.tool, "arguments": json.dumps(dict(use.arguments), ensure_ascii=False)},
        }
        for use in turn.uses
    ]
    results = [
        {"role": "tool", "tool_call_id": use.call_id, "name": use.tool, "content": content}
        for use, content in zip(turn.uses, turn.contents, strict=True)
    ]
    return [{"role": "assistant", "content": turn.text or None, "tool_calls": calls}, *results]


def _message(message: PromptMessage, *, cache: bool) -> dict[str, Any]:
    if not cache:
        return {"role": message.role, "content": message.content}
    block = {"type": "text", "text": message.content, "cache_control": {"type": "ephemeral"}}
    return {"role": message.role, "content": [block]}
