"""MLflow's own compare view shows the answers of two pairs side by side, by case, with nothing chosen by hand."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
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
