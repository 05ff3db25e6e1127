"""litellm's formats: messages and answer forms on the way in, usage, headers and stop reasons on the way out."""

from collections.abc import Mapping
from typing import Any

from service.llm.model_call import ModelCall, StopReason
from service.llm.pricing import Usage
from service.pair import Message

STOP_REASONS: Mapping[str, StopReason] = {"stop": "end_turn", "length": "max_tokens"}
# Our stand-ins name the model that answers; providers do not send this header.
ANSWERED_BY_HEADER = "x-omni-answered-by"


def messages_of(call: ModelCall) -> list[dict[str, Any]]:
    """Return the messages of ``call``; the system message is marked for the provider's cache if the call says so."""
    return [_message(message, cache=call.cache_prefix and message.role == "system") for message in call.messages]


def answer_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the ``response_format`` that asks for ``schema``.

    Where a provider has none, litellm turns it into a tool, which it forces if the model supports that, and returns the tool's
    input as the content.
    """
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


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


def _message(message: Message, *, cache: bool) -> dict[str, Any]:
    if not cache:
        return {"role": message.role, "content": message.content}
    block = {"type": "text", "text": message.content, "cache_control": {"type": "ephemeral"}}
    return {"role": message.role, "content": [block]}
