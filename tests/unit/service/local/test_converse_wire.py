"""The Converse wire format against botocore's own decoder, and Bedrock's cache accounting. No sockets."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
from botocore.eventstream import EventStreamBuffer

from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT
from service.local import converse_answers
from service.local.converse_answers import WireUsage, converse_body
from service.local.converse_wire import (
    AnswerForm,
    BedrockError,
    ConverseRequest,
    ErrorKind,
    WireStopReason,
    WireTurn,
    parse_request,
)
from service.local.engines import Catalogue, Delta, Done, EchoEngine, Latency
from service.local.prompt_cache import TTL_S, PrefixCache, cache_minimum
from service.local.samples import sample_histories

NOVA = "amazon.nova-lite-v1:0"
HAIKU = "anthropic.claude-3-5-haiku-20241022-v1:0"
POINT = {"cachePoint": {"type": "default"}}


def request_body(**changes: object) -> bytes:
    body: dict[str, object] = {"messages": [{"role": "user", "content": [{"text": "Hello there"}]}]}
    return json.dumps(body | changes).encode()


def prefixed(words: int, *, tail: str = "ask", model_id: str = NOVA) -> ConverseRequest:
    system = [{"text": " ".join(["word"] * words)}, POINT]
    return parse_request(
        model_id, request_body(system=system, messages=[{"role": "user", "content": [{"text": tail}]}])
    )


def test_turns_keep_order_roles_and_block_boundaries() -> None:
    body = request_body(
        system=[{"text": "Be brief."}, POINT, {"text": "Be kind."}],
        messages=[
            {"role": "user", "content": [{"text": "One"}, POINT, {"text": "Two"}]},
            {"role": "assistant", "content": [{"text": "Three"}]},
            {"role": "user", "content": [{"text": "Four"}]},
        ],
        inferenceConfig={"maxTokens": 7, "temperature": 0.5, "topP": 1, "stopSequences": ["END"]},
    )
    request = parse_request(NOVA, body)
    assert request.turns == (
        WireTurn(role="system", text="Be brief.\nBe kind."),
        WireTurn(role="user", text="One\nTwo"),
        WireTurn(role="assistant", text="Three"),
        WireTurn(role="user", text="Four"),
    )
    assert request.last_user_text == "Four"
    assert (request.max_tokens, request.temperature, request.top_p) == (7, 0.5, 1.0)
    assert request.stop_sequences == ("END",)
    assert [prefix.text for prefix in request.prefixes] == ["Be brief.", "Be brief.\nBe kind.\nOne"]


@pytest.mark.parametrize("first_words", [1, 2])
def test_a_prefix_digest_ignores_what_follows_and_sees_every_boundary(first_words: int) -> None:
    assert prefixed(5, tail="a").prefixes == prefixed(5, tail="b").prefixes
    words = ["x", "y", "z"]
    split = [{"text": " ".join(words[:first_words])}, {"text": " ".join(words[first_words:])}, POINT]
    joined = [{"text": "x y z"}, POINT]
    assert parse_request(NOVA, request_body(system=split)).prefixes != (
        parse_request(NOVA, request_body(system=joined)).prefixes
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not json", "not valid JSON"),
        (b"\xff\xfe\xfa", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "messages must be a JSON array"),
        (request_body(messages=[]), "at least one user message"),
        (request_body(messages=[{"role": "assistant", "content": [{"text": "x"}]}]), "must start with a user message"),
        (request_body(messages=[{"role": "tool", "content": [{"text": "x"}]}]), "messages.0.role"),
        (request_body(messages=[{"role": "user", "content": [{"text": "  "}]}]), "messages.0.content.0 is blank"),
        (request_body(messages=[{"role": "user", "content": [{"image": {}}]}]), "text, tools and cachePoint only"),
        (request_body(messages=[{"role": "user", "content": "x"}]), "messages.0.content must be a JSON array"),
        (request_body(inferenceConfig={"maxTokens": 0}), "inferenceConfig.maxTokens"),
        (request_body(inferenceConfig={"maxTokens": True}), "inferenceConfig.maxTokens"),
        (request_body(inferenceConfig={"temperature": 1.5}), "inferenceConfig.temperature"),
        (request_body(inferenceConfig={"topP": "x"}), "inferenceConfig.topP"),
        (request_body(inferenceConfig={"stopSequences": [""]}), "inferenceConfig.stopSequences"),
        (request_body(guardrailConfig={"guardrailIdentifier": "g"}), "guardrailConfig is not supported"),
        (request_body(toolConfig={"tools": []}), "toolConfig.tools holds 0 tools"),
        (request_body(toolConfig={"tools": [{"toolSpec": {"inputSchema": {"json": {}}}}]}), "toolSpec.name must be"),
        (request_body(toolConfig={"tools": [{"toolSpec": {"name": "t"}}]}), "toolSpec.inputSchema must be"),
        (
            request_body(outputConfig={"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}),
            "schema is not valid JSON",
        ),
    ],
)
def test_a_bad_request_is_a_validation_exception_that_says_where(body: bytes, says: str) -> None:
    with pytest.raises(BedrockError, match=says) as caught:
        parse_request(NOVA, body)
    assert (caught.value.kind, caught.value.status) == (ErrorKind.VALIDATION, 400)


def decode(frames: bytes) -> list[tuple[dict[str, str], dict[str, object]]]:
    buffer = EventStreamBuffer()
    buffer.add_data(frames)
    return [(message.headers, json.loads(message.payload)) for message in buffer]


def test_botocore_reads_the_stream_frames() -> None:
    usage = WireUsage(input_tokens=5, output_tokens=2, cache_read_tokens=30, cache_write_tokens=4)
    frames = (
        converse_answers.stream_start()
        + converse_answers.stream_delta("Grüße ✓")
        + converse_answers.stream_stop(0)
        + converse_answers.stream_end(WireStopReason.MAX_TOKENS, usage, 12, "echo")
    )
    events = decode(frames)
    assert [headers[":event-type"] for headers, _ in events] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert {headers[":message-type"] for headers, _ in events} == {"event"}
    assert events[1][1] == {"contentBlockIndex": 0, "delta": {"text": "Grüße ✓"}}
    assert events[3][1] == {"stopReason": "max_tokens", "additionalModelResponseFields": {"answered_by": "echo"}}
    assert events[4][1]["usage"] == {
        "inputTokens": 5,
        "outputTokens": 2,
        "totalTokens": 41,
        "cacheReadInputTokens": 30,
        "cacheWriteInputTokens": 4,
    }


def test_a_flipped_bit_in_a_frame_is_detected() -> None:
    frame = bytearray(converse_answers.stream_delta("hello"))
    frame[-8] ^= 1
    with pytest.raises(Exception, match="Checksum mismatch"):
        decode(bytes(frame))


def test_an_error_inside_a_stream_is_an_exception_frame() -> None:
    headers, payload = decode(BedrockError(ErrorKind.THROTTLED, "slow down").frame())[0]
    assert headers[":message-type"] == "exception"
    assert headers[":exception-type"] == "throttlingException"
    assert payload == {"message": "slow down"}


@pytest.mark.parametrize(
    ("model_id", "minimum"),
    [
        (NOVA, 1000),
        ("us.amazon.nova-micro-v1:0", 1000),
        (HAIKU, 2048),
        ("us." + HAIKU, 2048),
        ("anthropic.claude-3-haiku-20240307-v1:0", 1024),
        ("us.meta.llama3-2-3b-instruct-v1:0", None),
        ("mistral.mistral-7b-instruct-v0:2", None),
    ],
)
def test_the_cache_minimum_follows_the_model(model_id: str, minimum: int | None) -> None:
    assert cache_minimum(model_id) == minimum


def ask(cache: PrefixCache, request: ConverseRequest) -> tuple[int, int]:
    engine = EchoEngine(latency=Latency(), words=1, seed=0)
    outcome = asyncio.run(cache.look_up(request, engine))
    cache.commit(request.model_id, outcome)
    return outcome.read_tokens, outcome.write_tokens


def test_the_first_call_writes_and_the_second_reads() -> None:
    cache = PrefixCache(clock=lambda: 0.0)
    assert ask(cache, prefixed(1200)) == (0, 1200)
    assert ask(cache, prefixed(1200, tail="another question")) == (1200, 0)
    assert ask(cache, prefixed(1201)) == (0, 1201)


@pytest.mark.parametrize(("words", "cached"), [(999, False), (1000, True), (1001, True)])
def test_nothing_is_cached_below_the_minimum(words: int, cached: bool) -> None:
    cache = PrefixCache(clock=lambda: 0.0)
    assert ask(cache, prefixed(words)) == (0, words if cached else 0)
    assert ask(cache, prefixed(words)) == (words if cached else 0, 0)


def test_models_do_not_share_a_cache_and_some_have_none() -> None:
    cache = PrefixCache(clock=lambda: 0.0)
    assert ask(cache, prefixed(3000)) == (0, 3000)
    assert ask(cache, prefixed(3000, model_id=HAIKU)) == (0, 3000)
    for _ in range(2):
        assert ask(cache, prefixed(3000, model_id="us.meta.llama3-2-3b-instruct-v1:0")) == (0, 0)


def test_without_a_cache_point_nothing_is_cached() -> None:
    cache = PrefixCache(clock=lambda: 0.0)
    plain = parse_request(NOVA, request_body(system=[{"text": "word " * 3000}]))
    assert [ask(cache, plain), ask(cache, plain)] == [(0, 0), (0, 0)]


def test_an_entry_lives_five_minutes_from_its_last_use() -> None:
    now = 0.0
    cache = PrefixCache(clock=lambda: now)
    ask(cache, prefixed(1500))
    now = TTL_S
    assert ask(cache, prefixed(1500)) == (1500, 0)
    now = 2 * TTL_S
    assert ask(cache, prefixed(1500)) == (1500, 0)
    now = 3 * TTL_S + 0.001
    assert ask(cache, prefixed(1500)) == (0, 1500)


def test_a_request_that_failed_leaves_nothing_in_the_cache() -> None:
    cache = PrefixCache(clock=lambda: 0.0)
    engine = EchoEngine(latency=Latency(), words=1, seed=0)
    assert asyncio.run(cache.look_up(prefixed(1500), engine)).write_tokens == 1500
    assert ask(cache, prefixed(1500)) == (0, 1500)


def test_a_longer_prompt_reads_its_known_prefix_and_writes_the_rest() -> None:
    def two_points(question: str) -> ConverseRequest:
        system = [{"text": " ".join(["word"] * 1100)}, POINT]
        return parse_request(
            NOVA, request_body(system=system, messages=[{"role": "user", "content": [{"text": question}, POINT]}])
        )

    cache = PrefixCache(clock=lambda: 0.0)
    assert ask(cache, two_points("three more words")) == (0, 1103)
    assert ask(cache, two_points("four words this time")) == (1100, 4)


async def collect(events: AsyncGenerator[Delta | Done, None]) -> tuple[str, Done]:
    texts: list[str] = []
    done: Done | None = None
    async for event in events:
        if isinstance(event, Delta):
            texts.append(event.text)
        else:
            done = event
    assert done is not None
    return "".join(texts), done


@pytest.mark.parametrize(
    ("config", "text", "stop"),
    [
        ({}, "one two three four", WireStopReason.END_TURN),
        ({"maxTokens": 4}, "one two three four", WireStopReason.END_TURN),
        ({"maxTokens": 2}, "one two", WireStopReason.MAX_TOKENS),
        ({"stopSequences": ["four", "three"]}, "one two ", WireStopReason.STOP_SEQUENCE),
    ],
)
def test_echo_answers_the_last_user_turn_within_its_limits(
    config: dict[str, object], text: str, stop: WireStopReason
) -> None:
    messages = [{"role": "user", "content": [{"text": "one two three four"}]}]
    request = parse_request("local.echo-v1", request_body(messages=messages, inferenceConfig=config))
    answer, done = asyncio.run(collect(EchoEngine(latency=Latency(), words=9, seed=0).generate(request)))
    assert (answer, done.stop) == (text, stop)
    assert done == Done(stop=stop, prompt_tokens=4, output_tokens=len(text.split()))


@pytest.mark.parametrize(
    "model_id",
    [NOVA, HAIKU, "us.meta.llama3-2-3b-instruct-v1:0", "meta.llama3-8b", "mistral.mistral-7b", "local.smollm2-135m"],
)
def test_known_providers_are_served_by_the_model(model_id: str) -> None:
    assert not Catalogue().is_echo(model_id)


@pytest.mark.parametrize(
    ("model_id", "kind"),
    [("gpt", ErrorKind.VALIDATION), ("cohere.command-r", ErrorKind.NOT_FOUND), ("local.other", ErrorKind.NOT_FOUND)],
)
def test_an_unknown_id_is_refused_as_bedrock_does(model_id: str, kind: ErrorKind) -> None:
    with pytest.raises(BedrockError) as caught:
        Catalogue().is_echo(model_id)
    assert caught.value.kind is kind


def test_an_allow_list_replaces_the_providers() -> None:
    only = Catalogue(allowed=frozenset({HAIKU}))
    assert not only.is_echo(HAIKU)
    for other in (NOVA, "local.echo-v1"):
        with pytest.raises(BedrockError):
            only.is_echo(other)


SCHEMA = {"type": "object", "properties": {"grade": {"enum": ["no", "yes"]}}}
TOOL = {"tools": [{"toolSpec": {"name": "form", "inputSchema": {"json": SCHEMA}}}]}
WANTED = {"toolUse": {"toolUseId": "c1", "name": "form", "input": {"grade": "no"}}}
TOLD = {"toolResult": {"toolUseId": "c1", "content": [{"json": {"n": 1}}, {"text": "one"}]}}


def dialogue(*contents: list[dict[str, object]]) -> list[dict[str, object]]:
    return [
        {"role": "assistant" if number % 2 else "user", "content": content} for number, content in enumerate(contents)
    ]


def test_a_tool_that_must_be_used_is_a_form_and_every_other_is_offered() -> None:
    asked = parse_request(NOVA, request_body(toolConfig=TOOL))
    assert (asked.form, [(tool.name, tool.arguments) for tool in asked.tools]) == (None, [("form", SCHEMA)])
    litellms = {"toolSpec": {"name": "json_tool_call", "inputSchema": {"json": {"type": "object"}}}}
    asked = parse_request(NOVA, request_body(toolConfig={"tools": [*TOOL["tools"], litellms]}))
    assert asked.form == AnswerForm(schema={"type": "object"}, tool="json_tool_call")
    assert [tool.name for tool in asked.tools] == ["form"]


def test_uses_and_what_came_of_them_are_read_as_text() -> None:
    messages = dialogue([{"text": "hi"}], [{"text": "I look."}, WANTED], [TOLD, {"text": "and?"}])
    turns = parse_request(NOVA, request_body(toolConfig=TOOL, messages=messages)).turns
    assert [turn.text for turn in turns] == [
        "hi",
        'I look.\n{"tool": "form", "arguments": {"grade": "no"}}',
        '{"n": 1}\none\nand?',
    ]


@pytest.mark.parametrize(
    ("contents", "config", "says"),
    [
        (([{"text": "hi"}], [WANTED], [TOLD]), {}, "toolConfig field must be defined"),
        (
            ([{"text": "hi"}], [WANTED], [{"text": "so?"}]),
            {"toolConfig": TOOL},
            "Expected toolResult blocks at mess.*c1",
        ),
        (([{"text": "hi"}], [WANTED]), {"toolConfig": TOOL}, "Expected toolResult blocks at messages.2.content"),
        (([TOLD],), {"toolConfig": TOOL}, "exceeds the number of toolUse blocks"),
        (([WANTED],), {"toolConfig": TOOL}, "text, tools and cachePoint only"),
        (([{"text": "hi"}], [{"toolUse": {"name": "x"}}]), {"toolConfig": TOOL}, "toolUseId must be a non-empty"),
    ],
)
def test_uses_without_results_and_results_without_uses_are_refused(contents, config, says) -> None:
    with pytest.raises(BedrockError, match=says):
        parse_request(NOVA, request_body(messages=dialogue(*contents), **config))


def test_a_tools_change_makes_another_prefix() -> None:
    system = [{"text": "Help."}, POINT]
    (with_tool,) = parse_request(NOVA, request_body(system=system, toolConfig=TOOL)).prefixes
    (without,) = parse_request(NOVA, request_body(system=system)).prefixes
    assert with_tool.digest != without.digest


def test_one_tool_is_a_form_whose_json_answer_is_a_tool_call() -> None:
    forced = TOOL | {"toolChoice": {"tool": {"name": "form"}}}
    form = parse_request(NOVA, request_body(toolConfig=forced)).form
    assert form == AnswerForm(schema=SCHEMA, tool="form")
    usage = WireUsage(input_tokens=1, output_tokens=1)
    answer = json.loads(converse_body('{"grade": "yes"}', WireStopReason.END_TURN, usage, 1, "x", form))
    (block,) = answer["output"]["message"]["content"]
    assert (block["toolUse"]["name"], block["toolUse"]["input"]) == ("form", {"grade": "yes"})
    assert answer["stopReason"] == "tool_use"


@pytest.mark.parametrize(
    ("text", "stop"), [("good, I think", WireStopReason.END_TURN), ('{"grade": "y', WireStopReason.MAX_TOKENS)]
)
def test_prose_and_half_a_form_stay_text(text: str, stop: WireStopReason) -> None:
    form = AnswerForm(schema=SCHEMA, tool="form")
    answer = json.loads(converse_body(text, stop, WireUsage(input_tokens=1, output_tokens=1), 1, "x", form))
    assert answer["output"]["message"]["content"] == [{"text": text}]
    assert answer["stopReason"] == stop


def test_bedrocks_own_structured_output_is_a_schema_for_the_text() -> None:
    wanted = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(SCHEMA)}}}}
    assert parse_request(NOVA, request_body(outputConfig=wanted)).form == AnswerForm(schema=SCHEMA)


def test_an_echo_of_a_real_prompt_passes_the_guard() -> None:
    # Otherwise `make load` would measure degraded answers.
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    pair = load_pair(
        REPO_ROOT / "prompts" / "summarize" / "nova-lite.prompty", cards=cards, task_variables=TASK.variables
    )
    now = datetime(2026, 11, 21, 9, tzinfo=UTC)

    async def echoed(body: bytes) -> str:
        engine = EchoEngine(latency=Latency(), words=60, seed=0)
        return "".join(
            [part.text async for part in engine.generate(parse_request(NOVA, body)) if isinstance(part, Delta)]
        )

    for rows in filter(None, sample_histories(now.date()).values()):
        inputs = SummarizeInputs(as_of=now, account_number="1234567890", contact_id="c", interactions=tuple(rows))
        prompt = pair.render(TASK.values_for(inputs, pair))[-1].content
        answer = asyncio.run(echoed(request_body(messages=[{"role": "user", "content": [{"text": prompt}]}])))
        assert TASK.guard(inputs)(TASK.check(answer, pair.output)) == ()
