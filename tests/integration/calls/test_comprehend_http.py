"""Amazon Comprehend's client against a real HTTP server that answers well, badly, by half and not at all. It is no Comprehend."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from service.calls.failure import CallFailed, FailureReason
from service.calls.redact.transcript import FindingRedactor
from service.core.redaction.comprehend import ComprehendFinder
from service.core.tasks.scorecard.transcript import Turn
from service.kit.aws.clients import client
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings

Answer = Callable[[BaseHTTPRequestHandler], None]
TEXT = "Hi, it is zofia 😀 née malý"


@contextmanager
def server(*answers: Answer) -> Iterator[tuple[FindingRedactor, list[Any]]]:
    """Answer one request after the other as told, the last answer for good; yields a redactor and the requests' bodies."""
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            (left.pop(0) if len(left) > 1 else left[0])(self)

        def log_message(self, *_: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    settings = Settings(aws_endpoint=f"http://127.0.0.1:{http.server_port}", store_timeout_s=5)
    comprehend = client("comprehend", settings, attempts=1)
    slept: list[float] = []
    try:
        yield FindingRedactor(ComprehendFinder(comprehend, sleep=slept.append, clock=lambda: sum(slept))), asked
    finally:
        comprehend.close()
        http.shutdown()
        http.server_close()
        thread.join()


def reply(status: int, body: bytes, *, length: int | None = None) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/x-amz-json-1.1")
        request.send_header("Content-Length", str(length or len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def found(*spans: tuple[str, int, int]) -> bytes:
    entities = [{"Type": kind, "BeginOffset": a, "EndOffset": b, "Score": 0.9} for kind, a, b in spans]
    return json.dumps({"Entities": entities}).encode()


def refused(code: str, status: int = 400) -> Answer:
    return reply(status, json.dumps({"__type": code, "message": "no"}).encode())


def hangs_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.close()


def redact(redactor: FindingRedactor) -> list[str]:
    return [turn.text for turn in redactor.redact([Turn(speaker="customer", start_s=0, text=TEXT)]).turns]


def test_a_real_request_and_answer_after_a_throttle() -> None:
    place = TEXT.index("malý")
    with server(refused("ThrottlingException"), reply(200, found(("NAME", 10, 15), ("NAME", place, place + 4)))) as (
        one,
        asked,
    ):
        assert redact(one) == ["Hi, it is [name] 😀 née [name]"]
    assert asked == 2 * [{"Text": TEXT.replace("😀", "*"), "LanguageCode": "en"}]


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"{}"),
        reply(200, b"<html>proxy says hello</html>"),
        reply(200, found(("NAME", 10, 15))[:-20]),
        reply(200, found(("NAME", 10, 15))[:-20], length=len(found(("NAME", 10, 15)))),
        reply(200, found(("NAME", 10, 150))),
        reply(200, b'{"Entities": null}'),
        reply(200, b'{"Entities": [{"Type": "NAME", "BeginOffset": "10", "EndOffset": "15"}]}'),
        refused("TextSizeLimitExceededException"),
        refused("InternalServerException", 500),
        hangs_up,
    ],
)  # fmt: skip
def test_any_other_answer_keeps_nothing(answer: Answer) -> None:
    with server(answer) as (one, _), pytest.raises((CallFailed, StoreError)) as caught:
        redact(one)
    if isinstance(caught.value, CallFailed):
        assert caught.value.reason is FailureReason.REDACTION
    assert "zofia" not in str(caught.value)
