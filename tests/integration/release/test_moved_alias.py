"""Requests while production is moved by real signed releases: each answer is wholly of one of them."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from eval.release.ledger import Ledger
from eval.tracking.store import Tracking
from service.answers_kept.store import Summaries
from service.app import create_app
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.release.registry import RegistryPairSource
from service.core.tasks.summarize import TASK
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT, Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SAYS = {
    "first": "The customer disputes a bill of $284.60; it is open.",
    "second": "A bill of $284.60 is disputed by the customer.",
}
ACCOUNTS = [f"{number:010d}" for number in range(160)]


class Model:
    """Answers by the prompt that it was given, and takes long enough for production to move meanwhile."""

    async def complete(self, call):
        await asyncio.sleep(0.03)
        prompt = call.messages[0].content
        text = next(text for name, text in SAYS.items() if prompt.startswith(f"Pair {name}."))
        return ModelReply(
            text=text, usage=Usage(input_tokens=9), stop_reason="end_turn", latency_ms=30.0, answered_by="nova-lite"
        )


class Kept(Summaries):
    """Remembers what would be stored."""

    def __init__(self):
        super().__init__()
        self.records = {}

    async def keep(self, record, *, patience_s):
        self.records[record.request_id] = record
        return True


@pytest.fixture
def releases(tmp_path, notary):
    """A store with ``first`` in production, and a way to release either."""
    (tmp_path / "trusted.pem").write_text(notary.public_pem(), encoding="utf-8")
    settings = Settings(
        state_dir=tmp_path, registry_uri=f"sqlite:///{tmp_path}/mlflow.db", trusted_keys=tmp_path / "trusted.pem"
    )
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.release.trusted_keys)
    ledger = Ledger("summarize", tracking, settings, notary.keys)
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    file = load_pair(REPO_ROOT / "prompts/summarize/nova-lite.prompty", cards=cards, task_variables=TASK.variables)
    pairs = {
        name: replace(
            file,
            version=version,
            messages=(
                replace(file.messages[0], content=f"Pair {name}. {file.messages[0].content}"),
                *file.messages[1:],
            ),
        )
        for name, version in (("first", "1.0.0"), ("second", "2.0.0"))
    }

    def publish(name, kind="promote"):
        before = ledger.releases()
        now = datetime.now(UTC)
        evidence = notary.attestation(
            pairs[name],
            baseline_digest=before[0].pair_digest if before else None,
            issued_at=now,
            expires_at=now + timedelta(days=1),
        )
        return ledger.publish(
            pairs[name],
            tracking.register(pairs[name]),
            kind=kind,
            gate_run_id="0" * 32,
            attestation=notary.sign(evidence),
            why="w",
            from_digest=before[0].pair_digest if before else None,
            after=before[0].sequence if before else 0,
            signer=notary.signer,
        )

    publish("first")
    return settings, publish


@pytest.mark.acceptance("answer.pair_digest", "answer.registry_version", "promise-13")
def test_every_answer_is_wholly_of_one_release(releases, api_runtime):
    settings, publish = releases
    source, kept = RegistryPairSource("summarize", settings), Kept()
    source.refresh()
    names = {("v1.0.0", source.current().pair.digest, 1): "first"}
    runtime = api_runtime(pair_sources={"summarize": source}, gateway=Model(), summaries=kept)
    done = threading.Event()

    with TestClient(create_app(runtime=runtime)) as client, ThreadPoolExecutor(4) as threads:

        def ask(account):
            return client.post("/omni-channel-insights", json={"account_number": account, "contact_id": "c"})

        def ask_on():
            answers = []
            while not done.is_set() or len(answers) < 20:
                answers.append(ask(ACCOUNTS[len(answers) % len(ACCOUNTS)]))
            return answers

        running = [threads.submit(ask_on) for _ in range(4)]
        for name, kind in (("second", "promote"), ("first", "rollback"), ("second", "promote"), ("first", "rollback")):
            release = publish(name, kind)
            names[f"v{'1' if name == 'first' else '2'}.0.0", release.pair_digest, release.registry_version] = name
            source.refresh()
            assert source.current().sequence == release.sequence
            threading.Event().wait(0.2)  # some requests of each release
        done.set()
        answers = [answer for one in running for answer in one.result()]

    seen = set()
    for answer in answers:
        assert answer.status_code == 200
        body = answer.json()
        name = names[body["prompt_version"], body["pair_digest"], body["registry_version"]]
        seen.add(name)
        assert body["summary"] == SAYS[name]
        assert answer.headers["x-model-used"] == body["model_used"]
        record = kept.records[body["request_id"]]
        assert (record.prompt_version, record.pair_digest, record.registry_version, record.summary) == (
            body["prompt_version"],
            body["pair_digest"],
            body["registry_version"],
            SAYS[name],
        )
    assert seen == {"first", "second"}
