"""Runs `omni` with the throw-away parcel service in its house, and serves the model that answers for it over Converse.

``python tests/parcel_desk.py FOLDER eval ...`` is `omni eval ...` with the task of the folder, which ``ThrowAway`` has filled.
"""

import json
import re
import runpy
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import eval.harvest.sources
import eval.suites
import service.core.tasks
from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.unit.question import Said, ToolTurn, Use

if len(sys.argv) > 2 and Path(sys.argv[0]).stem == "parcel_desk":
    # At import, because the processes that score import this module, too.
    for package, name in ((service.core.tasks, "tasks"), (eval.suites, "suites"), (eval.harvest.sources, "sources")):
        package.__path__.append(str(Path(sys.argv[1]) / name))

_SPOKEN = re.compile(r"^(Customer|Assistant): (.*)$", re.MULTILINE)


def so_far(body):
    """Return what a request in Converse's form tells of the conversation and of the tools used in this turn."""
    first, *rest = body["messages"]
    prompt = first["content"][0]["text"]
    history, message = (
        re.search(rf"<{tag}>(.*?)</{tag}>", prompt, re.DOTALL)[1].strip() for tag in ("history", "message")
    )
    spoken = tuple(Spoken(by=by.lower(), text=text) for by, text in _SPOKEN.findall(history))
    turns = []
    for asked, told in zip(rest[::2], rest[1::2], strict=True):
        uses = [block["toolUse"] for block in asked["content"] if "toolUse" in block]
        contents = [block["toolResult"]["content"][0] for block in told["content"]]
        turns.append(
            ToolTurn(
                text="",
                uses=tuple(Use(tool=use["name"], arguments=use["input"], call_id=use["toolUseId"]) for use in uses),
                contents=tuple(
                    content["text"] if "text" in content else json.dumps(content["json"]) for content in contents
                ),
            )
        )
    return DialogueSoFar(
        inputs=DialogueInputs(conversation_id="conv", message=message, history=spoken), turns=tuple(turns)
    )


def _content(said):
    if isinstance(said, Said):
        uses = [{"toolUseId": use.call_id, "name": use.tool, "input": dict(use.arguments)} for use in said.uses]
        return [{"toolUse": use} for use in uses], "tool_use"
    return [{"text": said}], "end_turn"


@contextmanager
def desk(answer, takes_s):
    """Serve ``answer`` until the end of the block; yields the address and the requests as they arrive: each is paid."""
    arrived = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            arrived.append(json.dumps(body["messages"], sort_keys=True))
            time.sleep(takes_s)
            content, reason = _content(answer(so_far(body)))
            payload = json.dumps(
                {
                    "output": {"message": {"role": "assistant", "content": content}},
                    "stopReason": reason,
                    "usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110},
                    "metrics": {"latencyMs": 1},
                }
            ).encode()
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                return  # the caller was killed

        def log_message(self, format, *args):
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            """A killed caller resets its connection."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", arrived
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    sys.argv = ["omni", *sys.argv[2:]]
    runpy.run_module("omni", run_name="__main__", alter_sys=True)
