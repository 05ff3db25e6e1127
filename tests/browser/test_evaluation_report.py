"""The evaluation's own report, opened as a file: no complaint, nothing fetched, nothing wider than the window."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eval.bench.run import ECHO_PAIR

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of two pairs on the first eight dev cases, made by the command that users call."""
    root = tmp_path_factory.mktemp("evaluated")
    prompts, datasets = root / "prompts" / "summarize", root / "datasets" / "summarize"
    prompts.mkdir(parents=True)
    datasets.mkdir(parents=True)
    shutil.copy(ROOT / "prompts" / "models.yaml", root / "prompts")
    shutil.copy(ROOT / "prompts" / "summarize" / "extractive.prompty", prompts)
    (prompts / "echo.prompty").write_text(ECHO_PAIR, encoding="utf-8")
    cases = (ROOT / "datasets" / "summarize" / "dev.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (datasets / "dev.jsonl").write_text("".join(cases[:8]), encoding="utf-8")
    own = {
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(root / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{root}/ml.db",
    }
    line = [sys.executable, "-m", "omni", "eval", "--pairs", "extractive,echo", "--dataset", "dev"]
    done = subprocess.run(line, cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = list((root / "reports" / "out" / "eval").glob("*/report.html"))
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("width", [1400, 420])
def test_the_report_reads_at_this_width(report, open_page, width):
    page = open_page(width)
    page.goto(report.as_uri())
    assert page.inner_text("h1")
    for details in page.locator("details").all():
        details.evaluate("node => { node.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").count() == 1
    assert page.complaints == []
    assert page.hosts <= {"", "data:"}
