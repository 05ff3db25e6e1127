"""The workflows: readable YAML, steps that run commands we have, pinned actions, few rights."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from eval.report.pull_request import MARKER
from omni.app import build_app

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github").rglob("*.yml"))
WORKFLOWS = [path for path in FILES if path.parent.name == "workflows"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def load(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    found = load(path)
    jobs = found["jobs"].values() if "jobs" in found else [found["runs"]]
    return [step for job in jobs for step in job["steps"]]


def test_the_three_workflows_and_the_action_are_there() -> None:
    assert {path.relative_to(ROOT / ".github").as_posix() for path in FILES} >= {
        "workflows/prompt-gate.yml",
        "workflows/prompt-comment.yml",
        "workflows/promote.yml",
        "actions/prompt-gate/action.yml",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name + "/" + path.name)
def test_every_run_step_calls_make_targets_and_commands_that_exist(path: Path) -> None:
    commands = set(typer.main.get_command(build_app()).commands)  # type: ignore[attr-defined]
    for step in steps(path):
        text = step.get("run", "")
        assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= TARGETS
        assert set(re.findall(r"\bomni (?:--\S+ )*([a-z-]+)", text)) <= commands
        # What somebody wrote into a pull request or a form comes in a variable, which the shell quotes.
        assert "${{" not in text
        assert not re.search(r"""(?<!")\$[A-Z_]+(?!")""", text), text


@pytest.mark.parametrize(
    ("text", "ok"), [('omni gate -- "$PAIR"', True), ("omni gate $PAIR", False), ('x --why="$WHY"', True)]
)
def test_an_unquoted_variable_is_found(text: str, ok: bool) -> None:
    assert bool(re.search(r"""(?<!")\$[A-Z_]+(?!")""", text)) is not ok


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name + "/" + path.name)
def test_actions_are_pinned_to_a_commit_or_are_our_own(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}|\./\.github/actions/[\w-]+", step["uses"]), step["uses"]
            if step["uses"].startswith("./"):
                assert (ROOT / step["uses"] / "action.yml").exists()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_say_their_rights_and_never_run_a_pull_request_with_ours(path: Path) -> None:
    found = load(path)
    triggers = found[True]  # YAML 1.1 reads the key `on` as true
    assert "permissions" in found
    assert "pull_request_target" not in triggers
    rights = [found["permissions"], *(job.get("permissions", {}) for job in found["jobs"].values())]
    writes = {name for group in rights for name, right in group.items() if right == "write"}
    text = path.read_text(encoding="utf-8")
    if "pull_request" in triggers:
        assert not writes
        assert "secrets." not in text
    if "workflow_run" in triggers:
        assert writes == {"pull-requests"}
        assert "checkout" not in text
    for job in found["jobs"].values():
        assert "timeout-minutes" in job


def test_a_release_waits_for_the_approval_of_an_environment() -> None:
    job = load(ROOT / ".github" / "workflows" / "promote.yml")["jobs"]["promote"]
    assert job["environment"] == "production"
    runs = [step.get("run") for step in job["steps"]]
    needed = [
        next(number for number, run in enumerate(runs) if run and run.startswith(f".venv/bin/omni {name}"))
        for name in ("selftest", "calibrate", "gate", "promote")
    ]
    assert needed == sorted(needed)
    assert any(step.get("uses", "").startswith("actions/setup-node@") for step in job["steps"])  # promptfoo needs it


def test_the_comment_is_found_again_by_the_marker_that_the_command_writes() -> None:
    assert MARKER in (ROOT / ".github" / "workflows" / "prompt-comment.yml").read_text(encoding="utf-8")
