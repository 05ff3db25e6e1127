"""Calls every model that litellm knows, except Bedrock's: OpenAI, Anthropic, Azure, Gemini, Ollama, vLLM and others."""

import asyncio
import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.core.llm.chat_format import (
    ANSWERED_BY_HEADER,
    STOP_REASONS,
    answer_format,
    check_streamed_uses,
    headers_of,
    is_metered,
    messages_of,
    tools_of,
    usage_from_texts,
    usage_of,
    uses_of,
)
from service.core.llm.failures import charged
from service.core.llm.litellm_bookkeeping import unlogged
from service.core.llm.litellm_clients import close_with_loop, sending_nothing
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.servers import ModelServer, is_plain, server_of, server_variables
from service.core.llm.stream_tap import whole_answer
from service.core.llm.streaming import OnText
from service.core.unit.cards import ModelCard
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.frame.errors import ModelUnusable, SafetyRefused, UpstreamUnavailable

_CLIENT_TIMEOUT_S = 600.0
# Providers to which litellm passes the mark of a cacheable prefix; others cache by themselves, or not at all.
_MARKS_PREFIXES = frozenset({"anthropic"})
_ANY_NAME = frozenset({"azure", "azure_ai"})  # a deployment is named freely, so its name says nothing about the model


class LiteLLMWire:
    """A client of all these providers. litellm keeps the connections."""

    def __init__(
        self, imported: Any, logging_class: type[Any], *, endpoints: Mapping[str, str], https_only: bool
    ) -> None:
        """Use ``imported`` litellm; ``endpoints`` are server addresses by model id.

        With ``https_only`` no prompt travels unencrypted to another machine.
        """
        self._litellm = imported
        self._logging_class = logging_class
        self._endpoints = endpoints
        self._https_only = https_only
        self._keys: dict[str, dict[str, str]] = {}
        self._takes_tools: dict[str, bool] = {}
        self._rehearsed: set[str] = set()  # providers
        self._rehearsing: dict[tuple[str, asyncio.AbstractEventLoop], asyncio.Future[None]] = {}

    async def make_ready(self, card: ModelCard) -> None:
        """Do in a thread, once per provider, what a provider's first call does besides sending: imports of up to 0.3 s."""
        provider = card.id.partition("/")[0]
        if provider in self._rehearsed:
            return
        key = (provider, asyncio.get_running_loop())
        # One thread for all calls that wait; a cancelled call leaves it to the others.
        rehearsing = self._rehearsing.get(key) or asyncio.ensure_future(asyncio.to_thread(self.rehearse, card))
        self._rehearsing[key] = rehearsing
        rehearsing.add_done_callback(lambda _: self._rehearsing.pop(key, None))
        await asyncio.shield(rehearsing)

    def rehearse(self, card: ModelCard) -> None:
        """Do what a call and a stream do before they send. The calling thread must not run an event loop."""
        import openai.resources  # noqa: F401 - openai's client, which litellm uses for many providers, imports it in its first call

        with contextlib.suppress(Exception):  # a real call will raise the same error
            asyncio.run(self._rehearse(card))
        self._rehearsed.add(card.id.partition("/")[0])

    async def _rehearse(self, card: ModelCard) -> None:
        call = ModelCall(
            model=card.id,
            messages=(PromptMessage(role="system", content="."), PromptMessage(role="user", content=".")),
            sampling=Sampling(max_output_tokens=1),
            timeout_s=1.0,
        )
        arguments = self._arguments(call, card, self._usable(card))
        await close_with_loop(self._litellm)
        for more in ({}, {"stream": True, "stream_options": {"include_usage": True}}):
            bookkeeping = unlogged(self._logging_class, arguments | more, _send_nothing)
            with contextlib.suppress(Exception), sending_nothing():
                await self._litellm.acompletion(**arguments, **more, **bookkeeping)

    async def ask(self, call: ModelCall, card: ModelCard) -> ModelReply:
        """Return the reply to ``call``; its ``latency_ms`` is left to the caller, who also sets the timeout.

        Raises:
            ModelError: no key, no server, or an answer that cannot be used.
            Exception: litellm's own, when the call fails.
        """
        server = self._usable_for(call, card)
        arguments = self._arguments(call, card, server)
        bookkeeping = unlogged(self._logging_class, arguments, self._check_way if self._https_only else None)
        await close_with_loop(self._litellm)
        response = await self._litellm.acompletion(**arguments, **bookkeeping)
        sent_to = bookkeeping["litellm_logging_obj"].sent_to
        return self._reply(call, card, server, response, headers_of(response), sent_to)

    async def stream(self, call: ModelCall, card: ModelCard, on_text: OnText) -> ModelReply:
        """Answer as ``ask`` does, and call ``on_text`` with each piece of the text as it arrives."""
        server = self._usable_for(call, card)
        arguments = self._arguments(call, card, server) | {"stream": True, "stream_options": {"include_usage": True}}
        bookkeeping = unlogged(self._logging_class, arguments, self._check_way if self._https_only else None)
        await close_with_loop(self._litellm)
        stream = await self._litellm.acompletion(**arguments, **bookkeeping)
        response = await whole_answer(stream, self._litellm.stream_chunk_builder, on_text, card.short_name)
        sent_to = bookkeeping["litellm_logging_obj"].sent_to
        reply = self._reply(call, card, server, response, headers_of(stream), sent_to)
        return check_streamed_uses(reply, card.short_name)

    def not_taken(self, card: ModelCard, call: ModelCall) -> tuple[str, ...]:
        """Return the options of ``call`` that the model does not take, so that they are not sent: "temperature"."""
        from litellm.exceptions import UnsupportedParamsError

        _, provider, _, _ = self._litellm.get_llm_provider(card.id)
        given = self._options(call)
        left_out = []
        for name, value in given.items():
            try:
                self._litellm.utils.get_optional_params(
                    model=card.id.partition("/")[2], custom_llm_provider=provider, **{name: value}
                )
            except UnsupportedParamsError:
                left_out.append(name)
        return tuple(left_out)

    def _usable_for(self, call: ModelCall, card: ModelCard) -> ModelServer:
        server = self._usable(card)
        if call.tools and card.id not in self._takes_tools:  # asked once: it takes litellm up to 0.5 ms
            self._takes_tools[card.id] = "tools" not in self.not_taken(card, call)
        if call.tools and not self._takes_tools[card.id]:
            raise ModelUnusable(f"{card.id} takes no tools; name a model that does, or a pair without tools")
        return server

    def _usable(self, card: ModelCard) -> ModelServer:
        server = server_of(card, self._endpoints)
        if server.missing:
            names = " or ".join(server_variables(server.provider))
            raise ModelUnusable(
                f"{card.id}: nobody named the server that runs it; pass --api-base URL, or set {names}, "
                "OMNI_MODEL_ENDPOINTS, or api_base on its card"
            )
        if server.would_get_credentials:
            raise ModelUnusable(
                f"{card.id}: only its card names the server, which would get the account's credentials; name it in "
                "OMNI_MODEL_ENDPOINTS too"
            )
        if self._https_only and server.plain:
            raise ModelUnusable(f"{card.id}: in `aws` prompts travel over https only; its server is named with http")
        if card.id not in self._keys:
            self._keys[card.id] = self._key_arguments(card, server)
        return server

    def _check_way(self, sent_to: str) -> None:
        # litellm finds some addresses by itself, so the server that we know of is not all.
        if is_plain(sent_to):
            raise ModelUnusable(
                "in `aws` prompts travel over https only; a variable of litellm's names a server with http"
            )

    def _key_arguments(self, card: ModelCard, server: ModelServer) -> dict[str, str]:
        if not server.takes_keys:
            return {"api_key": "none"}
        found = self._litellm.validate_environment(card.id)
        missing = [name for name in found["missing_keys"] if not name.endswith(("_BASE", "_BASE_URL"))]
        if found["keys_in_environment"] or not missing:
            return {}
        if not server.is_own:
            return {"api_key": "none"}  # a server of one's own mostly wants no key, but the client libraries do
        joined = " or " if server.provider == "gemini" else ", "
        raise ModelUnusable(f"{card.id}: no key to ask {server.provider} with; set {joined.join(missing)}")

    def _arguments(self, call: ModelCall, card: ModelCard, server: ModelServer) -> dict[str, Any]:
        marked = call.cache_prefix and server.provider in _MARKS_PREFIXES
        arguments: dict[str, Any] = {
            "model": card.id,
            "messages": messages_of(replace(call, cache_prefix=marked)),
            **self._options(call),
            # What a model does not take is left out; `omni models check` names it.
            "drop_params": True,
            # Constant: litellm keeps one HTTP client per timeout value. The real limit is the caller's.
            "timeout": _CLIENT_TIMEOUT_S,
            "num_retries": 0,
            "max_retries": 0,
            **self._keys[card.id],
        }
        if server.url is not None:
            arguments["api_base"] = server.url
        return arguments

    def _options(self, call: ModelCall) -> dict[str, Any]:
        sampling = call.sampling
        options: dict[str, Any] = {
            "temperature": sampling.temperature,
            "max_tokens": int(sampling.max_output_tokens),
        }
        if sampling.top_p is not None:
            options["top_p"] = sampling.top_p
        if sampling.stop_sequences:
            options["stop"] = list(sampling.stop_sequences)
        if call.answer_schema is not None:
            options["response_format"] = answer_format(dict(call.answer_schema))
        if call.tools:
            options["tools"] = tools_of(call.tools)
        return options

    def _reply(
        self,
        call: ModelCall,
        card: ModelCard,
        server: ModelServer,
        response: Any,
        headers: Mapping[str, str],
        sent_to: str,
    ) -> ModelReply:
        if not response.choices:
            raise UpstreamUnavailable(f"{card.short_name} answered 200 without an answer; try again later")
        choice = response.choices[0]
        text, uses = choice.message.content or "", uses_of(choice.message)
        said = str(response.model or "")
        stand_in = headers.get(ANSWERED_BY_HEADER)
        metered = is_metered(response.usage, answered=bool(text or uses))
        reply = ModelReply(
            text=text,
            usage=usage_of(response.usage) if metered else usage_from_texts(call, text, uses),
            stop_reason=STOP_REASONS.get(choice.finish_reason, "other"),
            latency_ms=0.0,
            answered_by=stand_in or bare_name(said) or card.short_name,
            origin="stand-in" if stand_in else server.origin(sent_to),
            metered=metered,
            uses=uses,
        )
        if choice.finish_reason == "content_filter" or _refusal(choice.message):
            raise charged(SafetyRefused(f"{card.short_name} refused to answer"), reply)
        if (
            said
            and server.provider not in _ANY_NAME
            and not same_family(card.answers_as or card.id, said, own_service=server.is_own)
        ):
            raise charged(
                ModelUnusable(
                    f"asked for {card.id}, but {bare_name(said)!r} answered; ask for that model by its name, or, if it is "
                    f"the same model, give its card in prompts/models.yaml the line answers_as: {bare_name(said)}"
                ),
                reply,
            )
        return reply


def _send_nothing(sent_to: str) -> None:
    raise RuntimeError("a rehearsal sends nothing")


def _refusal(message: Any) -> bool:
    fields = getattr(message, "provider_specific_fields", None) or {}
    return bool(getattr(message, "refusal", None) or fields.get("refusal"))


# A date, a revision or a channel, as providers append them: gpt-4o-mini-2024-07-18, gemini-2.0-flash-001, llama3.2:latest.
_REVISION = re.compile(
    r"(?:[-@:](?:\d{3,8}(?:-\d{2}){0,2}|\d{2}-\d{2}|v\d+(?::\d+)?|latest|preview|exp|beta|fast|free))*", re.IGNORECASE
)
_NO_LETTERS = re.compile(r"[^a-z0-9]")


def bare_name(name: str) -> str:
    """Return a model's name without provider, folders and file ending: ``openrouter/openai/gpt-4o`` is ``gpt-4o``."""
    return re.split(r"[/\\]", name)[-1].removesuffix(".gguf")


def same_family(asked: str, said: str, *, own_service: bool) -> bool:
    """Return whether ``said`` may be the model ``asked``.

    At a provider's ``own_service`` the name may only have a date, revision or channel more. A server of one's own often gives
    itself a longer name (``smollm2`` answers as ``SmolLM2-135M-Instruct.Q4_1``); there the beginning decides.
    """
    wanted, found = bare_name(asked).lower(), bare_name(said).lower()
    for channel in ("-latest", ":latest"):
        wanted, found = wanted.removesuffix(channel), found.removesuffix(channel)
    if found.startswith(wanted) and _REVISION.fullmatch(found[len(wanted) :]):
        return True
    return not own_service and _NO_LETTERS.sub("", found).startswith(_NO_LETTERS.sub("", wanted))
