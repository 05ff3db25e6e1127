"""The gateway with a scripted Converse: messages, usage, ``answered_by``, and the translation of errors."""

import asyncio
from types import SimpleNamespace

import aiohttp
import litellm
import pytest
from botocore.exceptions import NoCredentialsError

from service.core.llm.chat_format import messages_of
from service.core.llm.converse import ConverseAnswer
from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.llm.pricing import Usage
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.frame.errors import (
    DeadlineExceeded,
    QuotaExceeded,
    RequestRejected,
    SafetyRefused,
    UpstreamUnavailable,
)

CARDS = ModelCards(
    [
        ModelCard(id="amazon.x", short_name="xx", wire="bedrock", runs="provider", context_tokens=9),
        ModelCard(id="local.y", short_name="yy", wire="bedrock", runs="local", context_tokens=9),
        ModelCard(id="local.code", short_name="code", wire="in_process", runs="local", context_tokens=9),
    ]
)


def response(text="hi", finish="stop", **usage):
    fields = {"prompt_tokens": 10, "completion_tokens": 2} | usage
    return SimpleNamespace(
        choices=[SimpleNamespace(message=SimpleNamespace(content=text), finish_reason=finish)],
        usage=SimpleNamespace(**fields),
    )


def gateway(step, **options):
    built = LiteLLMGateway(
        CARDS, region="us-east-1", in_process={"local.code": lambda document: f"code says {document}"}, **options
    )
    seen = []

    async def ask(call, model):
        seen.append((call, model))
        if isinstance(step, BaseException):
            raise step
        if step == "hang":
            await asyncio.Event().wait()
        return step if isinstance(step, ConverseAnswer) else ConverseAnswer(response=step, headers={})

    built._litellm, built._converse = litellm, SimpleNamespace(ask=ask)
    return built, seen


def call(model="amazon.x", **changes):
    fields = {
        "messages": (PromptMessage(role="system", content="s"), PromptMessage(role="user", content="u")),
        "sampling": Sampling(max_output_tokens=7, temperature=0.5, top_p=0.9, stop_sequences=("END",)),
        "timeout_s": 3.0,
    }
    return ModelCall(model=model, **fields | changes)


async def test_a_call_is_asked_under_its_models_short_name():
    built, seen = gateway(response(), endpoint="http://127.0.0.1:1")
    await built.complete(call())
    assert seen == [(call(), "xx")]


def test_a_cache_prefix_marks_the_system_message_only():
    assert messages_of(call()) == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    system, user = messages_of(call(cache_prefix=True))
    assert system["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert user["content"] == "u"


async def test_cached_tokens_are_excluded_from_input_tokens():
    built, _ = gateway(response(prompt_tokens=110, cache_read_input_tokens=60, cache_creation_input_tokens=40))
    usage = (await built.complete(call())).usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens) == (
        10,
        60,
        40,
        2,
    )


async def test_the_model_that_the_answer_names_wins_over_the_configured_stand_in():
    answered = ConverseAnswer(response=response(), headers={"x-omni-answered-by": "SmolLM2"})
    built, _ = gateway(answered, stand_in="small model")
    assert (await built.complete(call("amazon.x"))).answered_by == "SmolLM2"


@pytest.mark.parametrize(
    ("finish", "reason"), [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("odd", "other")]
)
async def test_stop_reasons(finish, reason):
    built, _ = gateway(response(finish=finish))
    assert (await built.complete(call())).stop_reason == reason


async def test_the_stand_in_is_reported_for_provider_models_only():
    built, _ = gateway(response(), stand_in="small model")
    assert (await built.complete(call("amazon.x"))).answered_by == "small model"
    assert (await built.complete(call("local.y"))).answered_by == "yy"


async def test_in_process_models_answer_without_litellm():
    built, seen = gateway(RuntimeError("not asked"))
    reply = await built.complete(call("local.code", document="facts"))
    assert (reply.text, reply.answered_by, seen) == ("code says facts", "code", [])


def _error(kind, **more):
    return getattr(litellm.exceptions, kind)(message="m", llm_provider="bedrock", model="x", **more)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (_error("RateLimitError"), QuotaExceeded),
        (_error("Timeout"), DeadlineExceeded),
        (_error("ContextWindowExceededError"), RequestRejected),
        (_error("BadRequestError"), RequestRejected),
        (_error("NotFoundError"), RequestRejected),
        (_error("ServiceUnavailableError"), UpstreamUnavailable),
        (_error("InternalServerError"), UpstreamUnavailable),
        (_error("APIConnectionError"), UpstreamUnavailable),
        (OSError("connection reset"), UpstreamUnavailable),
        (aiohttp.ServerDisconnectedError(), UpstreamUnavailable),
        (NoCredentialsError(), UpstreamUnavailable),
    ],
)
async def test_every_error_becomes_a_model_error_that_quotes_no_prompt(raised, kind):
    built, _ = gateway(raised)
    with pytest.raises(kind) as caught:
        await built.complete(call(messages=(PromptMessage(role="user", content="SECRET TEXT"),)))
    assert "SECRET" not in str(caught.value)


async def test_a_guardrail_stop_raises_safety_refused():
    built, _ = gateway(response(finish="content_filter"))
    with pytest.raises(SafetyRefused) as refused:
        await built.complete(call())
    assert refused.value.charged_reply.usage == Usage(input_tokens=10, output_tokens=2)


async def test_a_hanging_model_ends_at_the_timeout():
    built, _ = gateway("hang")
    with pytest.raises(DeadlineExceeded, match="no answer within"):
        await built.complete(call(timeout_s=0.01))


AWS_ENDPOINT = "https://vpce-1-a.bedrock-runtime.us-east-1.vpce.amazonaws.com"


@pytest.mark.parametrize(
    ("options", "headers", "origin"),
    [
        ({}, {}, "provider"),
        ({"endpoint": AWS_ENDPOINT}, {}, "provider"),
        ({"endpoint": "http://amazonaws.com.example"}, {}, "endpoint"),
        ({"endpoint": "https://127.0.0.1:1/.amazonaws.com"}, {}, "endpoint"),
        ({"endpoint": "http://127.0.0.1:1"}, {"x-omni-answered-by": "echo"}, "stand-in"),
        ({"endpoint": "http://127.0.0.1:1", "stand_in": "mine"}, {}, "stand-in"),
    ],
)
async def test_an_answer_states_its_origin(options, headers, origin):
    built, _ = gateway(ConverseAnswer(response=response(), headers=headers), **options)
    assert (await built.complete(call())).origin == origin
    assert origin in built.origins_of("amazon.x")


async def test_codes_answer_has_the_origin_code():
    built, _ = gateway(response())
    assert (await built.complete(call("local.code", document=1))).origin == "code"
    assert built.origins_of("local.code") == {"code"}
