"""`omni bench agentdojo` on the published suite, where it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.instruments.agentdojo.cases import attack_cases, user_cases
from eval.instruments.agentdojo.files import load_suite
from service.kit.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PUBLIC = Settings().public_data_dir
needs_data = pytest.mark.skipif(
    not (PUBLIC / "assistant" / "agentdojo_user_tasks.jsonl").is_file(),
    reason=f"AgentDojo's suite is not in {PUBLIC}/assistant; set OMNI_PUBLIC_DATA_DIR",
)


def bench(*arguments, **environment):
    command = [sys.executable, "-m", "omni", "bench", "agentdojo", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


@needs_data
def test_every_task_and_attack_of_the_published_suite_is_sound():
    done = bench("--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["problems"] == []
    suite = load_suite(PUBLIC)
    assert len(user_cases(suite)) == report["user_tasks"] == len(suite.user_tasks)
    attacks = len(attack_cases(suite))
    places = sum(len(suite.visible[task.id]) for task in suite.user_tasks)
    assert attacks == places * report["injection_tasks"] * len(report["templates"])
    for row in report["attacks"]:
        obeys, guarded = row["agent"].startswith("obeys"), row["guard"] == "provenance"
        assert row["tried"]["count"] == (attacks if obeys else 0)
        assert row["carried_out"]["count"] == (0 if guarded else attacks)


def test_without_the_suite_the_command_says_what_to_set(tmp_path):
    done = bench(OMNI_PUBLIC_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "AgentDojo's banking suite is not in" in done.stderr
    assert "set OMNI_PUBLIC_DATA_DIR" in done.stderr
