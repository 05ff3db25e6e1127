"""`code-gate` as a whole process, in a repository that holds this project's own code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
CODE = ("eval", "figures", "omni", "reports", "service", "prompts", "datasets", "infra")
FLOOR = "service/core/tasks/scorecard/__init__.py"


def git(root: Path, *arguments: str) -> None:
    subprocess.run([*GIT, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with this project's code and cases on `main`."""
    root = tmp_path / "repo"
    for name in CODE:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / ".gitignore").write_text("__pycache__/\n.omni/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    git(root, "checkout", "-q", "-b", "work")
    return root


@pytest.fixture
def small(root: Path) -> Path:
    """``root`` with every fourth case of summaries: enough where each answer, or none, is another one."""
    gate = root / "datasets" / "summarize" / "gate.jsonl"
    lines = gate.read_text(encoding="utf-8").splitlines(keepends=True)
    gate.write_text("".join(lines[::4]), encoding="utf-8")
    git(root, "commit", "-qam", "fewer cases")
    git(root, "branch", "-f", "main")
    return root


def change(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    assert old in text
    (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")


def judge(root: Path, *options: str, command: str = "code-gate") -> tuple[int, str]:
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(root.parent / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{root.parent}/none.db",
    }
    done = subprocess.run(
        [sys.executable, "-m", "omni", command, "--base", "main", *options],
        env=environment, cwd=root, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    left = subprocess.run([*GIT, "worktree", "list"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert len(left.splitlines()) == 1, left
    return done.returncode, done.stdout + done.stderr


def test_a_harmless_change_is_green(small: Path) -> None:
    digest = small / "service" / "core" / "tasks" / "summarize" / "digest.py"
    text = digest.read_text(encoding="utf-8")
    assert text.count("_told(") == 2
    digest.write_text(text.replace("_told(", "_words_of("), encoding="utf-8")
    code, said = judge(small, "--task", "summarize")
    assert code == 0, said
    assert "summarize: extractive on this code: PASS, all answers are the same" in said


def test_a_digest_that_drops_statements_is_red_and_named(root: Path) -> None:
    change(root, "service/core/tasks/summarize/digest.py", "*_told(chosen)", "*_told(chosen[: len(chosen) // 2])")
    outputs = [root.parent / name for name in ("comment.md", "gate.xml")]
    code, said = judge(root, "--comment", str(outputs[0]), "--junit", str(outputs[1]), command="pr-gate")
    assert code == 1, said
    assert "service/core/tasks/summarize/digest.py changed: code" in said
    assert "worse: fact_coverage 0." in said
    assert "\nVerdict: fail\n" in said
    red, *green = outputs[0].read_text().split("# Code change: ")[1:]
    assert red.startswith("summarize: extractive on this code: FAIL, worse than on ")
    assert "coverage of answers 0.766 → 0." in red.splitlines()[0]
    assert any(part.startswith("scorecard: keywords on this code: PASS") for part in green)
    assert 'name="code change: summarize"' in outputs[1].read_text()


def test_a_guard_that_is_switched_off_is_red_and_named_although_no_model_is_asked(small: Path) -> None:
    change(
        small, "service/core/run/task.py", "attempt.guard = self.guard(inputs, attempt.trace)", "attempt.guard = None"
    )
    code, said = judge(small, "--task", "summarize", "--json")
    assert code == 1, said
    ((found,), _) = json.JSONDecoder().raw_decode(said[said.index("[") :])
    assert "guard_clear of planted faults shown 1 → 0." in found["headline"]
    parts = {part["part"]: part["different"] for part in found["judgement"]["parts"]}
    assert parts["answers"] == 0
    assert parts["planted faults shown"] > 12


def test_a_branch_without_the_floor_is_not_left_out_of_the_check(root: Path) -> None:
    change(root, "prompts/scorecard/keywords.prompty", "role: floor", "role: demo")
    change(root, "prompts/summarize/extractive.prompty", "role: floor", "role: demo")
    change(root, "service/core/tasks/summarize/digest.py", "*_told(chosen)", "*_told(chosen[: len(chosen) // 2])")
    code, said = judge(root)
    assert code == 2, said
    assert "none says `role: floor` in prompts/scorecard" in said


def test_one_more_planted_fault_is_a_harmless_change(root: Path) -> None:
    plan = root / "eval" / "selftest" / "mutants" / "scorecard.py"
    text = plan.read_text(encoding="utf-8")
    place = text.index("        Mutant(", text.index("doctor=verdicts.spoilt(verdicts.all_yes)"))
    one = text[place : text.index("        Mutant(", place + 1)]
    name = one.split('name="')[1].split('"')[0]
    plan.write_text(text[:place] + one.replace(name, f"{name}_again") + text[place:], encoding="utf-8")
    code, said = judge(root, "--task", "scorecard")
    assert code == 0, said
    assert "all answers are the same" in said


def test_code_that_cannot_answer_is_red(root: Path) -> None:
    change(root, FLOOR, "        schema = pair.output.schema\n", "        raise RuntimeError('no more')\n")
    code, said = judge(root, "--task", "scorecard")
    assert code == 1, said
    assert "FAIL, this code cannot answer the cases: RuntimeError: no more" in said


def test_a_base_that_cannot_be_run_here_is_an_error_and_never_green(root: Path) -> None:
    # The branch stops needing a package that the base still imports.
    (root / FLOOR).write_text("import a_package_of_before\n" + (root / FLOOR).read_text())
    git(root, "commit", "-qam", "two")
    git(root, "branch", "-f", "main")
    change(root, FLOOR, "import a_package_of_before\n", "")
    change(root, "pyproject.toml", "[project]", "[project] # fewer packages")
    code, said = judge(root, "--task", "scorecard")
    assert code == 2, said
    assert (
        "cannot be run here: ModuleNotFoundError: No module named 'a_package_of_before'; pyproject.toml changed" in said
    )
    assert "Nothing was compared" in said


def test_a_base_that_is_older_than_the_check_is_an_error(root: Path) -> None:
    git(root, "rm", "-rq", "eval/codegate")
    git(root, "commit", "-qm", "before")
    git(root, "branch", "-f", "main")
    shutil.copytree(ROOT / "eval" / "codegate", root / "eval" / "codegate")
    code, said = judge(root, "--task", "scorecard")
    assert code == 2, said
    assert "is older than this check" in said
