"""Our way to Bedrock's Converse against litellm's own: the same on the wire, the same answer, the same errors."""

import asyncio
import gc
import json
import re
import subprocess
import sys
import warnings
from types import SimpleNamespace

import litellm
import pytest
from aiohttp import web
from litellm.llms.bedrock.base_aws_llm import BaseAWSLLM

from service.core.llm.chat_format import usage_of
from service.core.llm.converse import Converse
from service.core.llm.failures import translated
from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.llm.plain_call import plain_answer, plain_content, runtime_endpoint
from service.core.unit.cards import ModelCards
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.aws.clients import AwsKey
from service.kit.frame.errors import ModelError, QuotaExceeded, UpstreamUnavailable
from service.kit.settings import REPO_ROOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
REGION = "eu-west-1"
NOVA, CLAUDE = "amazon.nova-lite-v1:0", "anthropic.claude-3-5-haiku-20241022-v1:0"
CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


def said(*content, stop="end_turn", **usage):
    return {
        "output": {"message": {"role": "assistant", "content": list(content) or [{"text": "Paid."}]}},
        "stopReason": stop,
        "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10} | usage,
        "metrics": {"latencyMs": 1},
    }


class Bedrock:
    """Answers each request with the next of ``answers``: a body, (status, body) or "drop"; remembers what it was asked."""

    def __init__(self):
        self.seen, self.answers, self.packed = [], [], False

    async def __call__(self, request):
        self.seen.append(
            SimpleNamespace(path=request.raw_path, headers=request.headers, body=json.loads(await request.read()))
        )
        answer = self.answers.pop(0) if self.answers else said()
        if answer == "drop":
            request.transport.close()
            return web.Response()
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        headers = {"x-omni-answered-by": "echo", "x-amzn-errortype": body.get("__type", "")}
        response = web.json_response(body, status=status, headers=headers)
        if self.packed:
            response.enable_compression(web.ContentCoding.gzip)
        return response


@pytest.fixture
async def bedrock():
    plan = Bedrock()
    runner = web.AppRunner(_app(plan))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    plan.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield plan
    await runner.cleanup()


def _app(plan):
    app = web.Application()
    app.router.add_post("/{tail:.*}", plan)
    return app


def call(model=NOVA, **changes):
    fields = {
        "messages": (
            PromptMessage(role="system", content="Summarise. " * 30),
            PromptMessage(role="user", content="He paid."),
        ),
        "sampling": Sampling(max_output_tokens=70, temperature=0.5),
        "timeout_s": 5.0,
    }
    return ModelCall(model=model, **fields | changes)


CALLS = {
    "plain": call(),
    "all sampling": call(sampling=Sampling(max_output_tokens=9, temperature=0.1, top_p=0.9, stop_sequences=("END",))),
    "cache point": call(CLAUDE, cache_prefix=True),
    "structured": call(CLAUDE, answer_schema=SCHEMA),
    "structured at Nova": call(answer_schema=SCHEMA),
    "a turn to repair": call(
        messages=(
            PromptMessage(role="user", content="Summarise."),
            PromptMessage(role="assistant", content="He paid $5."),
            PromptMessage(role="user", content="Once more without the amount."),
        )
    ),
}


async def by_litellm(gateway, asked):
    """The same call through ``acompletion``, with the arguments that a stream has."""
    arguments = {
        name: value
        for name, value in gateway._stream_arguments(asked).items()
        if name not in ("stream", "stream_options")
    }
    if asked.answer_schema is not None:
        schema = {"name": "answer", "schema": dict(asked.answer_schema), "strict": True}
        arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
    return await litellm.acompletion(**arguments)


@pytest.fixture
def gateway(bedrock):
    made = LiteLLMGateway(CARDS, region=REGION, endpoint=bedrock.url)
    made.warm_up()
    return made


@pytest.mark.parametrize("name", CALLS)
async def test_the_same_goes_over_the_wire_and_the_same_comes_back(bedrock, gateway, name):
    asked = CALLS[name]
    tool = {"toolUse": {"toolUseId": "t", "name": "json_tool_call", "input": {"score": 3}}}
    answer = said(tool, stop="tool_use") if asked.answer_schema else said(cacheReadInputTokens=40)
    bedrock.answers += [answer, answer]
    theirs = await by_litellm(gateway, asked)
    ours = await gateway.complete(asked)
    litellm_sent, we_sent = bedrock.seen
    assert we_sent.path == litellm_sent.path
    assert we_sent.body == litellm_sent.body
    signed = re.compile(r"Credential=local/\d{8}/eu-west-1/bedrock/aws4_request, SignedHeaders=[a-z;-]+, Signature=")
    assert signed.search(we_sent.headers["Authorization"])
    assert ours.text == theirs.choices[0].message.content
    assert ours.usage.output_tokens == theirs.usage.completion_tokens
    assert ours.usage.prompt_tokens == theirs.usage.prompt_tokens
    assert ours.stop_reason == ("end_turn" if theirs.choices[0].finish_reason == "stop" else "other")
    assert ours.answered_by == "echo"


async def test_a_packed_answer_is_read(bedrock, gateway):
    bedrock.packed = True
    assert (await gateway.complete(call())).text == "Paid."
    bedrock.answers.append((429, {"__type": "ThrottlingException", "message": "Too many requests"}))
    with pytest.raises(QuotaExceeded):
        await gateway.complete(call())


@pytest.mark.parametrize("name", ["plain", "structured"])
async def test_a_call_is_the_same_each_time(bedrock, gateway, name):
    tool = {"toolUse": {"toolUseId": "t", "name": "json_tool_call", "input": {"score": 3}}}
    bedrock.answers += [said(tool, stop="tool_use")] * 3 if name == "structured" else []
    replies = [await gateway.complete(CALLS[name]) for _ in range(3)]
    first, second, third = bedrock.seen
    assert first.body == second.body == third.body
    assert len({(reply.text, reply.stop_reason) for reply in replies}) == 1


async def test_warming_up_makes_each_models_call_and_sends_none(bedrock, gateway):
    over_the_wire = [card for card in CARDS if card.wire == "bedrock"]
    assert gateway._formats.options.cache_info().currsize == len(over_the_wire) > 1
    assert bedrock.seen == []


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (429, "ThrottlingException", "Too many requests"),
        (400, "ValidationException", "Input is too long for requested model."),
        (400, "ValidationException", "Malformed input request"),
        (403, "AccessDeniedException", "You don't have access to the model"),
        (404, "ResourceNotFoundException", "Could not resolve the foundation model"),
        (408, "ModelTimeoutException", "Model has timed out"),
        (424, "ModelErrorException", "The model failed"),
        (500, "InternalServerException", "unexpected error"),
        (503, "ServiceUnavailableException", "unable to process"),
        (503, "ThrottlingException", "ThrottlingException: slow down"),
    ],
)
@pytest.mark.parametrize("name", ["plain", "cache point"])
async def test_a_refusal_is_the_same_error(bedrock, gateway, name, status, kind, message):
    bedrock.answers += [(status, {"__type": kind, "message": message})] * 2
    with pytest.raises(Exception) as theirs:
        await by_litellm(gateway, CALLS[name])
    with pytest.raises(ModelError) as ours:
        await gateway.complete(CALLS[name])
    same = translated(theirs.value, CARDS.get(CALLS[name].model).short_name, litellm.exceptions)
    assert (type(ours.value), str(ours.value)) == (type(same), str(same))
    assert len(bedrock.seen) == 2  # nobody repeats by itself


def spoken(*roles_and_texts):
    return tuple(PromptMessage(role=role, content=text) for role, text in roles_and_texts)


@pytest.mark.parametrize(
    ("plain", "messages"),
    [
        (True, spoken(("user", "U"))),
        (True, spoken(("system", "S"), ("system", "T"), ("user", "U"))),
        (True, spoken(("user", "U"), ("assistant", "A"), ("user", "V"), ("assistant", "B "))),
        (False, spoken(("assistant", "A"), ("user", "U"))),
        (False, spoken(("user", "U"), ("user", "V"))),
        (False, spoken(("user", "U"), ("system", "S"))),
        (False, spoken(("system", " "), ("user", "U"))),
        (False, spoken(("system", "S"), ("user", ""))),
    ],
)
@pytest.mark.parametrize("card", [card.id for card in CARDS if card.wire == "bedrock"])
def test_a_plain_request_is_litellms(gateway, plain, messages, card):
    asked = call(card, messages=messages, sampling=Sampling(max_output_tokens=9, temperature=0, stop_sequences=("E",)))
    ours = plain_content(asked)
    assert (ours is not None) == plain
    assert ours is None or json.dumps(ours) == json.dumps(gateway._formats.content(asked))


@pytest.mark.parametrize(
    ("plain", "answer"),
    [
        (True, said({"text": "Paid"}, {"text": " late."})),
        (True, said(stop="max_tokens", cacheReadInputTokens=4, cacheWriteInputTokens=2)),
        (True, said(stop="stop_sequence", outputTokens=0)),
        (True, said(stop="guardrail_intervened")),
        (True, said(stop="content_filtered")),
        (False, said({"text": "<think>so</think>Paid."})),
        (False, said({"reasoningContent": {"reasoningText": {"text": "so"}}}, {"text": "Paid."})),
        (False, said(stop="something new")),
    ],
)
def test_a_plain_answer_is_read_as_litellm_reads_it(gateway, plain, answer):
    content = json.dumps(answer).encode()
    ours = plain_answer(content)
    assert (ours is not None) == plain
    theirs = gateway._formats.answer(call(), {}, content)
    if ours is not None:
        (mine,), (its,) = ours.choices, theirs.choices
        assert (mine.message.content, mine.finish_reason) == (its.message.content, its.finish_reason)
        assert usage_of(ours.usage) == usage_of(theirs.usage)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output": null}', json.dumps(said(inputTokens="7")).encode()])
def test_an_answer_that_makes_no_sense_is_left_to_litellm(body):
    assert plain_answer(body) is None


@pytest.mark.parametrize(
    "region", ["eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-x"]
)
@pytest.mark.parametrize("named", [None, "http://here"])
def test_the_endpoint_is_litellms(monkeypatch, region, named):
    for variable in (None, "http://there"):
        if variable:
            monkeypatch.setenv("AWS_BEDROCK_RUNTIME_ENDPOINT", variable)
        theirs, _ = BaseAWSLLM().get_runtime_endpoint(
            api_base=None, aws_bedrock_runtime_endpoint=named, aws_region_name=region
        )
        assert runtime_endpoint(region, named) == theirs


async def test_a_plain_call_imports_no_litellm(bedrock):
    code = (
        "import asyncio, sys\n"
        "from service.core.unit.cards import ModelCards\n"
        "from service.core.llm.gateway import LiteLLMGateway\n"
        "from service.core.llm.model_call import ModelCall\n"
        "from service.core.unit.pair import PromptMessage, Sampling\n"
        "from service.kit.settings import REPO_ROOT\n"
        "cards = ModelCards.load(REPO_ROOT / 'prompts' / 'models.yaml')\n"
        "made = LiteLLMGateway(cards, region='eu-west-1', endpoint=sys.argv[1])\n"
        "said = dict(messages=(PromptMessage(role='user', content='U'),), timeout_s=60.0)\n"
        "said['sampling'] = Sampling(max_output_tokens=9)\n"
        f"asked = ModelCall(model={NOVA!r}, **said)\n"
        "print(asyncio.run(made.complete(asked)).text, 'litellm' in sys.modules)"
    )
    command = [sys.executable, "-c", code, bedrock.url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["Paid.", "False"], done.stderr


async def test_a_kept_connection_that_was_closed_meanwhile_costs_no_answer(bedrock, gateway):
    bedrock.answers += [said(), "drop", said({"text": "after"})]
    await gateway.complete(call())
    assert (await gateway.complete(call())).text == "after"
    assert len(bedrock.seen) == 3


async def test_a_connection_that_drops_twice_is_an_error(bedrock, gateway):
    bedrock.answers += ["drop", "drop", said()]
    with pytest.raises(UpstreamUnavailable, match="ServerDisconnected"):
        await gateway.complete(call())
    assert len(bedrock.seen) == 2


async def test_one_connection_serves_one_call_after_the_other(bedrock, gateway):
    session = await gateway._converse._session()
    for _ in range(3):
        await gateway.complete(call())
    assert await gateway._converse._session() is session
    assert sum(len(pool) for pool in session.connector._conns.values()) == 1


async def test_an_invalid_answer_is_the_same_error(bedrock, gateway):
    bedrock.answers += [{"message": "what?"}] * 2
    with pytest.raises(litellm.APIConnectionError):
        await by_litellm(gateway, call())
    with pytest.raises(UpstreamUnavailable, match="KeyError"):
        await gateway.complete(call())


def _of_bedrock(monkeypatch, url):
    # Bedrock itself, moved: no stand-in's key, and signed or not as at AWS.
    monkeypatch.setenv("AWS_BEDROCK_RUNTIME_ENDPOINT", url)
    return Converse(region=REGION, endpoint=None)


async def test_a_temporary_key_is_signed_with_its_token(bedrock, monkeypatch):
    for name, value in (("ACCESS_KEY_ID", "AKIAX"), ("SECRET_ACCESS_KEY", "s"), ("SESSION_TOKEN", "tok")):
        monkeypatch.setenv(f"AWS_{name}", value)
    await _of_bedrock(monkeypatch, bedrock.url).ask(call(), "it")
    headers = bedrock.seen[0].headers
    assert "Credential=AKIAX/" in headers["Authorization"]
    assert "x-amz-security-token" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "tok"


async def test_the_signature_is_botocores_for_what_is_on_the_wire(bedrock, monkeypatch):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    converse = _of_bedrock(monkeypatch, bedrock.url)
    monkeypatch.setattr(converse._key, "_find", lambda: AwsKey("AKIAX", "s"))
    sent = []
    post = converse._post

    async def noted(request, headers):
        sent.append(request.body)
        return await post(request, headers)

    monkeypatch.setattr(converse, "_post", noted)
    await converse.ask(call(), "it")
    seen = bedrock.seen[0]
    signed = re.search("SignedHeaders=([a-z;-]+)", seen.headers["Authorization"])[1].split(";")
    again = AWSRequest(
        method="POST",
        url=f"{bedrock.url}{seen.path}",
        data=sent[0],
        headers={name: seen.headers[name] for name in signed if name != "host"},
    )
    again.context["timestamp"] = seen.headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials("AKIAX", "s"), "bedrock", REGION)
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert seen.headers["Authorization"].endswith(f"Signature={signature}")


async def test_an_api_key_goes_in_place_of_a_signature(bedrock, monkeypatch):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "abc")
    await _of_bedrock(monkeypatch, bedrock.url).ask(call(), "it")
    assert bedrock.seen[0].headers["Authorization"] == "Bearer abc"
    await Converse(region=REGION, endpoint=bedrock.url).ask(call(), "it")
    assert "Credential=local/" in bedrock.seen[1].headers["Authorization"]  # a stand-in gets nobody's key


async def test_a_missing_key_is_reported_before_anything_is_sent(bedrock, monkeypatch):
    from botocore.exceptions import NoCredentialsError

    converse = _of_bedrock(monkeypatch, bedrock.url)
    monkeypatch.setattr(converse._key, "_find", lambda: None)
    with pytest.raises(NoCredentialsError):
        await converse.ask(call(), "it")
    assert bedrock.seen == []


def test_every_event_loop_has_its_connections_and_leaves_none_open(caplog):
    converse = None

    async def once():
        plan = Bedrock()
        runner = web.AppRunner(_app(plan))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        nonlocal converse
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        if converse is None:
            converse = Converse(region=REGION, endpoint=url)
        converse._endpoint = url
        await converse.ask(call(), "it")
        session = await converse._session()
        await runner.cleanup()
        return session

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        first, second = asyncio.run(once()), asyncio.run(once())
        gc.collect()
    assert first is not second
    assert first.closed
    assert second.closed
    assert converse._sessions == {} == converse._holders
    assert "Unclosed" not in caplog.text


async def test_the_environments_proxy_is_gone_through_to_bedrock_and_not_to_a_stand_in(bedrock, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAX")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("http_proxy", bedrock.url)
    monkeypatch.setenv("no_proxy", "")
    await _of_bedrock(monkeypatch, "http://bedrock.invalid").ask(call(), "it")
    assert bedrock.seen[0].path.startswith("http://bedrock.invalid/model/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    await Converse(region=REGION, endpoint=bedrock.url).ask(call(), "it")
    assert bedrock.seen[1].path.startswith("/model/")
