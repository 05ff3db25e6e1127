"""An agent desktop with the widget: a page of another origin under a strict policy, and models that stream when they are told."""

import asyncio
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import uvicorn
from builders import FakeFeedback, changed, summary_record

from service.answers_kept.feedback import RatedRow
from service.app import create_app
from service.core.llm.logged_gateway import LoggedGateway
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.llm.streaming import StreamingGateway
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import StoreError, UpstreamUnavailable
from service.kit.settings import REPO_ROOT

ACCOUNT = "1234567890"
PIECES = ("The customer ", "disputes a bill ", "of $284.60 since ", "November; it is open and unpaid so far.")
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Desk</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/desk.css"><script type="module" src="http://{service}/widget.js"></script></head>
<body><h1>Agent desktop</h1><main></main></body></html>"""
_STYLE = """html { color-scheme: light dark; background: Canvas; color: CanvasText; }
body { margin: 1rem; font: 15px system-ui, sans-serif; }"""
# Without inline scripts and styles, and with nothing of other hosts than the service.
_POLICY = (
    "default-src 'none'; script-src http://{service}; connect-src http://{service}; style-src 'self'; img-src data:; "
    "base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


class Desk:
    """Serves the page until it is closed; ``service`` is the host and port of what it shows, also in a frame if ``framing``."""

    def __init__(self, framing=False):
        self.service, desk = "", self
        policy = _POLICY + ("; frame-src http://{service}; style-src-attr 'unsafe-inline'" if framing else "")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                style = self.path == "/desk.css"
                body = (_STYLE if style else _PAGE.format(service=desk.service)).encode()
                self.send_response(200)
                self.send_header("content-type", "text/css" if style else "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.send_header("content-security-policy", policy.format(service=desk.service))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def kept_feedback(failures=0):
    """A feedback store that fails as often as it is told, and keeps the rest."""
    failing = iter(range(failures))

    def found(target):
        if next(failing, None) is not None:
            raise StoreError("table 'omni-summaries' gave no answer within 2 s")
        return RatedRow(key="x", record=summary_record(request_id=target.request_id, account_number=ACCOUNT))

    return FakeFeedback(found)


class RestartableService:
    """One address at which a runtime is served, stopped and served again."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.address, self._server, self._thread = f"127.0.0.1:{self.port}", None, None

    def start(self, runtime):
        listener = socket.create_server(("127.0.0.1", self.port))
        config = uvicorn.Config(
            create_app(runtime=runtime), log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()

    def stop(self):
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join(20)
            self._server = None


class ToldModel:
    """Streams ``pieces``; waits before each for its turn if it is ``held``, and breaks off after ``fails_after`` of them."""

    def __init__(self, pieces=PIECES, fails_after=None, held=False):
        self.pieces, self.fails_after, self.calls = pieces, fails_after, 0
        self._turns = threading.Semaphore(0) if held else None

    def go(self, pieces=1):
        self._turns.release(pieces)

    def _reply(self):
        return ModelReply(
            text="".join(self.pieces),
            usage=Usage(input_tokens=3000, output_tokens=200),
            stop_reason="end_turn",
            latency_ms=1.0,
            answered_by="nova-lite",
        )

    async def complete(self, call):
        return self._reply()

    async def stream(self, call, on_text):
        self.calls += 1
        for number, piece in enumerate(self.pieces):
            while self._turns is not None and not self._turns.acquire(blocking=False):  # noqa: ASYNC110 - told by a thread
                await asyncio.sleep(0.01)
            if number == self.fails_after:
                raise UpstreamUnavailable("nova-lite broke off")
            on_text(piece)
        return self._reply()


def told_runtime(api_runtime, model, **changes):
    """Return a runtime that serves nova-lite's pair with this model, without a backup and without a hurry."""
    made = api_runtime(**changes)
    source = made.answering.pair_sources["summarize"]
    pair = load_pair(
        REPO_ROOT / "prompts" / "summarize" / "nova-lite.prompty",
        cards=made.answering.cards,
        task_variables=made.answering.tasks["summarize"].variables,
    )
    source.served = replace(
        source.served, pair=replace(pair, backup=None, serving=replace(pair.serving, deadline_ms=60_000))
    )
    return changed(
        made, gateway=LoggedGateway(StreamingGateway(model), made.answering.cards), pair_sources={"summarize": source}
    )
