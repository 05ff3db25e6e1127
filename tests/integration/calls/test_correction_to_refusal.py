"""From a QA lead's click to a pair that the gate refuses: real stores, a real service, real processes."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from call_place import add_tenant
from queues import UntilEmpty, announced

from eval.harvest.candidates import week_of
from eval.spine.cases import load_cases
from eval.suites.scorecard.labels import ScorecardExpectations
from service.access.control import open_access, open_changes
from service.calls.worker.build import build_worker
from service.calls.worker.people import carry
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.form import Form
from service.local.stores.deploy import deploy_stores
from service.runtime import build_runtime

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
CRITERIA = [
    {"id": "greet", "question": "Did the agent say good morning and help?", "weight": 1, "required": True},
    {"id": "sorry", "question": "Was the agent sorry to hear of the trouble?", "weight": 1},
    {"id": "notice", "question": "Did the agent announce the recording purposes?", "weight": 1},
]
# The pair keywords finds the words of the question, and so a greeting.
TURNS = [
    {"speaker": "agent", "start_s": 0.0, "text": "I cannot say that it is a good morning, but I will help with the kiln."},
    {"speaker": "customer", "start_s": 6.0, "text": "My name is Delphine Marchetti, card 4111 1111 1111 1111, it is the kiln."},
    {"speaker": "agent", "start_s": 15.0, "text": "I am sorry to hear of the trouble with your kiln, a fitter comes on Friday."},
]  # fmt: skip


@pytest.fixture(scope="module")
def settings(local_aws, tmp_path_factory):
    """A root with the pair keywords and the gate set, over a local AWS of its own."""
    root = tmp_path_factory.mktemp("root")
    for folder in ("prompts/scorecard", "datasets/scorecard"):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / "prompts" / "models.yaml", root / "prompts")
    shutil.copy(ROOT / "prompts" / "scorecard" / "keywords.prompty", root / "prompts" / "scorecard")
    shutil.copy(ROOT / "datasets" / "scorecard" / "gate.jsonl", root / "datasets" / "scorecard")
    (root / "datasets" / "scorecard" / "README.md").write_text(
        "# Card\n\n| file | rows | sha256 | for |\n|---|---|---|---|\n| `gate.jsonl` | 120 cases | `x` | the gate |\n\nend\n",
        encoding="utf-8",
    )
    made = local_aws(
        root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/mlflow.db", redactor="patterns"
    )
    deploy_stores(made)
    return made


def omni(settings, *arguments):
    environment = os.environ | {
        "OMNI_ROOT": str(settings.root),
        "OMNI_STATE_DIR": str(settings.state_dir),
        "OMNI_REGISTRY_URI": settings.registry.uri,
        "OMNI_AWS_ENDPOINT": settings.aws.endpoint,
        "OMNI_STORE_TIMEOUT_S": "20",
        "PYTHONPATH": str(ROOT),
    }
    line = [sys.executable, "-m", "omni", *arguments, "--task", "scorecard"]
    return subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)


@pytest.fixture
async def worker(settings):
    """A worker that has scored two calls of a tenant with the pair keywords; the second is one of the gate set."""
    worker = build_worker(settings, pair="keywords")
    worker = replace(worker, queue=UntilEmpty(worker.queue), visible_after_s=1)
    fields = {"form_id": "support", "tenant": "acme", "name": "Support", "version": 1, "pass_threshold": 0.5}
    form = Form.model_validate({**fields, "sections": [{"id": "all", "title": "All", "criteria": CRITERIA}]})
    await add_tenant(worker, "acme", form)
    body = json.dumps({"turns": TURNS, "call_date": "2026-11-16T09:00:00Z", "agent_id": "a-104"}).encode()
    announced(worker.queue, lambda: worker.inputs.put("acme/calls/one.json", body))
    with (ROOT / "datasets" / "scorecard" / "gate.jsonl").open(encoding="utf-8") as gate:
        known = json.dumps({"turns": json.loads(next(gate))["inputs"]["turns"], "call_date": "2026-11-17T09:00:00Z"})
    announced(worker.queue, lambda: worker.inputs.put("acme/calls/known.json", known.encode()))
    await worker.drain()
    return worker


@pytest.fixture
def click(settings, api_runtime):
    """Send a request as the tenant's QA lead, over a socket, to a service with the stores of the settings."""
    import uvicorn

    from service.app import create_app

    secret = open_changes(settings).add_client("lead", ["calls"], tenant="acme")
    access = open_access(settings)
    token = access.tokens.issue("lead", secret, None).text
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app = create_app(
            runtime=api_runtime(settings=settings, access=access, calls=build_runtime(settings).calls.reviews)
        )
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.02)

        def send(method, path, **more):
            url = f"http://127.0.0.1:{listening.getsockname()[1]}{path}"
            return httpx.request(method, url, headers={"authorization": f"Bearer {token}"}, timeout=60, **more)

        try:
            yield send
        finally:
            server.should_exit = True
            thread.join()


def decide(path, decision):
    """Write a decision into the only proposal, as a person does."""
    proposal = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(proposal | {"decision": decision}) + "\n", encoding="utf-8")


@pytest.mark.acceptance("qa-04")
def test_a_correction_becomes_a_case_that_refuses_the_pair_which_gets_it_wrong(settings, worker, click):
    # The click: a QA lead overrules one verdict and confirms another.
    known, call = click("GET", "/v1/calls").json()["calls"]  # the newest first
    result = click("GET", f"/v1/calls/{call['call_id']}").json()["result"]
    verdicts = {item["id"]: item["verdict"] for item in result["qa_evaluation"]["criteria"]}
    assert verdicts == {"greet": "yes", "sorry": "yes", "notice": "no"}
    place = f"/v1/calls/{call['call_id']}/criteria"
    said = {"edit": 0, "verdict": "no", "reason": "Nobody greets Delphine Marchetti (card 4111 1111 1111 1111)"}
    overruled = click("PUT", f"{place}/greet/override", json=said).json()
    assert overruled["agrees"] is False
    assert click("PUT", f"{place}/sorry/override", json={"edit": 0, "verdict": "yes"}).json()["agrees"] is True
    # A call of the gate set that comes by again: its verdicts are judged there already, and must not be tuned on.
    (first, *_) = click("GET", f"/v1/calls/{known['call_id']}").json()["result"]["qa_evaluation"]["criteria"]
    other = {"edit": 0, "verdict": "no" if first["verdict"] == "yes" else "yes", "reason": "I heard it otherwise."}
    of_gate = f"/v1/calls/{known['call_id']}/criteria/{first['id']}/override"
    assert click("PUT", of_gate, json=other).json()["agrees"] is False
    assert carry(worker) == 3
    week = week_of(datetime.fromisoformat(overruled["at"]).date())

    # Before anybody has accepted a case, the pair passes.
    before = omni(settings, "eval", "--pairs", "keywords")
    assert before.returncode == 0, before.stdout + before.stderr
    assert "regression case" not in before.stdout

    proposed = omni(settings, "harvest", "propose", "--week", week)
    assert "2 candidates, 1 proposed" in proposed.stdout, proposed.stdout + proposed.stderr
    assert "left out, copy of gate: 1" in proposed.stdout
    assert "proposed before: 1" in omni(settings, "harvest", "propose", "--week", week).stdout
    assert "0 candidates" in omni(settings, "harvest", "propose", "--week", week, "--slice", "tenant=brand").stdout
    path = settings.state_dir / "harvest" / "scorecard.jsonl"
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o077 == 0
    assert not any(secret in text for secret in ("Delphine", "Marchetti", "4111", "acme", "a-104"))
    proposal = json.loads(text)
    assert proposal["provenance"]["reason"] == "overruled"
    assert proposal["shown"] == "greet: yes; a person said no\n"
    answers = proposal["case"]["expectations"]["answers"]
    assert {name: label["verdict"] for name, label in answers.items()} == {"greet": "no", "sorry": "yes"}
    assert answers["sorry"]["quote"] in proposal["case"]["inputs"]["turns"][2]["text"]

    decide(path, "accept")
    accepted = omni(settings, "harvest", "accept")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    file = settings.datasets_dir / "scorecard" / "regression.jsonl"
    (case,) = load_cases(file, input_model=ScorecardInputs, expectations=ScorecardExpectations).cases
    assert case.id.startswith(f"reg-{week.lower()}-")
    card = (settings.datasets_dir / "scorecard" / "README.md").read_text(encoding="utf-8")
    assert "| `regression.jsonl` | 1 cases |" in card

    # The pair that got it wrong is refused, and cannot be released.
    after = omni(settings, "eval", "--pairs", "keywords")
    assert after.returncode == 1, after.stdout + after.stderr
    assert "FAIL verdicts of every regression case" in after.stdout
    assert f"1 of 1 cases that went wrong before go wrong again: {case.id}" in " ".join(after.stdout.split())
    refused = omni(settings, "promote", "keywords", "--why", "the floor")
    assert refused.returncode != 0, refused.stdout
