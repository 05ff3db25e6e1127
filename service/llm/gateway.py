"""The only door to litellm: Bedrock's Converse for every model that is not code of this package."""

import asyncio
import logging
import os
import threading
import time
from typing import Any

from service.cards import ModelCards
from service.errors import (
    DeadlineExceeded,
    ModelError,
    QuotaExceeded,
    RequestRejected,
    SafetyRefused,
    UpstreamUnavailable,
)
from service.llm.call import InProcessModels, ModelCall, ModelReply, StopReason
from service.llm.pricing import Usage
from service.pair import Message

_STOP_REASONS: dict[str, StopReason] = {"stop": "end_turn", "length": "max_tokens"}


class LiteLLMGateway:
    """Calls models through litellm; a retry or a fallback is the caller's decision, never litellm's."""

    def __init__(
        self,
        cards: ModelCards,
        *,
        region: str,
        endpoint: str | None = None,
        stand_in: str | None = None,
        in_process: InProcessModels | None = None,
    ) -> None:
        """Prepare without importing litellm (1.5 to 4.5 s): the first call, or ``warm_up``, does that.

        Args:
            cards: which models exist and how they are reached.
            region: AWS region of Bedrock.
            endpoint: base URL in place of Bedrock's; credentials are then dummies.
            stand_in: name of what answers provider models at ``endpoint`` when its answers do not say so themselves.
            in_process: models that are code, by id.
        """
        self._cards = cards
        self._region = region
        self._endpoint = endpoint
        self._stand_in = stand_in
        self._in_process = dict(in_process or {})
        self._litellm: Any = None
        self._importing = threading.Lock()

    def warm_up(self) -> None:
        """Import litellm and build its clients, so that the first call's latency is the model's own."""
        with self._importing:
            if self._litellm is None:
                self._litellm = self._import()

    def _import(self) -> Any:
        # The bundled cost map; without this litellm asks the network for a newer one at import.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm

        litellm.suppress_debug_info = True
        litellm.telemetry = False
        litellm.drop_params = False
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logging.getLogger(name).setLevel(
                logging.CRITICAL
            )  # its errors are raised to us; the log would hold prompts
        return litellm

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        card = self._cards.get(call.model)
        started = time.perf_counter()
        if card.wire == "in_process":
            if call.model not in self._in_process:
                raise RequestRejected(f"model {call.model!r} is code that this process does not hold")
            text = self._in_process[call.model](call.document)
            elapsed = (time.perf_counter() - started) * 1000
            return ModelReply(
                text=text, usage=Usage(), stop_reason="end_turn", latency_ms=elapsed, answered_by=card.short_name
            )
        if self._litellm is None:
            await asyncio.to_thread(self.warm_up)  # seconds of import must not stop the other requests
        started = time.perf_counter()
        try:
            async with asyncio.timeout(call.timeout_s):
                response = await self._litellm.acompletion(**self._arguments(call))
        except TimeoutError as err:
            raise DeadlineExceeded(f"{card.short_name} gave no answer within {call.timeout_s:.1f} s") from err
        except Exception as err:  # litellm raises subclasses of openai's errors and, now and then, bare ones
            raise self._translate(err, card.short_name) from err
        elapsed = (time.perf_counter() - started) * 1000
        choice = response.choices[0]
        if choice.finish_reason == "content_filter":
            raise SafetyRefused(f"{card.short_name}'s guardrail stopped the answer")
        return ModelReply(
            text=choice.message.content or "",
            usage=_usage(response.usage),
            stop_reason=_STOP_REASONS.get(choice.finish_reason, "other"),
            latency_ms=elapsed,
            answered_by=_answered_by(response)
            or (self._stand_in if card.runs == "provider" else None)
            or card.short_name,
        )

    def _arguments(self, call: ModelCall) -> dict[str, Any]:
        sampling = call.sampling
        arguments: dict[str, Any] = {
            # `bedrock/converse/`, not `bedrock/`: the short form sends some families to InvokeModel.
            "model": f"bedrock/converse/{call.model}",
            "messages": [_message(m, cache=call.cache_prefix and m.role == "system") for m in call.messages],
            "temperature": sampling.temperature,
            "max_tokens": int(sampling.max_output_tokens),
            "timeout": call.timeout_s,
            "num_retries": 0,
            "max_retries": 0,
            "aws_region_name": self._region,
        }
        if sampling.top_p is not None:
            arguments["top_p"] = sampling.top_p
        if sampling.stop_sequences:
            arguments["stop"] = list(sampling.stop_sequences)
        if self._endpoint is not None:
            arguments |= {
                "aws_bedrock_runtime_endpoint": self._endpoint,
                "aws_access_key_id": "local",
                "aws_secret_access_key": "local",
            }
        return arguments

    def _translate(self, err: Exception, model: str) -> ModelError:
        exceptions = self._litellm.exceptions
        if isinstance(err, exceptions.RateLimitError):
            return QuotaExceeded(f"{model} throttles us; lower the concurrency or raise the account's quota")
        if isinstance(err, exceptions.Timeout):
            return DeadlineExceeded(f"{model} gave no answer in time")
        if isinstance(err, exceptions.ContextWindowExceededError):
            return RequestRejected(f"the prompt is longer than {model}'s context; shorten the history or the prompt")
        status = int(getattr(err, "status_code", 0) or 0)
        if 400 <= status < 500 and status not in (408, 429):
            return RequestRejected(
                f"{model} rejects the request ({status} {type(err).__name__}); check model id, access and prompt"
            )
        return UpstreamUnavailable(f"{model} failed ({type(err).__name__}, status {status or 'none'})")


def _answered_by(response: Any) -> str | None:
    # Our stand-in says in a header what it is; Bedrock sends none. litellm keeps headers here and nowhere public (1.106).
    headers = (getattr(response, "_hidden_params", None) or {}).get("additional_headers") or {}
    name = headers.get("llm_provider-x-omni-answered-by")
    return str(name) if name else None


def _message(message: Message, *, cache: bool) -> dict[str, Any]:
    if not cache:
        return {"role": message.role, "content": message.content}
    block = {"type": "text", "text": message.content, "cache_control": {"type": "ephemeral"}}
    return {"role": message.role, "content": [block]}


def _usage(usage: Any) -> Usage:
    read = int(getattr(usage, "cache_read_input_tokens", 0) or 0)
    write = int(getattr(usage, "cache_creation_input_tokens", 0) or 0)
    # litellm adds cached tokens to prompt_tokens; Bedrock's inputTokens does not hold them.
    return Usage(
        input_tokens=max(int(usage.prompt_tokens) - read - write, 0),
        output_tokens=int(usage.completion_tokens),
        cache_read_tokens=read,
        cache_write_tokens=write,
    )
