"""Two real processes on one table: one is killed, and the customer goes on with the other as if nothing had happened."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from assistant_by_model import PATH as BANK
from assistant_by_model import bank_model

from service.kit.settings import REPO_ROOT

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LONG_S = 120
SERVER = Path(__file__).parents[2] / "conversation_server.py"
PATH = "/v1/parcels/conversations"


class Process:
    def __init__(self, endpoint, folder, model_s="0", path=PATH, more=()):
        self._path = path
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._running = subprocess.Popen(
            [sys.executable, str(SERVER), str(self.port), endpoint, model_s, str(folder), *more],
            env={**os.environ, "PYTHONPATH": f"{REPO_ROOT}:{SERVER.parent}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=LONG_S)
        self._until_it_listens()

    def _read(self):
        with self._running.stdout as lines:
            for line in lines:
                self.lines.put(line.strip())

    def _until_it_listens(self):
        ends = time.monotonic() + LONG_S
        while True:
            try:
                return self.http.get("/healthz")
            except httpx2.HTTPError:
                assert time.monotonic() < ends
                assert self._running.poll() is None
                time.sleep(0.1)

    def start(self):
        return self.http.post(self._path, json={}).json()["conversation_id"]

    def say(self, conversation, message, message_id):
        url = f"{self._path}/{conversation}/messages"
        return self.http.post(url, json={"message": message, "message_id": message_id})

    def read(self, conversation):
        return self.http.get(f"{self._path}/{conversation}").json()

    def kill(self):
        self._running.send_signal(signal.SIGKILL)
        self._running.wait(LONG_S)
        self._reader.join(LONG_S)


@pytest.fixture(scope="module")
def endpoint(local_aws):
    return local_aws().aws.endpoint


@pytest.fixture
def started(endpoint, tmp_path):
    running = []

    def start(**options):
        running.append(Process(endpoint, tmp_path / str(len(running)), **options))
        return running[-1]

    yield start
    for each in running:
        each.kill()
        each.http.close()


@pytest.mark.acceptance("bot-test-07")
def test_a_conversation_goes_on_in_the_other_process(started):
    one, other = started(), started()
    conversation = one.start()
    asked = one.say(conversation, "Please send parcel AB123456 to another address, 12 Elm Street.", "m-1").json()
    one.kill()
    assert other.say(conversation, "Please send parcel AB123456 to another address, 12 Elm Street.", "m-1").json() == {
        **asked,
        "repeated": True,
    }
    done = other.say(conversation, "Yes, please.", "m-2").json()
    assert done["reply"] == "Parcel AB123456 goes to 12 Elm Street and is due on 2026-11-25."
    assert len(other.read(conversation)["said"]) == 5


@pytest.mark.acceptance("bot-test-07")
def test_the_bank_s_assistant_remembers_in_the_other_process_what_was_asked(started):
    with bank_model() as (url, arrived):
        one, other = (started(path=BANK, more=(url,)) for _ in range(2))
        conversation = one.start()
        first = "I'd like to open a savings account"
        asked = one.say(conversation, first, "m-1").json()
        assert (asked["action"], asked["asks"]) == ("clarify", ["channel"])
        one.kill()
        before = len(arrived)
        assert other.say(conversation, first, "m-1").json() == {**asked, "repeated": True}
        assert len(arrived) == before  # no model is asked again
        told = other.say(conversation, "in a branch, please", "m-2").json()
        assert told["action"] == "answer"
        assert "savings account in a branch" in told["reply"]
        assert len(other.read(conversation)["said"]) == 5


def test_a_message_outlives_the_process_that_was_answering_it(started):
    one, other = started(model_s="600"), started()
    conversation = one.start()
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(one.say, conversation, "Where is AB123456?", "m-1")
        assert one.lines.get(timeout=LONG_S) == "asked"
        one.kill()
        with pytest.raises(httpx2.HTTPError):
            lost.result(LONG_S)
    assert other.read(conversation)["waiting"] == ["m-1"]
    answer = other.say(conversation, "And when is it due?", "m-2").json()
    assert "2026-11-25" in answer["reply"]
    said = other.read(conversation)["said"]
    assert [(each["by"], each["message_id"]) for each in said[1:]] == [
        (by, name) for name in ("m-1", "m-2") for by in ("customer", "assistant")
    ]
    assert other.say(conversation, "Where is AB123456?", "m-1").json()["repeated"] is True
