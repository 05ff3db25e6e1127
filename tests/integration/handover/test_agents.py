"""Two real processes on one queue: the customer writes to one, agents work at both, and a killed one loses nobody."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from access_place import keep_clients
from made_tables import make_table

from service.access.clients import new_secret
from service.desk.build import open_callbacks
from service.kit.aws.clients import client
from service.kit.aws.stores import HANDOVERS
from service.kit.settings import REPO_ROOT, Settings

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LONG_S = 120
SERVER = Path(__file__).parents[2] / "handover_server.py"
CHATS, LIST = "/v1/assistant/conversations", "/v1/handovers"
SECRET = new_secret()
SCOPES = {"web": "task:assistant", "anna": "handovers", "bert": "handovers"}


class Process:
    def __init__(self, endpoint, folder, table):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._running = subprocess.Popen(
            [sys.executable, str(SERVER), str(self.port), endpoint, str(folder), table],
            env={**os.environ, "PYTHONPATH": f"{REPO_ROOT}:{SERVER.parent}"},
        )
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=LONG_S)

    def until_it_listens(self):
        ends = time.monotonic() + LONG_S
        while True:
            try:
                return self.http.get("/healthz")
            except httpx2.HTTPError:
                assert time.monotonic() < ends
                assert self._running.poll() is None
                time.sleep(0.1)

    def ask(self, who, path, body=None):
        fields = {"grant_type": "client_credentials", "client_id": who, "client_secret": SECRET}
        token = self.http.post("/oauth/token", data=fields).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        if body is None:
            return self.http.get(path, headers=headers)
        return self.http.post(path, json=body, headers=headers)

    def kill(self):
        self._running.send_signal(signal.SIGKILL)
        self._running.wait(LONG_S)
        self.http.close()


@pytest.fixture(scope="module")
def endpoint(local_aws):
    return local_aws().aws.endpoint


@pytest.fixture
def processes(endpoint, tmp_path):
    settings = Settings(state_dir=tmp_path, access_dir=tmp_path / "access")
    keep_clients(settings, SECRET, **{name: {"scopes": [scope]} for name, scope in SCOPES.items()})
    table = f"handovers-{uuid.uuid4().hex[:8]}"  # nobody else waits in it
    make_table(client("dynamodb", Settings(aws_endpoint=endpoint)), HANDOVERS, table)
    running = [Process(endpoint, tmp_path, table) for _ in range(2)]
    try:
        for each in running:
            each.until_it_listens()
        yield running
    finally:
        for each in running:
            each.kill()


def handed_over(process, message="I'd like to open a savings account in a branch"):
    conversation = process.ask("web", CHATS, {}).json()["conversation_id"]
    for said in (message, "I want to speak to a person"):
        told = process.ask("web", f"{CHATS}/{conversation}/messages", {"message": said}).json()
    assert told["state"] == "handed_over", told
    return conversation


@pytest.mark.acceptance("handover-15")
def test_a_customer_of_one_process_is_answered_by_an_agent_at_the_other(processes):
    one, other = processes
    conversation = handed_over(one)
    (waiting,) = other.ask("anna", LIST).json()["waiting"]
    path = f"{LIST}/{waiting['handover_id']}"
    with ThreadPoolExecutor(2) as both:
        takes = [
            both.submit(process.ask, who, f"{path}/take", {"name": who.title()})
            for process, who in ((one, "anna"), (other, "bert"))
        ]
        answers = {who: done.result() for who, done in zip(("anna", "bert"), takes, strict=True)}
    codes = sorted(answer.status_code for answer in answers.values())
    assert codes == [200, 409]
    agent = next(who for who, answer in answers.items() if answer.status_code == 200)
    summary = answers[agent].json()["summary"]
    assert summary["customer_query"] == "I'd like to open a savings account in a branch"
    one.kill()  # nothing of it stood in that process
    said = other.ask(agent, f"{path}/messages", {"message": "Hello", "message_id": "a-1"})
    assert said.status_code == 200, said.text
    read = other.ask("web", f"{CHATS}/{conversation}").json()
    assert (read["said"][-1]["text"], read["person"]) == ("Hello", agent.title())
    ended = other.ask(agent, f"{path}/close", {"ended": "callback", "phone": "07700 900123"})
    assert ended.status_code == 200, ended.text
    assert other.ask("web", f"{CHATS}/{conversation}").json()["state"] == "closed"
    assert other.ask("anna", LIST).json()["waiting"] == []


def test_the_end_with_a_callback_leaves_one_for_the_worker(processes, endpoint, tmp_path):
    one, other = processes
    handed_over(one)
    (waiting,) = one.ask("anna", LIST).json()["waiting"]
    path = f"{LIST}/{waiting['handover_id']}"
    one.ask("anna", f"{path}/take", {"name": "Anna"})
    for process in (one, other):  # a repetition, at whichever process
        closed = process.ask("anna", f"{path}/close", {"ended": "callback", "phone": "07700 900456"})
        assert (closed.status_code, closed.json()["ended"]) == (200, "callback")
    kept = open_callbacks(Settings(aws_endpoint=endpoint, state_dir=tmp_path)).store.get(waiting["handover_id"])
    assert kept is not None
    assert kept.is_open


@pytest.mark.acceptance("connect-10", "handover-12")
def test_places_are_those_of_one_queue(processes):
    one, other = processes
    first, second = handed_over(one), handed_over(other)
    read = [other.ask("web", f"{CHATS}/{each}").json()["queue"]["position"] for each in (first, second)]
    assert read == [1, 2]
    urgent = one.ask("web", CHATS, {}).json()["conversation_id"]
    said = {"message": "My husband has died and I need help with his account"}
    told = one.ask("web", f"{CHATS}/{urgent}/messages", said).json()
    assert told["reply"].endswith("You're next in line. A specialist will be with you shortly.")
    read = [one.ask("web", f"{CHATS}/{each}").json()["queue"]["position"] for each in (first, second)]
    assert read == [2, 3]
