"""The workflows: readable YAML, steps that run commands we have, pinned actions, few rights."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from eval.report.pull_request import MARKER
from eval.spine.changes import changed_pairs
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


def test_the_workflows_and_actions_are_there() -> None:
    assert {path.relative_to(ROOT / ".github").as_posix() for path in FILES} == {
        "workflows/checks.yml",
        "workflows/dependencies.yml",
        "workflows/deploy.yml",
        "workflows/evaluation.yml",
        "workflows/image.yml",
        "workflows/nightly.yml",
        "workflows/prompt-gate.yml",
        "workflows/prompt-comment.yml",
        "workflows/promote.yml",
        "workflows/rollback.yml",
        "workflows/schedule.yml",
        "actions/prompt-gate/action.yml",
        "actions/setup/action.yml",
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
    for job in found["jobs"].values():
        assert "timeout-minutes" in job
        credentials = "secrets." in yaml.safe_dump(job) or job.get("permissions", {}).get("id-token") == "write"
        # Whoever may decide over the environment decides who gets credentials.
        assert not credentials or "environment" in job
        if "pull_request" in triggers and credentials:
            assert "head.repo.full_name == github.repository" in job["if"]
    if "pull_request" in triggers:
        assert writes <= {"id-token"}
    if "workflow_run" in triggers:
        assert writes == {"pull-requests"}
        assert "checkout" not in path.read_text(encoding="utf-8")


def test_the_gate_of_a_pull_request_has_no_credentials_and_no_filter_of_paths() -> None:
    found = load(ROOT / ".github" / "workflows" / "prompt-gate.yml")
    assert found["permissions"] == {"contents": "read"}
    assert found[True] == {"pull_request": None}
    assert "secrets." not in yaml.safe_dump(found)
    assert not any("environment" in job or "permissions" in job for job in found["jobs"].values())


@pytest.mark.parametrize(
    "name",
    [
        "prompts/models.yaml", "prompts/judges/claims.prompty", "prompts/summarize/new.prompty", "pyproject.toml",
        "datasets/summarize/gate.jsonl", "requirements/dev.txt", "eval/evaluation/evaluate.py", "figures/stats.py",
        "service/core/run/task.py",
    ],
)  # fmt: skip
def test_whatever_pr_gate_judges_starts_it(name: str, tmp_path: Path) -> None:
    (step,) = (step for step in steps(ROOT / ".github/workflows/prompt-gate.yml") if step.get("id") == "changed")
    (tmp_path / "prompts" / "summarize").mkdir(parents=True)
    (tmp_path / "prompts" / "summarize" / "old.prompty").touch()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(tmp_path)]
    for line in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *line], check=True)
    base = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    def decided() -> str:
        output = tmp_path / "output"
        output.write_text("")
        environment = os.environ | {"BASE": base, "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": os.devnull}
        subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=environment, check=True)
        return output.read_text().strip()

    (tmp_path / "README.md").touch()
    subprocess.run([*git, "add", "README.md"], check=True)
    subprocess.run([*git, "commit", "-qm", "two"], check=True)
    assert decided() == "judge=no"
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    subprocess.run([*git, "add", name], check=True)
    subprocess.run([*git, "commit", "-qm", "three"], check=True)
    found = changed_pairs(tmp_path, "summarize", base)
    assert found.pairs or found.code
    assert decided() == "judge=yes"


def test_a_release_waits_for_the_approval_of_an_environment() -> None:
    job = load(ROOT / ".github" / "workflows" / "promote.yml")["jobs"]["promote"]
    assert job["environment"] == "production"
    runs = [step.get("run") for step in job["steps"]]
    needed = [
        next(number for number, run in enumerate(runs) if run and run.startswith(f".venv/bin/omni {name}"))
        for name in ("promote --check", "selftest", "calibrate", "gate", "promote --approved-by")
    ]
    assert needed == sorted(needed)
    # The signing key is in the environment of the steps that sign or check it, and of no other.
    assert "OMNI_SIGNING_KEY" not in job["env"]
    signing = [number for number, step in enumerate(job["steps"]) if "OMNI_SIGNING_KEY" in step.get("env", {})]
    assert signing == [needed[0], needed[3], needed[4]]
    assert any(step.get("uses", "").startswith("actions/setup-node@") for step in job["steps"])  # promptfoo needs it


@pytest.mark.acceptance("operation-06")
def test_whoever_is_on_call_can_go_back_without_a_key_and_without_waiting_for_anybody() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "rollback.yml")
    job = workflow["jobs"]["rollback"]
    choices = workflow[True]["workflow_dispatch"]["inputs"]["what"]["options"]
    assert set(choices) == {"rollback", "rollout-end"}
    assert "omni" in job["runs-on"]  # the network that the registry is in, as for deployments
    assert job["environment"] != "production"  # whose reviewers may be asleep
    signing = [step for step in job["steps"] if "OMNI_SIGNING_KEY" in step.get("env", {})]
    assert "OMNI_SIGNING_KEY" not in job["env"]
    assert [step["if"] for step in signing] == [f"inputs.what == '{choice}'" for choice in choices]
    for step, choice in zip(signing, choices, strict=True):
        for line in re.findall(rf"omni ({choice} .+)", step["run"]):
            command: Any = typer.main.get_command(build_app())
            name, *words = line.replace('"$TO"', "3").replace('"$TASK"', "summarize").split()
            command.commands[name].make_context(name, words).close()


@pytest.mark.parametrize(("number", "given"), [("", []), ("3", ["--to", "3"])])
def test_a_rollback_passes_on_the_number_only_if_there_is_one(number: str, given: list[str], tmp_path: Path) -> None:
    (step,) = (
        one for one in steps(ROOT / ".github/workflows/rollback.yml") if one.get("if") == "inputs.what == 'rollback'"
    )
    omni = tmp_path / ".venv" / "bin" / "omni"
    omni.parent.mkdir(parents=True)
    omni.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    omni.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "TASK": "summarize", "TO": number, "WHY": "worse; $(since) the release"}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["rollback", "--task", "summarize", *given, f"--why={environment['WHY']}"]


def test_the_comment_is_found_again_by_the_marker_that_the_command_writes() -> None:
    assert MARKER in (ROOT / ".github" / "workflows" / "prompt-comment.yml").read_text(encoding="utf-8")


@pytest.mark.acceptance("operation-17")
@pytest.mark.parametrize("missing", [None, "REPOSITORY", "TEMPLATES", "SERVICE_URL", "CANARY_ACCOUNT"])
def test_a_deployment_without_one_of_its_variables_ends_before_it_begins(missing: str | None) -> None:
    job = load(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]["deploy"]
    names = {name: re.findall(r"vars\.(\w+)", text) for name, text in job["env"].items() if "vars." in text}
    env = {name: "" if name == missing else "given" for name in names}
    done = subprocess.run(
        ["bash", "-e", "-c", job["steps"][0]["run"]], env=env, capture_output=True, text=True, check=False
    )
    said = "" if missing is None else f"::error::set the variable {names[missing][0]} of the environment production\n"
    assert (done.returncode, done.stdout) == (int(missing is not None), said)


def test_a_deployment_holds_the_lock_for_longer_than_it_may_take_and_always_gives_it_back() -> None:
    job = load(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]["deploy"]
    runs = [step.get("run", "") for step in job["steps"]]
    begin, deploy, smoke, back, end = (
        next(number for number, run in enumerate(runs) if part in run)
        for part in ("deploy begin", 'service@"$SERVICE"', "deploy smoke", "before[@]", "deploy end")
    )
    assert begin < deploy < smoke < back < end
    (minutes,) = re.findall(r"--for-min (\d+)", runs[begin])
    assert int(minutes) > job["timeout-minutes"]
    assert job["steps"][end]["if"] == "always()"
    assert job["environment"] == "production"


def test_every_lock_is_looked_at_for_known_holes_and_none_is_left_out_silently() -> None:
    file = ROOT / ".github" / "workflows" / "dependencies.yml"
    text = "\n".join(step.get("run", "") for step in steps(file))
    assert "for lock in requirements/*.txt" in text
    assert 'pip-audit" --strict' in text  # without it, what the index does not know passes
    assert "git ls-files '*package-lock.json'" in text
    assert "npm audit --package-lock-only" in text
    started = load(file)[True]["pull_request"]["paths"]
    assert {"requirements/*.txt", "**/package-lock.json"} <= set(started)


def test_each_commit_of_a_pull_request_is_searched_for_secrets() -> None:
    job = load(ROOT / ".github" / "workflows" / "checks.yml")["jobs"]["commits"]
    assert job["steps"][0]["with"]["fetch-depth"] == 0
    assert job["env"]["RANGE"].endswith("..HEAD")
    assert 'tools/search_commits.py "$RANGE"' in job["steps"][-1]["run"]
    assert "secrets." not in str(job)
