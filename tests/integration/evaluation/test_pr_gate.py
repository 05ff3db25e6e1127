"""`pr-gate` and `sweep` as whole processes, in a repository of their own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from eval.instruments.bench.run import ECHO_PAIR
from eval.report.pull_request import MARKER

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with the pair extractive on `main` and the first dev cases."""
    (tmp_path / "prompts" / "summarize").mkdir(parents=True)
    (tmp_path / "datasets" / "summarize").mkdir(parents=True)
    shutil.copy(ROOT / "prompts" / "models.yaml", tmp_path / "prompts")
    shutil.copy(ROOT / "prompts" / "summarize" / "extractive.prompty", tmp_path / "prompts" / "summarize")
    shutil.copy(ROOT / "datasets" / "summarize" / "dev.jsonl", tmp_path / "datasets" / "summarize")
    shutil.copy(ROOT / "datasets" / "summarize" / "gate.jsonl", tmp_path / "datasets" / "summarize")
    (tmp_path / ".gitignore").write_text("state/\nreports/\nmlflow.db\ncomment.md\n")
    for line in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*GIT, *line], cwd=tmp_path, check=True)
    return tmp_path


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    fixed = {
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(root / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{root}/mlflow.db",
    }
    return subprocess.run(
        [sys.executable, "-m", "omni", *arguments],
        env=dict(os.environ) | fixed, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def gate(root: Path, base: str = "main") -> tuple[int, str, str]:
    junit = str(root / "pr-gate.xml")
    done = run(root, "pr-gate", "--base", base, "--comment", str(root / "comment.md"), "--junit", junit)
    return done.returncode, done.stdout + done.stderr, (root / "comment.md").read_text()


def test_the_gate_of_a_pull_request_evaluates_what_changed_and_nothing_else(root: Path) -> None:
    code, said, comment = gate(root)
    assert (code, comment.startswith(MARKER), "No pair changed" in comment) == (0, True, True), said

    pair = root / "prompts" / "summarize" / "extractive.prompty"
    pair.write_text(pair.read_text().replace("version: 1.0.0", "version: 1.0.1"))
    code, said, comment = gate(root)
    assert code == 0, said
    assert (
        "extractive passes the gate for form and figures; 3% of sentences read by nobody; "
        "no judge model looked at meaning (17 kinds)." in comment
    )

    # An echo is no summary: the check must turn red.
    (root / "prompts" / "summarize" / "echo.prompty").write_text(ECHO_PAIR)
    code, said, comment = gate(root)
    assert code == 1, said
    assert re.search(
        r"\| \*\*verdict\*\* \| \*\*FAIL\*\*,[^|]* 17 kinds unseen \| \*\*PASS\*\*,[^|]* 17 kinds unseen \|", comment
    )

    (root / "prompts" / "summarize" / "echo.prompty").write_text("no front matter")
    code, said, comment = gate(root)
    assert code == 2
    assert "The gate could not run" in comment
    assert "prompts/summarize/echo.prompty:1" in comment
    assert str(root) not in comment
    assert gate(root, base="nothing-like-it")[0] == 2


def test_a_pair_whose_provider_cannot_be_reached_is_neutral_and_says_what_to_do(root: Path) -> None:
    shutil.copy(ROOT / "prompts" / "summarize" / "nova-lite.prompty", root / "prompts" / "summarize")
    code, said, comment = gate(root)
    assert code == 0, said
    assert said.rstrip().endswith("Verdict: neutral")
    assert "**Neutral.**" in comment
    assert "Not evaluated: nova-lite" in comment
    assert "OMNI_ENVIRONMENT=aws" in comment
    assert "--base main --budget-usd 5" in comment
    suite = ElementTree.parse(root / "pr-gate.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("skipped"), suite.get("failures")) == ("1", "1", "0")
    assert suite.find("properties/property").attrib == {"name": "verdict", "value": "neutral"}


def test_pairs_of_every_task_are_judged(root: Path) -> None:
    (root / "prompts" / "scorecard").mkdir()
    shutil.copy(ROOT / "prompts" / "scorecard" / "nova-lite.prompty", root / "prompts" / "scorecard")
    code, said, comment = gate(root)
    assert code == 0, said
    assert said.rstrip().endswith("Verdict: neutral")
    assert "Neutral: nova-lite of scorecard" in comment
    assert "pr-gate --base main --budget-usd 5 --task scorecard" in comment
    pair = root / "prompts" / "scorecard" / "keywords.prompty"
    pair.write_text("no front matter")
    assert gate(root)[0] == 2
    assert "keywords.prompty:1" in (root / "comment.md").read_text()


def test_a_demo_never_has_to_pass_and_a_floor_only_if_its_own_file_changed(root: Path) -> None:
    demo = root / "prompts" / "summarize" / "echo.prompty"
    demo.write_text(ECHO_PAIR.replace("task: summarize", "task: summarize\nrole: demo"))
    assert gate(root)[0] == 0
    subprocess.run([*GIT, "add", "-A"], cwd=root, check=True)
    subprocess.run([*GIT, "commit", "-qm", "a demo"], cwd=root, check=True)
    # A case that nobody can answer makes the floor fail, which the change of its cases does not have to answer for.
    cases = root / "datasets" / "summarize" / "gate.jsonl"
    cases.write_text("".join(line + "\n" for line in cases.read_text().splitlines()[:12]))
    code, said, comment = gate(root, base="HEAD")
    assert code == 0, said
    assert "**Green.**" in comment
    assert "extractive" in comment
    assert "**PASS**" not in comment


def test_a_sweep_writes_its_page_and_continues_from_the_cache(root: Path) -> None:
    (root / "prompts" / "summarize" / "echo.prompty").write_text(ECHO_PAIR)
    line = ["sweep", "--models", "echo,extractive-digest", "--dataset", "dev", "--cases", "6"]
    first = run(root, *line)
    assert first.returncode == 0, first.stderr
    page = Path(next(x for x in first.stdout.splitlines() if x.startswith("Sweep: ")).removeprefix("Sweep: "))
    assert page.exists()
    plain = json.loads(page.with_name("sweep.json").read_text())
    assert [point["name"] for point in plain["points"]] == ["echo@echo", "echo@extractive-digest", "extractive@echo"]
    again = run(root, *line)
    assert " 0 model calls, 12 answers from the cache" in " ".join(again.stdout.split()), again.stdout[:600]
    assert run(root, "sweep", "--models", "nova-lite").returncode == 2
