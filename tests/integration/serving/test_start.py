"""A start under load: no connection is accepted before the service can answer, and a 503 says when to come again."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest
import uvicorn
from builders import changed
from starlette.testclient import TestClient

from service.app import create_app
from service.commands.serve import _bound
from service.core.release.served import PairSourceStatus
from service.kit.frame.errors import ConfigurationError, RegistryError
from service.kit.settings import Settings

pytestmark = pytest.mark.slow
LONG_S = 60  # far longer than anything here takes


class Late:
    """A pair source that has nothing until ``found`` is set."""

    def __init__(self, real, error=None):
        self.real, self.error, self.found = real, error, threading.Event()

    def current(self):
        if not self.found.is_set():
            raise RegistryError("no verified pair to serve yet")
        return self.real.current()

    def status(self):
        if self.found.is_set():
            return self.real.status()
        return PairSourceStatus(served=None, last_refresh_at=None, last_error=self.error, age_s=None)

    def start(self):
        pass

    def stop(self):
        pass


@pytest.fixture
def late(api_runtime):
    runtime = api_runtime()
    source = Late(runtime.answering.pair_sources["summarize"])
    return changed(runtime, pair_sources={"summarize": source}), source


def accepts(port):
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_no_connection_is_accepted_before_the_pair_is_loaded(late):
    runtime, source = late
    claimed = _bound(Settings(port=0))
    port = claimed.getsockname()[1]
    assert not accepts(port)
    app = create_app(runtime=runtime, patience_s=LONG_S)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    opened = threading.Event()
    runtime.summaries.open = opened.set  # the lifespan has begun
    thread = threading.Thread(target=server.run, kwargs={"sockets": [claimed]}, daemon=True)
    thread.start()
    assert opened.wait(LONG_S)
    assert not accepts(port)
    source.found.set()
    until = time.monotonic() + LONG_S
    while not accepts(port) and time.monotonic() < until:
        time.sleep(0.01)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=LONG_S) as first:
        assert json.load(first)["ready"]
    server.should_exit = True
    thread.join(LONG_S)


def test_a_service_without_a_release_listens_and_says_why(late):
    runtime, source = late
    source.error = "nothing was released"
    with TestClient(create_app(runtime=runtime, patience_s=LONG_S)) as client:
        answer = client.get("/readyz")
        asked = client.post("/omni-channel-insights", json={"account_number": "1234567890", "contact_id": "c"})
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert (asked.status_code, asked.json()["code"]) == (503, "UPSTREAM_UNAVAILABLE")
    assert {answer.headers["retry-after"], asked.headers["retry-after"]} == {"2"}


def test_a_port_in_use_is_named_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigurationError, match="cannot be used"):
        _bound(Settings(port=other.getsockname()[1]))
