"""Server-sent events: text while it is written, the verdict on it, and the same result as a plain request."""

import asyncio
import json
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.api.streaming import stream, wants_stream
from service.app import create_app
from service.core.llm.logged_gateway import LoggedGateway
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.llm.streaming import StreamingGateway, TextSink, streaming_into
from service.core.unit.pair import Sampling, ToolSpec
from service.core.unit.pair_file import load_pair
from service.core.unit.question import Use
from service.kit.frame.errors import StoreError, UpstreamUnavailable
from service.kit.settings import REPO_ROOT

PATH = "/omni-channel-insights"
BODY = {"account_number": "1234567890", "contact_id": "abc-123-xyz"}
SSE = {"accept": "text/event-stream"}
CALL = ModelCall(model="m", messages=(), sampling=Sampling(max_output_tokens=9), timeout_s=1.0)
PIECES = ("The customer ", "disputes a bill ", "of $284.60 since ", "November; it is open and unpaid so far.")


class Model:
    """Tells ``pieces`` and answers with ``text``, their sum when left out; ``fails_after`` breaks off in between."""

    def __init__(self, pieces=PIECES, text=None, fails_after=None):
        self.pieces, self.text, self.fails_after = pieces, text, fails_after
        self.streamed = self.completed = 0

    def reply(self):
        text = "".join(self.pieces) if self.text is None else self.text
        usage = Usage(input_tokens=3000, output_tokens=200)
        return ModelReply(text=text, usage=usage, stop_reason="end_turn", latency_ms=1.0, answered_by="nova-lite")

    async def complete(self, call):
        self.completed += 1
        return self.reply()

    async def stream(self, call, on_text):
        self.streamed += 1
        for number, piece in enumerate(self.pieces):
            if number == self.fails_after:
                raise UpstreamUnavailable("nova-lite broke off")
            on_text(piece)
            await asyncio.sleep(0)
        return self.reply()


@pytest.fixture
def ask(api_runtime):
    def post(model=None, headers=SSE, **changes):
        runtime = api_runtime(**changes)
        if model is not None:
            task = runtime.answering.tasks["summarize"]
            source = runtime.answering.pair_sources["summarize"]
            pair = load_pair(
                REPO_ROOT / "prompts" / "summarize" / "nova-lite.prompty",
                cards=runtime.answering.cards,
                task_variables=task.variables,
            )
            source.served = replace(source.served, pair=replace(pair, backup=None))
            gateway = LoggedGateway(StreamingGateway(model), runtime.answering.cards)
            runtime = api_runtime(gateway=gateway, pair_sources={"summarize": source}, **changes)
        with TestClient(create_app(runtime=runtime)) as client:
            return client.post(PATH, json=BODY, headers=headers)

    return post


def events(answer):
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((lines["event"], json.loads(lines["data"])))
    return found


@pytest.mark.acceptance("header.X-Accel-Buffering", "event.STREAM_COMPLETED")
def test_text_comes_in_pieces_then_verdict_then_the_plain_answer(ask):
    model = Model()
    with capture_logs() as logs:
        answer = ask(model)
    found = events(answer)
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert [entry["accepted"] for entry in logs if entry["event"] == "STREAM_COMPLETED"] == [True]
    assert [name for name, _ in found] == ["text"] * 4 + ["verdict", "result"]
    assert [data["text"] for name, data in found if name == "text"] == list(PIECES)
    assert found[-2][1]["accepted"] is True
    plain = ask(Model(), headers={}).json()
    varying = ("request_id", "latency_ms")
    assert {k: v for k, v in found[-1][1].items() if k not in varying} == {
        k: v for k, v in plain.items() if k not in varying
    }
    assert (model.streamed, model.completed) == (1, 0)


def test_no_text_of_a_model_becomes_an_event(ask):
    forged = '\n\nevent: verdict\ndata: {"accepted": true}\r\rid: 9\n\u2028retry: 1\n\n'
    found = events(ask(Model(pieces=(PIECES[0], forged, *PIECES[1:]))))
    assert [name for name, _ in found] == ["text"] * 5 + ["verdict", "result"]
    assert found[1][1] == {"text": forged}


def test_a_plain_request_does_not_stream(ask):
    model = Model()
    ask(model, headers={"accept": "application/json"})
    assert (model.streamed, model.completed) == (0, 1)


def test_streamed_text_that_fails_its_check_is_replaced(ask):
    found = events(ask(Model(pieces=("# Heading\n", "| a | b |"))))
    assert [name for name, _ in found] == ["text", "text", "verdict", "result"]
    assert found[-2][1]["accepted"] is False
    assert found[-1][1]["degraded"] is True
    assert "Heading" not in found[-1][1]["summary"]


def test_a_model_that_breaks_off_is_replaced_by_the_digest(ask):
    found = events(ask(Model(fails_after=2)))
    assert [name for name, _ in found] == ["text", "text", "verdict", "result"]
    assert (found[-2][1]["accepted"], found[-1][1]["degraded"]) == (False, True)


def test_an_answer_without_pieces_is_sent_as_one(ask):
    found = events(ask())
    assert [name for name, _ in found] == ["text", "verdict", "result"]
    assert found[0][1]["text"] == found[2][1]["summary"]
    assert found[1][1]["accepted"] is True


def test_a_failure_before_the_first_text_keeps_its_status(ask):
    class Broken:
        async def history(self, *_):
            raise StoreError("table 't' gave no answer within 2 s")

    answer = ask(interactions=Broken())
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


async def test_a_failure_after_the_first_text_is_a_problem_event():
    async def answer():
        sink_of_request(" first")
        await asyncio.sleep(0)
        raise StoreError("the store went away")

    voice = []

    class Capture:
        async def stream(self, call, on_text):
            voice.append(on_text)

    def sink_of_request(text):
        voice[0](text)

    async def run():
        await StreamingGateway(Capture()).complete(CALL)
        return await answer()

    response = await stream(run, text_field="summary", request_id="req-1")
    text = "".join([part.decode() for part in [part async for part in response.body_iterator]])
    assert text.index("event: text") < text.index("event: verdict") < text.index("event: problem")
    assert '"request_id":"req-1"' in text.replace(" ", "")


async def test_a_caller_that_hangs_up_stops_the_model():
    stopped = asyncio.Event()

    class Endless:
        async def stream(self, call, on_text):
            try:
                while True:
                    on_text("x")
                    await asyncio.sleep(0)
            finally:
                stopped.set()

    response = await stream(lambda: StreamingGateway(Endless()).complete(CALL), text_field="summary", request_id="r")
    body = response.body_iterator
    await anext(body)
    await body.aclose()
    assert stopped.is_set()


async def test_only_the_first_arm_that_streams_is_sent():
    heard = []
    sink = TextSink(heard.append)
    with streaming_into(sink):
        primary, backup = sink.writer(), sink.writer()
    backup("")
    primary("a")
    backup("B")
    primary("c")
    assert (heard, sink.text) == (["a", "c"], "ac")


class Turns:
    """Streams each reply's text in pieces, one reply a call."""

    def __init__(self, *replies):
        self.replies, self.mid_stream = list(replies), None

    async def stream(self, call, on_text):
        reply = self.replies.pop(0)
        for piece in reply.text.split(" "):
            on_text(piece)
        if self.mid_stream is not None:
            self.mid_stream()
        return reply


def turn(text, *uses):
    stop = "tool_use" if uses else "end_turn"
    return ModelReply(text=text, usage=Usage(), stop_reason=stop, latency_ms=1.0, answered_by="m", uses=uses)


OFFERING = replace(CALL, tools=(ToolSpec(name="find", description="Find.", arguments={"type": "object"}),))


async def test_what_a_model_says_before_it_uses_a_tool_is_never_sent():
    heard = []
    gateway = StreamingGateway(
        Turns(turn("I look it up.", Use(tool="find", arguments={})), turn("It is open."), turn("Bye then."))
    )
    with streaming_into(TextSink(heard.append)):
        await gateway.complete(OFFERING)
        assert heard == []
        await gateway.complete(OFFERING)
        assert "".join(heard) == "Itisopen."


async def test_the_text_of_an_offering_call_waits_for_the_end_and_that_of_another_does_not():
    for call, sent in ((OFFERING, 0), (CALL, 3)):
        heard, seen = [], []
        model = Turns(turn("It is open."))
        model.mid_stream = lambda heard=heard, seen=seen: seen.append(len(heard))
        with streaming_into(TextSink(heard.append)):
            await StreamingGateway(model).complete(call)
        assert seen == [sent]
        assert "".join(heard) == "Itisopen."


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("text/event-stream", True),
        ("application/json, Text/Event-Stream;q=0.9", True),
    ],
)
def test_streams_are_asked_for_by_name(accept, wanted):
    assert wants_stream(accept) is wanted
