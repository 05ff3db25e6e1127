"""A gateway that logs and traces each model call: start, success, timeout, failure, and cancellation by a faster hedge."""

import asyncio
import time

from service.core.llm.model_call import Gateway, ModelCall, ModelReply
from service.core.unit.cards import ModelCard, ModelCards
from service.kit.frame.errors import DeadlineExceeded, ModelError
from service.kit.telemetry import tracing
from service.kit.telemetry.log import Event, log


class LoggedGateway:
    """Passes calls on to another gateway; in-process models are not logged, since they are no calls."""

    def __init__(self, gateway: Gateway, cards: ModelCards) -> None:
        self._gateway = gateway
        self._cards = cards

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        card = self._cards.get(call.model)
        if card.wire == "in_process":
            return await self._gateway.complete(call)
        # Names from OpenTelemetry's semantic conventions for generative AI; the prompt is not recorded.
        attributes: dict[str, tracing.AttributeValue] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "aws.bedrock" if card.wire == "bedrock" else card.id.partition("/")[0],
            "gen_ai.request.model": call.model,
            "gen_ai.request.max_tokens": int(call.sampling.max_output_tokens),
            "gen_ai.output.type": "text" if call.answer_schema is None else "json",
        }
        if call.part:
            attributes["omni.part"] = call.part
        with tracing.span(f"chat {call.model}", "client", attributes) as span:
            reply = await self._logged(call, card)
            span.set("gen_ai.response.model", reply.answered_by)
            span.set("gen_ai.response.finish_reasons", (reply.stop_reason,))
            span.set("gen_ai.usage.input_tokens", reply.usage.prompt_tokens)
            span.set("gen_ai.usage.output_tokens", reply.usage.output_tokens)
            span.set("gen_ai.usage.cache_read.input_tokens", reply.usage.cache_read_tokens)
            span.set("gen_ai.usage.cache_creation.input_tokens", reply.usage.cache_write_tokens)
            return reply

    async def _logged(self, call: ModelCall, card: ModelCard) -> ModelReply:
        started = time.perf_counter()

        def elapsed_ms() -> int:
            return round((time.perf_counter() - started) * 1000)

        log(Event.BEDROCK_INVOKE_START, model=card.short_name, timeout_ms=round(call.timeout_s * 1000))
        try:
            reply = await self._gateway.complete(call)
        except DeadlineExceeded:
            log(Event.BEDROCK_INVOKE_TIMEOUT, model=card.short_name, latency_ms=elapsed_ms())
            raise
        except ModelError as err:
            log(
                Event.BEDROCK_INVOKE_FAILURE,
                model=card.short_name,
                latency_ms=elapsed_ms(),
                failure_code=err.code.value,
            )
            raise
        except asyncio.CancelledError:
            log(Event.BEDROCK_INVOKE_CANCELLED, model=card.short_name, latency_ms=elapsed_ms())
            raise
        log(
            Event.BEDROCK_INVOKE_SUCCESS,
            model=card.short_name,
            answered_by=reply.answered_by,
            latency_ms=elapsed_ms(),
            input_tokens=reply.usage.input_tokens,
            output_tokens=reply.usage.output_tokens,
            cache_read_tokens=reply.usage.cache_read_tokens,
        )
        return reply
