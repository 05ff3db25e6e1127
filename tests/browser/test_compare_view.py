"""MLflow's own pages under `omni ui`: answers side by side, the verdict as a column, and no way to change a release."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from shadowed import PAIR
from tiny_evaluation import CASES, tiny_evaluation

from eval.release.evidence import run_log
from eval.spine.cases import Dataset
from eval.tracking.store import COMPARED_FILE, Tracking

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def mlflow_pages(tmp_path_factory):
    """Address of MLflow on a store that holds the hand-built evaluation's pairs `current` and `bad-one`."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    report = folder / "report.html"
    for path in (report, report.with_suffix(".json")):
        path.write_text("{}", encoding="utf-8")
    evaluation = tiny_evaluation()
    dataset = Dataset(name="tiny", cases=tuple(CASES.values()), source="tiny.jsonl")
    tracking = Tracking(uri)
    for pair in evaluation.pairs[:2]:
        tracking.log_run(evaluation.task, run_log(evaluation, pair, dataset, report))
    version = tracking.register(PAIR)
    tracking.place("summarize", version, {})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "omni", "ui", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"OMNI_REGISTRY_URI": uri, "OMNI_STATE_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/health", server)
        yield f"{address}/#/experiments/{tracking._experiment(evaluation.task)}"
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def wait_for(url, server):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail("MLflow did not answer within two minutes")


def test_answers_stand_side_by_side_by_case(mlflow_pages, open_page):
    from playwright.sync_api import expect

    page = open_page()
    page.goto(f"{mlflow_pages}/runs?workflowType=machine_learning&compareRunsMode=ARTIFACT")
    for chosen in (COMPARED_FILE, "case_id", "output"):  # table, "Group by", "Compare"
        expect(page.get_by_text(chosen, exact=True).first).to_be_visible()
    expect(page.get_by_text("tiny-00", exact=True)).to_have_count(1)
    expect(page.get_by_text("A refund of $450 was promised").first).to_be_visible()
    expect(page.get_by_text("Customer disputes a $45 charge.").first).to_be_visible()
    assert page.get_by_text("My bill is $45 too high").count() == 0


def test_the_verdict_is_a_column(mlflow_pages, open_page):
    from playwright.sync_api import expect

    page = open_page()
    page.goto(f"{mlflow_pages}/runs?viewStateShareKey=omni")
    for shown in ("omni.verdict", "omni.headline", "pass", "fail"):
        expect(page.get_by_text(shown, exact=True).first).to_be_visible()


def asked(mlflow_pages, method, path, told):
    """Return the status and the answer of one call of MLflow's interface."""
    request = urllib.request.Request(
        f"{mlflow_pages.partition('/#')[0]}{path}",
        data=json.dumps(told).encode(),
        method=method,
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        return err.code, json.load(err)


@pytest.mark.parametrize("api", ["/api/2.0/mlflow", "/ajax-api/2.0/mlflow"])
def test_no_page_moves_production_or_deletes_what_it_rests_on(mlflow_pages, api):
    experiment = mlflow_pages.rpartition("/")[2]
    found = asked(mlflow_pages, "POST", f"{api}/runs/search", {"experiment_ids": [experiment]})[1]["runs"]
    run, alias = found[0]["info"]["run_id"], {"name": "summarize", "alias": "production", "version": "1"}
    for method, path, told in (
        ("POST", "registered-models/alias", alias),
        ("DELETE", "registered-models/alias", alias),
        ("DELETE", "registered-models/delete", {"name": "summarize"}),
        ("POST", "registered-models/rename", {"name": "summarize", "new_name": "gone"}),
        ("DELETE", "model-versions/delete", {"name": "summarize", "version": "1"}),
        ("POST", "model-versions/set-tag", {**alias, "key": "omni.pair_digest", "value": "other"}),
        ("POST", "runs/delete", {"run_id": run}),
        ("POST", "runs/delete-tag", {"run_id": run, "key": "omni.verdict"}),
        ("POST", "runs/set-tag", {"run_id": run, "key": "omni.verdict", "value": "pass"}),
        ("POST", "runs/log-batch", {"run_id": run, "tags": [{"key": "omni.verdict", "value": "pass"}]}),
        ("POST", "runs/set-tag", json.dumps({"run_id": run, "key": "omni.verdict", "value": "pass"})),
        ("POST", "runs/create", {"experiment_id": experiment, "tags": [{"key": "omni.verdict", "value": "pass"}]}),
        ("POST", "experiments/delete", {"experiment_id": experiment}),
    ):
        status, answer = asked(mlflow_pages, method, f"{api}/{path}", told)
        assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED"), path
    assert asked(mlflow_pages, "POST", f"{api}/runs/set-tag", {"run_id": run, "key": "note", "value": "seen"})[0] == 200
    assert (
        asked(mlflow_pages, "POST", f"{api}/runs/search", {"experiment_ids": [experiment]})[1]["runs"][0]["info"][
            "lifecycle_stage"
        ]
        == "active"
    )


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_no_other_site_speaks_to_it(mlflow_pages, headers):
    request = urllib.request.Request(
        f"{mlflow_pages.partition('/#')[0]}/ajax-api/2.0/mlflow/runs/search",
        data=b"{}",
        headers={"Content-Type": "application/json", **headers},
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=60)
