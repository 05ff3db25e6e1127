"""Converse calls of text alone, built and read without litellm, whose import takes seconds; all else is litellm's.

Each function returns None for what it leaves to litellm. What it does itself is what litellm does
(``tests/integration/serving/test_converse.py`` compares both).
"""

import json
import os
from itertools import cycle
from types import SimpleNamespace
from typing import Any

from service.core.llm.model_call import ModelCall
from service.kit.frame.errors import ModelError, QuotaExceeded, UpstreamUnavailable

# Everything else is read by litellm, which knows more reasons.
_FINISHED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_DNS_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "us-iso-": "c2s.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}
# Words by which litellm tells errors of one status apart.
_TOLD_BY_WORDS = (
    "too many tokens",
    "Too many input tokens",
    "maxLength",
    "too long",
    "prompt: length",
    "onversation",
    "Malformed input request",
    "credentials",
    "security token",
    "AccessDeniedException",
    "imed out",
    "imeout",
    "Could not process image",
)


def runtime_endpoint(region: str, endpoint: str | None) -> str:
    """Return ``endpoint``, or else the environment's, or else Bedrock's own address in ``region``."""
    suffix = next((suffix for start, suffix in _DNS_SUFFIXES.items() if region.startswith(start)), "amazonaws.com")
    return endpoint or os.environ.get("AWS_BEDROCK_RUNTIME_ENDPOINT") or f"https://bedrock-runtime.{region}.{suffix}"


def is_plain(call: ModelCall) -> bool:
    """Return whether ``call`` is text alone: system messages, then user and assistant in turn, and no form, tool or cache."""
    if call.answer_schema is not None or call.tools or call.turns or call.cache_prefix:
        return False
    roles = [message.role for message in call.messages]
    spoken = roles[roles.count("system") :]
    return (
        bool(spoken)
        and all(role == turn for role, turn in zip(spoken, cycle(("user", "assistant")), strict=False))
        and all(message.content.strip() for message in call.messages)
    )


def plain_content(call: ModelCall) -> dict[str, Any] | None:
    """Return the body of a Converse request for ``call``."""
    if not is_plain(call):
        return None
    sampling = call.sampling
    asked: dict[str, Any] = {"temperature": sampling.temperature}
    if sampling.top_p is not None:
        asked["topP"] = sampling.top_p
    if sampling.stop_sequences:
        asked["stopSequences"] = list(sampling.stop_sequences)
    spoken = [(message.role, {"text": message.content}) for message in call.messages]
    content: dict[str, Any] = {
        "messages": [{"role": role, "content": [text]} for role, text in spoken if role != "system"],
        "inferenceConfig": asked | {"maxTokens": int(sampling.max_output_tokens)},
    }
    if system := [text for role, text in spoken if role == "system"]:
        content["system"] = system
    return content


def plain_answer(content: bytes) -> SimpleNamespace | None:
    """Return what ``content``, the body of an answer, says, with the names of litellm's ``ModelResponse``."""
    try:
        answer = json.loads(content)
        blocks, usage = answer["output"]["message"]["content"], answer["usage"]
        finished = _FINISHED[answer["stopReason"]]
        sent, made = usage["inputTokens"], usage["outputTokens"]
        read, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
        text = "".join([block["text"] for block in blocks])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    counts = (sent, made, read, written)
    if any(type(count) is not int for count in counts) or any(len(block) > 1 for block in blocks):
        return None
    if any(block["text"].startswith("<") for block in blocks):
        return None  # litellm takes thoughts between tags out of a text
    message = SimpleNamespace(content=text, tool_calls=None)
    return SimpleNamespace(
        choices=[SimpleNamespace(message=message, finish_reason=finished)],
        usage=SimpleNamespace(
            prompt_tokens=sent + read + written,
            completion_tokens=made,
            cache_read_input_tokens=read,
            cache_creation_input_tokens=written,
        ),
    )


def plain_refusal(model: str, status: int, content: bytes) -> ModelError | None:
    """Return the error of an answer with ``status``: those that a sound call meets on a bad day."""
    text = content.decode(errors="replace")
    if any(word in text for word in _TOLD_BY_WORDS):
        return None
    if status == 429 or (status in (500, 503) and "hrottlingException" in text):  # of a proxy; litellm reads it so, too
        return QuotaExceeded(f"{model} throttles us; lower the concurrency or raise the account's quota")
    if status in (500, 503):
        return UpstreamUnavailable(f"{model} failed (ServiceUnavailableError, status 503)")
    return None
