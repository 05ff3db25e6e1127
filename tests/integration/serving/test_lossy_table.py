"""Counts of two processes over a wire that loses requests and answers: in the end each request is counted once."""

import http.client
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from service.kit.records.shared_state import open_shared_state
from service.rollouts.live_counts import Observation
from service.rollouts.shared_counts import SharedCounts

pytestmark = pytest.mark.slow


class Lossy(ThreadingHTTPServer):
    """Forwards to ``endpoint``; loses a share of the requests before they arrive, and of the answers to those that did."""

    daemon_threads = True

    def __init__(self, endpoint):
        super().__init__(("127.0.0.1", 0), _Forward)
        self.target, self.share, self.random = urlsplit(endpoint), 0.0, random.Random(5)
        self.lost = {"request": 0, "answer": 0}

    def loses(self, what):
        lost = self.random.random() < self.share
        self.lost[what] += lost
        return lost


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.loses("request"):
            self.close_connection = True
            return
        there = http.client.HTTPConnection(self.server.target.hostname, self.server.target.port, timeout=30)
        there.request("POST", self.path, body, dict(self.headers))
        answer = there.getresponse()
        content = answer.read()
        there.close()
        if self.server.loses("answer"):
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def wire(local_aws):
    settings = local_aws()
    server = Lossy(settings.aws.endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    yield server, settings.model_copy(update={"aws_endpoint": address})
    server.shutdown()
    server.server_close()


def test_each_request_is_counted_once_whatever_the_wire_loses(wire, tmp_path):
    server, settings = wire
    state, now = open_shared_state(settings), [1_800_000_000.0]
    tasks = [
        SharedCounts("rollout/demo", tmp_path / name, state, writer=name, wall=lambda: now[0])
        for name in ("one", "other")
    ]
    for task in tasks:
        task.begin(1)
    server.share = 0.3
    failures, sent = 0, 0
    for number in range(60):
        for task in tasks:
            for _ in range(number % 4):
                task.count("candidate", lambda counts: counts.add(Observation(latency_ms=100.0, cost_usd=0.000123)))
                sent += 1
            task.share()
            failures += task.error is not None
        now[0] += 2.0
    assert failures > 10
    assert min(server.lost.values()) > 10
    server.share = 0.0
    for task in (*tasks, *tasks):
        task.share()
    for task in tasks:
        found = task.sides()["candidate"]
        assert (found.requests, found.priced, sum(found.latencies.values())) == (sent, sent, sent)
        assert found.cost_usd == pytest.approx(sent * 0.000123)
    assert not list(tmp_path.rglob("counts-*"))
