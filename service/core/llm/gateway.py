"""The gateway to models: Bedrock's Converse, litellm's other wires, or code of this package. Only this room imports litellm."""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.core.llm.chat_format import (
    ANSWERED_BY_HEADER,
    STOP_REASONS,
    check_streamed_uses,
    headers_of,
    is_metered,
    messages_of,
    tools_of,
    usage_from_texts,
    usage_of,
    uses_of,
)
from service.core.llm.converse import MODEL_INFO, Converse, LiteLLMFormats
from service.core.llm.failures import charged, translated, translated_anywhere
from service.core.llm.litellm_bookkeeping import unlogged, unlogged_class
from service.core.llm.litellm_clients import guard_requests
from service.core.llm.litellm_wire import LiteLLMWire
from service.core.llm.model_call import AnswerOrigin, InProcessModels, ModelCall, ModelReply
from service.core.llm.plain_call import is_plain
from service.core.llm.pricing import Usage
from service.core.llm.servers import is_own_host, server_of
from service.core.llm.stream_tap import whole_answer
from service.core.llm.streaming import OnText
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import PromptMessage, Sampling
from service.core.unit.question import Said
from service.kit.aws.clients import LOCAL_KEY
from service.kit.frame.errors import DeadlineExceeded, ModelError, RequestRejected, SafetyRefused, UpstreamUnavailable
from service.kit.frame.process.gc_pause import paused_gc
from service.kit.settings import Settings

_CLIENT_TIMEOUT_S = 600.0


class LiteLLMGateway:
    """Calls models through litellm, without retries or fallbacks: those are the caller's decision."""

    def __init__(
        self,
        cards: ModelCards,
        *,
        region: str,
        endpoint: str | None = None,
        stand_in: str | None = None,
        in_process: InProcessModels | None = None,
        endpoints: Mapping[str, str] | None = None,
        https_only: bool = False,
    ) -> None:
        """Create the gateway without importing litellm (1.5 to 4.5 s); the first call or ``warm_up`` imports it.

        Args:
            cards: the known models and how to call them.
            region: AWS region of Bedrock.
            endpoint: base URL that replaces Bedrock's; dummy credentials are used with it.
            stand_in: name of the model that answers at ``endpoint`` in place of provider models, for answers that do not
                name their model.
            in_process: models that are Python functions, by model id.
            endpoints: addresses of the servers of models on the wire ``litellm``, by model id.
            https_only: refuse to send prompts unencrypted to another machine.
        """
        self._cards = cards
        self._region = region
        self._endpoint = endpoint
        self._stand_in = stand_in
        self._in_process = dict(in_process or {})
        self._litellm: Any = None
        self._unlogged: Any = None
        self._converse: Any = None
        self._formats: LiteLLMFormats | None = None
        self._endpoints, self._https_only = dict(endpoints or {}), https_only
        self._wire: LiteLLMWire | None = None
        self._warming: asyncio.Future[None] | None = None
        self._importing = threading.Lock()

    def warm_up(self, call: ModelCall | None = None) -> None:
        """Import litellm and build its clients, so that the first call does not have to; with ``call`` only what that needs."""
        with self._importing:
            if self._converse is None:
                self._converse = Converse(region=self._region, endpoint=self._endpoint, formats=self._import_formats)
            if call is not None and not self._needs_litellm(call):
                with contextlib.suppress(Exception):  # a real call will raise the same error
                    self._converse.rehearse(call, None)
            elif self._litellm is None:
                imported = self._import()
                self._unlogged = unlogged_class()
                wire = LiteLLMWire(imported, self._unlogged, endpoints=self._endpoints, https_only=self._https_only)
                self._formats = LiteLLMFormats()
                self._rehearse(wire)
                self._wire = wire
                self._litellm = imported

    def _import_formats(self) -> LiteLLMFormats:
        self.warm_up()
        assert self._formats is not None
        return self._formats

    def _needs_litellm(self, call: ModelCall) -> bool:
        return self._cards.get(call.model).wire == "litellm" or not is_plain(call)

    async def _make_ready(self, card: ModelCard, call: ModelCall | None = None) -> None:
        if self._litellm is None and (self._converse is None or call is None or self._needs_litellm(call)):
            await self._warm(call)
        if card.wire == "litellm" and self._wire is not None:
            await self._wire.make_ready(card)

    async def _warm(self, call: ModelCall | None) -> None:
        # In a thread, so that the import (seconds) does not block the event loop; in a single one for all waiting requests,
        # since they would otherwise use up the thread pool.
        if call is not None and not self._needs_litellm(call):
            await asyncio.to_thread(self.warm_up, call)
            return
        if self._warming is None or self._warming.get_loop() is not asyncio.get_running_loop():
            self._warming = asyncio.ensure_future(asyncio.to_thread(self.warm_up))
        try:
            await asyncio.shield(self._warming)
        finally:
            if self._warming is not None and self._warming.done():
                self._warming = None  # a failed import is tried again

    def _import(self) -> Any:
        # Use the bundled cost map; otherwise litellm downloads a newer one at import.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        with paused_gc():
            import boto3  # noqa: F401 - litellm would import it in the first call, and load its tokenizer there too
            import litellm
            import litellm.main

            _ = litellm.main.encoding
        litellm.suppress_debug_info = True
        litellm.telemetry = False
        litellm.drop_params = False
        guard_requests()
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logging.getLogger(name).setLevel(
                logging.CRITICAL
            )  # its errors are raised to us; the log would hold prompts
        # An id that litellm does not know costs it 2 ms of pattern matching in every call.
        unknown = [card for card in self._cards if card.wire == "bedrock" and card.id not in litellm.model_cost]
        litellm.register_model({card.id: _litellm_entry(card) for card in unknown})
        return litellm

    def _rehearse(self, wire: LiteLLMWire) -> None:
        # Moves the lazy initialisation of litellm and botocore (0.1 to 0.4 s) out of the first real call.
        for card in self._cards:
            if card.wire == "bedrock":
                call = ModelCall(
                    model=card.id,
                    messages=(PromptMessage(role="system", content="."), PromptMessage(role="user", content=".")),
                    sampling=Sampling(max_output_tokens=1),
                    timeout_s=1.0,
                )
                with contextlib.suppress(Exception):  # a real call will raise the same error
                    self._converse.rehearse(call, self._formats)
        # In a thread of its own: the caller's may run an event loop.
        providers = {card.id.partition("/")[0]: card for card in self._cards if card.wire == "litellm"}
        for card in providers.values():
            rehearsal = threading.Thread(target=wire.rehearse, args=(card,), name="rehearsal")
            rehearsal.start()
            rehearsal.join()

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        card = self._cards.get(call.model)
        started = time.perf_counter()
        if card.wire == "in_process":
            if call.model not in self._in_process:
                raise RequestRejected(f"model {call.model!r} runs in process, and this process has no code for it")
            answer = self._in_process[call.model](call.document)
            said = Said(output=answer) if isinstance(answer, str) else answer
            elapsed = (time.perf_counter() - started) * 1000
            return ModelReply(
                text=said.output,
                uses=said.uses,
                usage=Usage(),
                stop_reason="tool_use" if said.uses else "end_turn",
                latency_ms=elapsed,
                answered_by=card.short_name,
                origin="code",
            )
        with self._errors(card, call):
            # The timeout includes the import: a request right after the start waits no longer than any other.
            async with asyncio.timeout(call.timeout_s):
                await self._make_ready(card, call)
                started = time.perf_counter()
                if card.wire == "litellm" and self._wire is not None:
                    reply = await self._wire.ask(call, card)
                    return replace(reply, latency_ms=(time.perf_counter() - started) * 1000)
                answer = await self._converse.ask(call, card.short_name)
        return self._reply(call, card, answer.response, answer.headers, (time.perf_counter() - started) * 1000)

    async def stream(self, call: ModelCall, on_text: OnText) -> ModelReply:
        """See ``StreamingModel.stream``; in-process models and structured output do not stream."""
        card = self._cards.get(call.model)
        if card.wire == "in_process" or call.answer_schema is not None:
            return await self.complete(call)
        heard: list[str] = []

        def hear(text: str) -> None:
            heard.append(text)
            on_text(text)

        with self._errors(card, call, heard):
            async with asyncio.timeout(call.timeout_s):
                await self._make_ready(card)
                started = time.perf_counter()
                if card.wire == "litellm" and self._wire is not None:
                    reply = await self._wire.stream(call, card, hear)
                    return replace(reply, latency_ms=(time.perf_counter() - started) * 1000)
                arguments = self._stream_arguments(call)
                stream = await self._litellm.acompletion(
                    client=self._stream_client(), **arguments, **unlogged(self._unlogged, arguments)
                )
                response = await whole_answer(stream, self._litellm.stream_chunk_builder, hear, card.short_name)
        reply = self._reply(call, card, response, headers_of(stream), (time.perf_counter() - started) * 1000)
        return check_streamed_uses(reply, card.short_name)

    @contextlib.contextmanager
    def _errors(self, card: ModelCard, call: ModelCall, heard: Sequence[str] = ()) -> Iterator[None]:
        """Raise what goes wrong in the block as ours; after text was ``heard``, with an estimate of what it costs."""
        try:
            yield
        except TimeoutError as err:
            raise DeadlineExceeded(f"{card.short_name} gave no answer within {call.timeout_s:.1f} s") from err
        except ModelError as err:
            _charge_heard(err, card, call, heard)
            raise  # ours already: raised from itself, it would be its own cause
        except Exception as err:  # litellm raises subclasses of openai's errors and, now and then, bare ones
            failure = self._translated(err, card, call)
            _charge_heard(failure, card, call, heard)
            raise failure from err

    def _translated(self, err: Exception, card: ModelCard, call: ModelCall) -> ModelError:
        if self._litellm is None and (self._converse is None or self._needs_litellm(call)):
            return UpstreamUnavailable(
                f"{card.short_name} cannot be called: importing litellm failed ({type(err).__name__})"
            )
        exceptions = sys.modules.get("litellm.exceptions")  # no attribute of the package where that was imported first
        if card.wire == "litellm":
            return translated_anywhere(err, card, server_of(card, self._endpoints), exceptions)
        return translated(err, card.short_name, exceptions)

    def _reply(
        self, call: ModelCall, card: ModelCard, response: Any, headers: Mapping[str, str], latency_ms: float
    ) -> ModelReply:
        choice = response.choices[0]
        text, uses = choice.message.content or "", uses_of(choice.message)
        metered = is_metered(response.usage, answered=bool(text or uses))
        reply = ModelReply(
            text=text,
            usage=usage_of(response.usage) if metered else usage_from_texts(call, text, uses),
            stop_reason=STOP_REASONS.get(choice.finish_reason, "other"),
            latency_ms=latency_ms,
            answered_by=headers.get(ANSWERED_BY_HEADER)  # our stand-in names its model; Bedrock does not
            or (self._stand_in if card.runs == "provider" else None)
            or card.short_name,
            origin=self._origin(headers),
            metered=metered,
            uses=uses,
        )
        if choice.finish_reason == "content_filter":
            raise charged(SafetyRefused(f"{card.short_name}'s guardrail stopped the answer"), reply)
        return reply

    def _origin(self, headers: Mapping[str, str]) -> AnswerOrigin:
        if ANSWERED_BY_HEADER in headers or self._stand_in is not None:
            return "stand-in"
        return "provider" if self._endpoint is None or is_own_host("bedrock", self._endpoint) else "endpoint"

    def not_taken(self, call: ModelCall) -> tuple[str, ...]:
        """Return the options of ``call`` that its model does not take and that are therefore not sent."""
        card = self._cards.get(call.model)
        return () if self._wire is None or card.wire != "litellm" else self._wire.not_taken(card, call)

    def server_of(self, model: str) -> str | None:
        """Return the address of the server that somebody named for ``model``, or None."""
        card = self._cards.get(model)
        return server_of(card, self._endpoints).url if card.wire == "litellm" else None

    def origins_of(self, model: str) -> frozenset[AnswerOrigin]:
        """Return where an answer of ``model`` can come from, as far as that is known before the call."""
        card = self._cards.get(model)
        if card.wire == "in_process":
            return frozenset({"code"})
        if card.wire == "litellm":
            server = server_of(card, self._endpoints)
            return frozenset({"provider", "endpoint"} if server.is_own else {"endpoint", "stand-in"})
        if self._endpoint is None or is_own_host("bedrock", self._endpoint):
            return frozenset({"provider"} if self._stand_in is None else {"stand-in"})
        return frozenset({"endpoint", "stand-in"} if self._stand_in is None else {"stand-in"})

    def _stream_client(self) -> Any:
        from litellm.llms.custom_httpx.http_handler import get_async_httpx_client

        # litellm keeps one per event loop; without this one it follows redirects, and takes the prompt along.
        params = {"timeout": _CLIENT_TIMEOUT_S, "follow_redirects": False}
        return get_async_httpx_client(llm_provider=self._litellm.LlmProviders.BEDROCK, params=params)

    def _stream_arguments(self, call: ModelCall) -> dict[str, Any]:
        sampling = call.sampling
        arguments: dict[str, Any] = {
            # `bedrock/converse/`, not `bedrock/`: the short form sends some families to InvokeModel.
            "model": f"bedrock/converse/{call.model}",
            "messages": messages_of(call),
            "temperature": sampling.temperature,
            "max_tokens": int(sampling.max_output_tokens),
            "stream": True,
            # Without it litellm drops the token counts of the last frame, and the cost would be zero.
            "stream_options": {"include_usage": True},
            # Constant: litellm keeps one HTTP client per timeout value, so passing the remaining budget would open a new
            # connection for each call. The real limit is the caller's `asyncio.timeout`.
            "timeout": _CLIENT_TIMEOUT_S,
            "model_info": MODEL_INFO,
            "num_retries": 0,
            "max_retries": 0,
            "aws_region_name": self._region,
        }
        if sampling.top_p is not None:
            arguments["top_p"] = sampling.top_p
        if sampling.stop_sequences:
            arguments["stop"] = list(sampling.stop_sequences)
        if call.tools:
            arguments["tools"] = tools_of(call.tools)
        if self._endpoint is not None:
            arguments |= {
                "aws_bedrock_runtime_endpoint": self._endpoint,
                "aws_access_key_id": LOCAL_KEY.id,
                "aws_secret_access_key": LOCAL_KEY.secret,
            }
        return arguments


def _charge_heard(failure: ModelError, card: ModelCard, call: ModelCall, heard: Sequence[str]) -> None:
    if heard and failure.charged_reply is None:
        text = "".join(heard)
        usage = usage_from_texts(call, text, ())
        charged(
            failure,
            ModelReply(
                text=text,
                usage=usage,
                stop_reason="other",
                latency_ms=0.0,
                answered_by=card.short_name,
                metered=False,
            ),
        )


def build_gateway(settings: Settings, cards: ModelCards, in_process: InProcessModels) -> LiteLLMGateway:
    """Return the gateway to the models of the settings' region or endpoint, without contacting them."""
    return LiteLLMGateway(
        cards,
        region=settings.aws.region,
        endpoint=settings.bedrock.endpoint,
        stand_in=_stand_in_of(settings),
        in_process=in_process,
        endpoints=settings.bedrock.model_endpoints,
        https_only=settings.environment == "aws",
    )


def _litellm_entry(card: ModelCard) -> dict[str, Any]:
    prices = card.prices
    return {
        "litellm_provider": "bedrock_converse",
        "mode": "chat",
        "max_input_tokens": card.context_tokens,
        "supports_system_messages": True,
        "supports_function_calling": True,
        "supports_tool_choice": card.runs == "local",  # the stand-in always uses the one tool that it is given
        "input_cost_per_token": float(prices.input) / 1e6 if prices else 0.0,
        "output_cost_per_token": float(prices.output) / 1e6 if prices else 0.0,
    }


def _stand_in_of(settings: Settings) -> str | None:
    """Return the name of the model that answers in place of Bedrock's, or None for Bedrock itself."""
    if settings.bedrock.endpoint is None or settings.environment == "aws":
        return settings.bedrock.stand_in  # in `aws` an endpoint is a VPC endpoint: Bedrock itself
    return settings.bedrock.stand_in or "local-stand-in"
