"""A conversation with tools goes the whole loop on a local AWS: released, served, rated, loaded, reported and harvested."""

import json
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
import uvicorn
from queues import UntilEmpty
from throw_away import ThrowAway

from eval.evaluation.evaluate import Options, evaluate
from eval.harvest.candidates import find_candidates, week_of
from eval.harvest.propose import HarvestContext, propose
from eval.harvest.sources import load_case_source
from eval.release.promotion import promote_pair
from eval.spine.results import Verdict
from eval.suites import load_case_rules
from reports.run import write_weekly
from service.access.control import local_token
from service.app import create_app
from service.core.run.task import load_task
from service.loading.build import build_loader
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
HANG_S = 120.0
NUMBER, ADDRESS = "AB123456", "12 Elm Street"


@pytest.fixture
def settings(local_aws, tmp_path):
    task = ThrowAway(tmp_path, "parcels")
    uri = f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    yield local_aws(
        root=tmp_path,
        state_dir=tmp_path / "state",
        registry_uri=uri,
        required_tasks=("parcels",),
        keep_wait_ms=4000,
        warehouse_redactor="patterns",
    )
    task.remove()


@contextmanager
def served(settings):
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    headers = {"authorization": f"Bearer {local_token(settings).text}"}
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with httpx.Client(base_url=url, headers=headers, timeout=HANG_S) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client
    server.should_exit = True
    thread.join(HANG_S)


def until(condition):
    ends = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < ends, "did not happen"
        time.sleep(0.05)


def talked(client):
    """Return the answers of a conversation in which a parcel is sent elsewhere."""
    said, history, answers = (f"Please redirect parcel {NUMBER} to {ADDRESS}.", "Yes, please."), [], []
    for message in said:
        body = {"conversation_id": "talk-1", "message": message, "history": history}
        answer = client.post("/v1/parcels", json=body)
        assert answer.status_code == 200, answer.text
        answers.append(answer.json())
        reply = answers[-1]["output"]["reply"]
        history += [{"by": "customer", "text": message}, {"by": "assistant", "text": reply}]
    return answers


def rated(client, answer):
    body = {
        "request_id": answer["request_id"],
        "rating": "not_helpful",
        "reason": "incomplete",
        "edited_output": "It comes on Wednesday.",
    }
    until(lambda: client.post("/v1/parcels/feedback", json=body).status_code == 200)


def test_a_conversation_goes_round_the_loop(settings):
    pairs = {pair.pair_name: pair for pair in evaluate(Options(task="parcels"), settings).evaluation.pairs}
    assert [pairs[name].gate.verdict for name in ("obedient", "courteous")] == [Verdict.FAIL, Verdict.PASS]
    promote_pair("parcels", "courteous", "first", settings)
    live = sys.modules["service.core.tasks.parcels"].LIVE
    live["parcels"][NUMBER] = {"status": "on its way", "due": "2026-11-25", "address": "1 Old Road"}
    with served(settings) as client:
        answers = talked(client)
        assert live["parcels"][NUMBER]["address"] == ADDRESS
        assert {answer["pair"] for answer in answers} == {"courteous"}
        rated(client, answers[-1])

    loader, _ = build_loader(settings)
    loader = replace(loader, queue=UntilEmpty(loader.queue), report=lambda tally: None)
    loader.prepare_warehouse()
    assert loader.drain().dead.total() == 0
    now = datetime.now(UTC)
    week = week_of(now.date())
    with closing(DuckWarehouse(settings.warehouse_file, read_only=True)) as warehouse:
        used = [json.loads(tools) for (tools,) in warehouse.query("SELECT tools FROM omni_answer_details").to_numpy()]
        candidates = find_candidates(warehouse, "parcels", week)
    assert sorted(use["name"] for uses in used for use in uses) == ["find_parcel", "find_parcel", "redirect_parcel"]
    report = write_weekly(settings, week=week, now=now)
    assert report.tasks == ("parcels",)
    assert "parcels" in report.page.read_text(encoding="utf-8")

    source = load_case_source("parcels")
    context = HarvestContext(
        task=load_task("parcels"),
        source=source,
        rules=load_case_rules("parcels"),
        folder=settings.datasets_dir / "parcels",
        key=b"k",
    )
    (proposal,) = propose(candidates, [], source.origin(settings), context, week=week, most=5).new
    customer = proposal.case.inputs["customer"]
    assert "Please redirect parcel" in customer["opens"][0]
    assert customer["knows"]["message_2"]["says"] == ["Yes, please."]
    assert proposal.case.expectations.gold[-1][0].say == "It comes on Wednesday."
