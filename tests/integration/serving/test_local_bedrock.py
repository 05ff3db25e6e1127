"""The running stand-in as boto3 and litellm see it, and how its process starts and ends."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EventStreamError, ReadTimeoutError

import service.local.bedrock
from service.local.process import LocalBedrock, LocalBedrockError

ROOT = Path(service.local.bedrock.__file__).parents[2]
NOVA = "amazon.nova-lite-v1:0"
ECHO = "local.echo-v1"
SMOL = "SmolLM2-135M-Instruct-Q4_1"


@pytest.fixture(scope="module")
def model() -> Iterator[LocalBedrock]:
    with LocalBedrock(["--preload"]) as running:
        yield running


@pytest.fixture(scope="module")
def echo_server() -> Iterator[LocalBedrock]:
    with LocalBedrock(["--models", ECHO, "--seed", "11"]) as running:
        yield running


@pytest.fixture
def echo(echo_server: LocalBedrock) -> Iterator[LocalBedrock]:
    call(echo_server.url, "DELETE")
    yield echo_server
    call(echo_server.url, "DELETE")


def client(url: str, *, read_timeout_s: float = 300) -> Any:  # boto3 builds its clients at run time
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout_s),
    )


def call(url: str, method: str, rule: object = None, path: str = "/_local/faults") -> tuple[int, dict[str, Any]]:
    data = None if rule is None else json.dumps(rule).encode()
    request = urllib.request.Request(url + path, data=data, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, cast(dict[str, Any], json.loads(response.read()))
    except urllib.error.HTTPError as err:
        with err:
            return err.code, cast(dict[str, Any], json.loads(err.read()))


def user(text: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": [{"text": text}]}]


def converse(url: str, text: str = "one two three", model_id: str = ECHO, **more: object) -> dict[str, Any]:
    return cast(dict[str, Any], client(url).converse(modelId=model_id, messages=user(text), **more))


def error_code(url: str, text: str = "one two three", model_id: str = ECHO) -> str | None:
    try:
        converse(url, text, model_id)
    except ClientError as err:
        return str(err.response["Error"]["Code"])
    return None


def assert_usage_adds_up(usage: dict[str, int]) -> None:
    parts = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    assert usage["totalTokens"] == sum(usage[part] for part in parts)


# --- the model ------------------------------------------------------------------------------------------------------


def test_a_forced_tool_is_filled_in_by_its_schema(model: LocalBedrock) -> None:
    schema = {
        "type": "object",
        "properties": {"reasons": {"type": "string"}, "grade": {"type": "string", "enum": ["no", "yes"]}},
        "required": ["reasons", "grade"],
    }
    tool = {"toolSpec": {"name": "answer", "inputSchema": {"json": schema}}}
    config = {"tools": [tool], "toolChoice": {"tool": {"name": "answer"}}}
    answer = converse(model.url, "Is water wet?", NOVA, toolConfig=config, inferenceConfig={"maxTokens": 200})
    (block,) = answer["output"]["message"]["content"]
    assert answer["stopReason"] == "tool_use"
    assert block["toolUse"]["name"] == "answer"
    assert list(block["toolUse"]["input"]) == ["reasons", "grade"]
    assert block["toolUse"]["input"]["grade"] in ("no", "yes")
    with pytest.raises(ClientError, match="in Converse only"):
        client(model.url).converse_stream(modelId=NOVA, messages=user("x"), toolConfig=config)


def test_offered_tools_and_earlier_uses_are_taken_and_answered_without_using_any(model: LocalBedrock) -> None:
    tool = {"toolSpec": {"name": "find", "inputSchema": {"json": {"type": "object"}}}}
    use = {"toolUse": {"toolUseId": "c1", "name": "find", "input": {"city": "Leeds"}}}
    result = {"toolResult": {"toolUseId": "c1", "content": [{"text": '{"street": "Park Row"}'}]}}
    body = {
        "messages": [
            *user("Where is the branch in Leeds?"),
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ],
        "toolConfig": {"tools": [tool]},
        "inferenceConfig": {"maxTokens": 20},
    }
    _, answer = call(model.url, "POST", body, path=f"/model/{NOVA}/converse")
    (block,) = answer["output"]["message"]["content"]
    assert block["text"]
    assert answer["stopReason"] in ("end_turn", "max_tokens")


def test_a_structured_text_spends_no_token_on_white_space(model: LocalBedrock) -> None:
    form = {"type": "object", "properties": {"wet": {"type": "boolean"}, "why": {"type": "string"}}}
    form |= {"required": ["wet", "why"], "additionalProperties": False}
    wanted = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(form)}}}}
    body = {"messages": user("Is water wet?"), "outputConfig": wanted, "inferenceConfig": {"maxTokens": 200}}
    _, answer = call(model.url, "POST", body, path=f"/model/{NOVA}/converse")
    text = answer["output"]["message"]["content"][0]["text"]
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


def test_a_bedrock_id_is_answered_and_says_by_whom(model: LocalBedrock) -> None:
    answer = converse(model.url, "Say hello.", NOVA, inferenceConfig={"maxTokens": 6})
    assert answer["output"]["message"]["content"][0]["text"]
    assert answer["stopReason"] == "max_tokens"
    assert answer["usage"]["outputTokens"] == 6
    assert_usage_adds_up(answer["usage"])
    assert answer["additionalModelResponseFields"] == {"answered_by": SMOL}
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-omni-answered-by"] == SMOL
    assert call(model.url, "GET", path="/_local/health") == (
        200,
        {"engines": ["echo", SMOL], "model_loaded": True, "pid": model.pid},
    )


def test_an_end_of_turn_and_a_stop_sequence_are_told_apart(model: LocalBedrock) -> None:
    # No exact text is asserted: it may differ between processors. The model answers this one with "Yes." or "No.".
    question = "Reply with one word: yes or no?"
    config: dict[str, object] = {"maxTokens": 200, "temperature": 0}
    assert converse(model.url, question, NOVA, inferenceConfig=config)["stopReason"] == "end_turn"
    stops = {"stopSequences": ["e", "o"]}
    stopped = converse(model.url, question, NOVA, inferenceConfig=config | stops)
    assert stopped["stopReason"] == "stop_sequence"
    text = stopped["output"]["message"]["content"][0]["text"]
    assert not set("eo") & set(text)


def test_streamed_text_arrives_before_the_answer_is_complete(model: LocalBedrock) -> None:
    stream = client(model.url).converse_stream(
        modelId=NOVA, messages=user("Tell a long story."), inferenceConfig={"maxTokens": 40}
    )["stream"]
    events: list[tuple[str, dict[str, Any], float]] = []
    for event in stream:
        ((name, payload),) = event.items()
        events.append((name, payload, time.perf_counter()))
    names = [name for name, _, _ in events]
    assert names[0] == "messageStart"
    assert names[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    deltas = [at for name, _, at in events if name == "contentBlockDelta"]
    assert len(deltas) > 10
    # The same stamp for all would mean that the answer was buffered; no length of time is asserted.
    assert len(set(deltas)) == len(deltas)
    assert deltas[0] < deltas[-1]
    usage = events[-1][1]["usage"]
    assert usage["outputTokens"] == 40
    assert_usage_adds_up(usage)
    assert events[-2][1]["additionalModelResponseFields"] == {"answered_by": SMOL}


def test_cached_tokens_appear_on_the_second_call_and_not_below_the_minimum(model: LocalBedrock) -> None:
    point = {"cachePoint": {"type": "default"}}

    def usage(words: int) -> dict[str, int]:
        system = [{"text": "Agents answer calls. " * (words // 3)}, point]
        answer = converse(model.url, "Why?", NOVA, system=system, inferenceConfig={"maxTokens": 2})
        assert_usage_adds_up(answer["usage"])
        return cast(dict[str, int], answer["usage"])

    for _ in range(2):
        short = usage(300)
        assert (short["cacheReadInputTokens"], short["cacheWriteInputTokens"]) == (0, 0)
    first, second = usage(1200), usage(1200)
    assert first["cacheReadInputTokens"] == 0
    assert first["cacheWriteInputTokens"] >= 1000
    assert second["cacheReadInputTokens"] == first["cacheWriteInputTokens"]
    assert second["cacheWriteInputTokens"] == 0
    assert second["inputTokens"] == first["inputTokens"]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_prompt_longer_than_the_context_is_refused(model: LocalBedrock, streaming: bool) -> None:
    bedrock = client(model.url)
    ask = bedrock.converse_stream if streaming else bedrock.converse
    with pytest.raises(bedrock.exceptions.ValidationException, match="Input is too long for requested model"):
        ask(modelId=NOVA, messages=user("word " * 9000))


# litellm's own models make pydantic warn about a TypedDict; nothing here can change that.
@pytest.mark.filterwarnings("ignore:Item 'summary' on TypedDict:UserWarning")
def test_litellm_sees_who_answered_and_bills_cache_reads(model: LocalBedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm")
    system = {"type": "text", "text": "Agents help. " * 500, "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "system", "content": [system]}, {"role": "user", "content": "Why?"}]

    async def ask() -> Any:  # litellm's response classes are loosely typed
        return await litellm.acompletion(
            model=f"bedrock/converse/{NOVA}",
            messages=messages,
            max_tokens=3,
            aws_bedrock_runtime_endpoint=model.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            aws_region_name="us-east-1",
        )

    async def twice() -> list[Any]:
        return [await ask(), await ask()]

    cold, warm = asyncio.run(twice())
    for response in (cold, warm):
        assert response._hidden_params["additional_headers"]["llm_provider-x-omni-answered-by"] == SMOL
    assert cold.usage.prompt_tokens_details.cached_tokens == 0
    assert warm.usage.prompt_tokens_details.cached_tokens >= 1000
    assert warm.usage.prompt_tokens == cold.usage.prompt_tokens
    cached = warm.usage.prompt_tokens_details.cached_tokens
    rate = litellm.model_cost[NOVA]
    by_hand = (
        (warm.usage.prompt_tokens - cached) * rate["input_cost_per_token"]
        + cached * rate["cache_read_input_token_cost"]
        + warm.usage.completion_tokens * rate["output_cost_per_token"]
    )
    assert litellm.completion_cost(warm, model=f"bedrock/converse/{NOVA}") == pytest.approx(by_hand)


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "status"),
    [
        ("throttle", "ThrottlingException", 429),
        ("unavailable", "ServiceUnavailableException", 503),
        ("internal", "InternalServerException", 500),
        ("timeout", "ModelTimeoutException", 408),
        ("not_ready", "ModelNotReadyException", 429),
        ("access_denied", "AccessDeniedException", 403),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_boto3_raises_the_class_of_each_fault(
    echo: LocalBedrock, kind: str, name: str, status: int, streaming: bool
) -> None:
    assert call(echo.url, "POST", {"kind": kind})[0] == 201
    bedrock = client(echo.url)
    ask = bedrock.converse_stream if streaming else bedrock.converse
    with pytest.raises(getattr(bedrock.exceptions, name)) as caught:
        ask(modelId=ECHO, messages=user("hello"))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("model_id", "name"),
    [("cohere.command-r-v1:0", "ResourceNotFoundException"), ("nonsense", "ValidationException")],
)
def test_boto3_raises_for_an_id_that_is_not_served(echo: LocalBedrock, model_id: str, name: str) -> None:
    bedrock = client(echo.url)
    with pytest.raises(getattr(bedrock.exceptions, name)):
        bedrock.converse(modelId=model_id, messages=user("hello"))


def test_a_stream_throttled_midway_raises_after_its_first_text(echo: LocalBedrock) -> None:
    call(echo.url, "POST", {"kind": "mid_stream_throttle"})
    texts: list[str] = []
    stream = client(echo.url).converse_stream(modelId=ECHO, messages=user("one two three"))["stream"]

    def read() -> None:
        for event in stream:
            if "contentBlockDelta" in event:
                texts.append(event["contentBlockDelta"]["delta"]["text"])  # noqa: PERF401 - kept up to the exception

    with contextlib.closing(stream), pytest.raises(EventStreamError, match="throttlingException"):
        read()
    assert texts == ["one "]
    assert converse(echo.url)["output"]["message"]["content"][0]["text"] == "one two three"


def test_a_disconnect_cuts_the_connection(echo: LocalBedrock) -> None:
    call(echo.url, "POST", {"kind": "disconnect", "count": 1})
    with pytest.raises(ConnectionClosedError):
        converse(echo.url)
    assert converse(echo.url)["stopReason"] == "end_turn"


def test_a_hang_lasts_until_the_caller_gives_up(echo: LocalBedrock) -> None:
    call(echo.url, "POST", {"kind": "hang", "count": 1})
    with pytest.raises(ReadTimeoutError):
        client(echo.url, read_timeout_s=0.2).converse(modelId=ECHO, messages=user("hello"))
    assert converse(echo.url)["stopReason"] == "end_turn"


def test_empty_and_truncated_answers(echo: LocalBedrock) -> None:
    call(echo.url, "POST", {"kind": "empty", "count": 1})
    call(echo.url, "POST", {"kind": "truncate", "count": 1})
    text = "one two three four five six seven"
    empty, cut, whole = (converse(echo.url, text) for _ in range(3))
    assert (empty["output"]["message"]["content"], empty["stopReason"]) == ([{"text": ""}], "end_turn")
    assert (cut["output"]["message"]["content"][0]["text"], cut["stopReason"]) == (
        "one two three four five",
        "max_tokens",
    )
    assert (whole["output"]["message"]["content"][0]["text"], whole["stopReason"]) == (text, "end_turn")


def test_rate_faults_hit_their_share_and_are_counted(echo: LocalBedrock) -> None:
    call(echo.url, "POST", {"kind": "throttle", "rate": 0.2})
    codes = [error_code(echo.url) for _ in range(200)]
    # 200 draws at 0.2: mean 40, standard deviation 5.7; four of them on each side.
    assert 17 <= codes.count("ThrottlingException") <= 63
    assert set(codes) == {None, "ThrottlingException"}
    rule = call(echo.url, "GET")[1]["rules"][0]
    assert (rule["matched"], rule["fired"]) == (200, codes.count("ThrottlingException"))
    assert (rule["kind"], rule["model"], rule["key"], rule["id"]) == ("throttle", "*", "request", 1)


def test_a_permanent_fault_fails_the_same_bodies_again(echo: LocalBedrock) -> None:
    call(echo.url, "POST", {"kind": "internal", "rate": 0.3, "key": "body"})
    first, second = ([error_code(echo.url, f"case {index}") for index in range(40)] for _ in range(2))
    assert first == second
    assert set(first) == {None, "InternalServerException"}


@pytest.mark.parametrize(
    ("rule", "field", "allowed"), [({"kind": "boom"}, "kind", "throttle"), ([], "body", "JSON object")]
)
def test_a_bad_rule_gets_400_with_the_field(echo: LocalBedrock, rule: object, field: str, allowed: str) -> None:
    status, answer = call(echo.url, "POST", rule)
    assert (status, answer["field"]) == (400, field)
    assert allowed in answer["message"]
    assert call(echo.url, "GET")[1] == {"rules": []}


def test_a_fault_from_the_command_line_is_in_force_at_once() -> None:
    with LocalBedrock(["--models", ECHO, "--fault", "kind=throttle,count=1", "--fault", "kind=internal"]) as running:
        assert [error_code(running.url) for _ in range(3)] == [
            "ThrottlingException",
            "InternalServerException",
            "InternalServerException",
        ]


# --- the process ----------------------------------------------------------------------------------------------------


def spawn(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "service.local.bedrock", "--models", ECHO, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_standard_output_holds_one_line_and_the_end_of_stdin_ends_the_process() -> None:
    process = spawn("--die-with-stdin")
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["pid"] == process.pid
    assert ready["url"].startswith("http://127.0.0.1:")
    assert converse(ready["url"])["stopReason"] == "end_turn"
    assert process.poll() is None
    # communicate closes stdin and waits for the end.
    rest, _ = process.communicate(timeout=20)
    assert rest == b""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly(sent: signal.Signals) -> None:
    process = spawn()
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    converse(url)
    process.send_signal(sent)
    _, log = process.communicate(timeout=20)
    assert (process.returncode, log) == (0, b"")


def test_the_parents_sudden_death_leaves_no_orphan() -> None:
    script = (
        "import os, sys, time\n"
        "from service.local.process import LocalBedrock\n"
        f"child = LocalBedrock(['--models', '{ECHO}']).start()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate(timeout=20)
    for _ in range(400):
        # A zombie counts as gone: an init that never reaps is not the child's doing.
        stat = Path(f"/proc/{child}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def test_a_taken_port_is_one_line_with_the_port_and_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = spawn("--port", str(port))
        out, log = process.communicate(timeout=20)
        assert (process.returncode, out) == (2, b"")
        line = log.decode()
        assert line.count("\n") == 1
        assert str(port) in line
        assert "--port 0" in line
        with pytest.raises(LocalBedrockError, match=rf"(?s)code 2.*port {port}"):
            LocalBedrock(["--models", ECHO, "--port", str(port)]).start()


def test_a_missing_model_package_names_the_remedy() -> None:
    # -I -S leaves only what is on the path given here: the project, without any installed package.
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from service.local.bedrock import main\n"
        "sys.exit(main(['--port', '0']))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert "make setup" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_helper_tells_how_the_child_fares() -> None:
    running = LocalBedrock(["--models", ECHO])
    assert (running.alive(), running.exit_description()) == (False, "not started")
    with pytest.raises(LocalBedrockError, match="not started"):
        _ = running.pid
    with running:
        assert (running.alive(), running.exit_description()) == (True, "running")
        # Its own session, so that Ctrl-C in the terminal does not reach it.
        assert os.getsid(running.pid) != os.getsid(0)
        os.kill(running.pid, signal.SIGKILL)
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
        assert (running.alive(), running.exit_description()) == (False, "ended by SIGKILL")
    running.stop()


def test_the_helper_works_from_asyncio() -> None:
    async def use() -> LocalBedrock:
        async with LocalBedrock(["--models", ECHO]) as running:
            assert running.alive()
            return running

    stopped = asyncio.run(use())
    assert stopped.exit_description() == "ended with code 0"


def test_a_wrong_argument_is_reported_with_the_log() -> None:
    with pytest.raises(LocalBedrockError, match=r"(?s)code 2.*kind: got 'boom'"):
        LocalBedrock(["--fault", "kind=boom"]).start()
