"""A server that answers like Bedrock's Converse and keeps the books: which item each call was for, begun and answered."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MARK = re.compile(r"item(\d{4})")
TEXT = "The customer asked about the account. The request is still open, and nobody has answered it so far."
TOKENS_IN, TOKENS_OUT = 6000, 200


class Books:
    """The calls of each item: those that arrived (and are paid), and those that were answered to a living client."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.arrived: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        self.at_once = 0
        self.most_at_once = 0


@contextmanager
def paid_model(takes_s: float) -> Iterator[tuple[str, Books]]:
    """Serve until the end of the block; yields the address and the books."""
    books = Books()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            item = int(MARK.findall(body)[-1])
            with books.lock:
                books.arrived[item] += 1
                books.at_once += 1
                books.most_at_once = max(books.at_once, books.most_at_once)
            time.sleep(takes_s)
            with books.lock:
                books.at_once -= 1
            answer = {
                "output": {"message": {"role": "assistant", "content": [{"text": TEXT}]}},
                "stopReason": "end_turn",
                "usage": {
                    "inputTokens": TOKENS_IN, "outputTokens": TOKENS_OUT, "totalTokens": TOKENS_IN + TOKENS_OUT,
                },
                "metrics": {"latencyMs": 1},
            }  # fmt: skip
            payload = json.dumps(answer).encode()
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
                self.wfile.flush()
            except OSError:
                return  # the caller was killed
            with books.lock:
                books.answered[item] += 1

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A killed caller resets its connection."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", books
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
