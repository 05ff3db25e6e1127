"""The bank's assistant from its release to the audit, on a local AWS: a promise that is kept, and a caller through Lex."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from loopback import serving
from notary import Notary

from eval.release.ledger import Ledger
from eval.tracking.store import Tracking
from service.access.control import local_token
from service.channels.amazon_lex.lex import LexChannel
from service.channels.amazon_lex.service_client import ServiceClient
from service.core.run.task import load_task
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.frame.clock import set_clock
from service.kit.settings import REPO_ROOT
from service.runtime import build_runtime

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LONG_S = 120
OPEN = datetime(2025, 12, 9, 10, 30, tzinfo=UTC)  # past, because the warehouse refuses what is yet to happen
PATH = "/v1/assistant/conversations"
RECORDED = Path(__file__).parents[2] / "recorded" / "lex" / "speech_first_turn.json"


def release_rules(settings, notary):
    """Release the pair `rules`, with time enough for a busy machine."""
    cards, task = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml"), load_task("assistant")
    path = REPO_ROOT / "prompts" / "assistant" / "rules.prompty"
    pair = load_pair(path, cards=cards, task_variables=task.variables)
    pair = replace(pair, serving=replace(pair.serving, deadline_ms=60_000))
    tracking, day = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file), timedelta(days=1)
    times = {"issued_at": OPEN - timedelta(seconds=5), "expires_at": OPEN + day}  # by the clock of the settings
    evidence = notary.sign(notary.attestation(pair, baseline_digest=None, **times))
    Ledger("assistant", tracking, settings, notary.keys).publish(
        pair,
        tracking.register(pair),
        kind="promote",
        gate_run_id="0" * 32,
        attestation=evidence,
        why="w",
        from_digest=None,
        after=0,
        signer=notary.signer,
    )


class House:
    """A service of the released pair within opening hours, and the command line beside it."""

    def __init__(self, settings, folder, address):
        self.settings, self.folder, self.url = settings, folder, f"http://{address}"

    def omni(self, *words, at):
        """Return what a command prints at that time."""
        set_clock(self.settings.clock_file, at)
        environment = {name: text for name, text in os.environ.items() if not name.startswith("OMNI_")} | {
            "OMNI_AWS_ENDPOINT": self.settings.aws.endpoint,
            "OMNI_CLOCK_FILE": str(self.settings.clock_file),
            "OMNI_STATE_DIR": str(self.settings.state_dir),
            "OMNI_STORE_TIMEOUT_S": "10",
            "OMNI_WAREHOUSE_PATH": str(self.folder / "house.duckdb"),
            "OMNI_WAREHOUSE_REDACTOR": "patterns",
            "PYTHONPATH": str(REPO_ROOT),
        }
        command = [sys.executable, "-m", "omni", *words]
        ran = subprocess.run(command, env=environment, text=True, capture_output=True, cwd=REPO_ROOT)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def client(self, kind):
        headers = {"authorization": f"Bearer {local_token(self.settings).text}"}
        return kind(base_url=self.url, timeout=LONG_S, headers=headers)


@pytest.fixture
def house(local_aws, tmp_path, monkeypatch):
    notary, clock = Notary(), tmp_path / "clock"
    (tmp_path / "trusted.pem").write_text(notary.public_pem(), encoding="utf-8")
    set_clock(clock, OPEN)
    settings = local_aws(
        state_dir=tmp_path / "state",
        registry_uri=f"sqlite:///{tmp_path}/mlflow.db",
        trusted_keys=tmp_path / "trusted.pem",
        required_tasks=("assistant",),
        clock_file=clock,
    )
    release_rules(settings, notary)
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: OPEN)
    monkeypatch.setattr(tools, "live_bank", lambda: bank)
    monkeypatch.setattr("service.core.tasks.assistant.live_bank", lambda: bank)
    with ExitStack() as running:
        made = House(settings, tmp_path, running.enter_context(serving(build_runtime(settings))))
        made.stop = running.close
        until_ready(made)
        yield made


def until_ready(house):
    ends = time.monotonic() + LONG_S
    with house.client(httpx2.Client) as http:
        while http.get("/readyz").status_code != 200:
            assert time.monotonic() < ends
            time.sleep(0.1)


def promised(house):
    """Have a customer ask for a callback, and return the last answer."""
    with house.client(httpx2.Client) as http:
        conversation = http.post(PATH, json={}).json()["conversation_id"]
        for message in ("Please call me back", "07700 900123", "Yes, please."):
            answer = http.post(f"{PATH}/{conversation}/messages", json={"message": message})
            assert answer.status_code == 200, answer.text
        return answer.json()


async def called(house):
    """Have a caller ask for a fee and then for a person, by recorded events of Lex, and return both answers."""
    async with house.client(httpx2.AsyncClient) as http:
        channel = LexChannel(
            ServiceClient(http=http, task="assistant", timeout_s=LONG_S), verified={}, timeout_s=LONG_S
        )
        event = json.loads(RECORDED.read_text())
        event["inputTranscript"] = "how much is a premium debit card"
        told = await channel.handle(event)
        event["inputTranscript"] = "let me speak to a human"
        event["sessionState"]["sessionAttributes"] = told["sessionState"]["sessionAttributes"]
        return told, await channel.handle(event)


@pytest.mark.acceptance("handover-13", "audit-14", "bot-test-09")
async def test_a_promise_is_rung_a_caller_is_transferred_and_the_audit_shows_it(house):
    answer = promised(house)
    assert answer["made_by"]["pair"] == "rules"
    (waiting,) = json.loads(house.omni("callbacks", "list", "--json", at=OPEN))
    due = datetime.fromisoformat(waiting["due_at"])
    assert "callbacks: 1 closed; 0 waiting, 0 overdue" in house.omni("callbacks", "work", at=due)
    assert json.loads(house.omni("callbacks", "list", "--json", at=due)) == []

    told, ended = await called(house)
    assert "£12" in " ".join(each["content"] for each in told["messages"])
    assert ended["sessionState"]["sessionAttributes"]["transfer_to_agent"] == "true"
    caller = ended["sessionState"]["sessionAttributes"]["conversation_id"]

    later = due + timedelta(hours=1)
    house.stop()  # all that it has to write is written
    house.omni("load-events", at=later)
    (shown,) = json.loads(house.omni("audit", "handovers", "--format", "json", "--session", caller, at=later))
    assert (shown["reason"], shown["total_turns"], shown["task"]) == ("explicit_request", 2, "assistant")
