"""The evaluation's own report, opened as a file: no complaint, nothing fetched, nothing wider than the window."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_evaluation import CASES, SUITE, tiny_evaluation

from eval.instruments.bench.run import ECHO_PAIR
from eval.report.page import write_report

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


def test_cases_are_searched_and_filtered_without_a_network(open_page, tmp_path):
    page = open_page()
    page.goto(write_report(tiny_evaluation(), SUITE, CASES, tmp_path).as_uri())
    page.context.set_offline(True)

    def shown():
        return [box.get_attribute("id") for box in page.locator("details.case:visible").all()]

    assert shown() == ["case-tiny-01", "case-tiny-00"]
    assert page.inner_text("#rest > summary") == f"{len(CASES) - 2} without findings"
    page.fill("#find", "tiny-07")
    assert shown() == ["case-tiny-07"]
    assert page.inner_text("#shown") == "1 of 12 cases"
    page.fill("#find", "")
    page.select_option("#state", "failed")
    assert shown() == ["case-tiny-01"]
    page.select_option("#state", "")
    page.select_option("#against", "worse")
    assert shown() == ["case-tiny-01", "case-tiny-00"]
    page.select_option("#pair", "borrowed")
    assert shown() == []
    assert page.complaints == []


def test_a_wide_screen_shows_figures_beside_the_comparison_and_both_answers_of_a_case(open_page, tmp_path):
    page = open_page(1400)
    page.goto(write_report(tiny_evaluation(), SUITE, CASES, tmp_path).as_uri() + "#case-tiny-00")

    def top(place):
        return page.locator(place).first.bounding_box()["y"]

    assert abs(top("#metrics h2") - top("#production h2")) < 5
    page.evaluate("() => document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert abs(top("#case-tiny-00 .sides > div:first-child") - top("#case-tiny-00 .sides > div:last-child")) < 5
    page.set_viewport_size({"width": 420, "height": 900})
    assert top("#metrics h2") < top("#production h2")
