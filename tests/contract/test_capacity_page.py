"""docs/capacity.md and infra/capacity.yaml are what the model makes of its figures."""

import subprocess
import sys

import pytest
import yaml

from service.kit.settings import REPO_ROOT


@pytest.mark.acceptance("operation-10")
def test_the_committed_page_is_what_the_command_writes():
    done = subprocess.run(
        [sys.executable, "-m", "omni", "capacity"], cwd=REPO_ROOT, capture_output=True, text=True, check=True
    )
    kept = (REPO_ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    assert done.stdout.strip() == kept.strip(), "write it again: omni capacity --write"
    row = next(line for line in kept.splitlines() if line.startswith("| tasks of "))
    needed = yaml.safe_load((REPO_ROOT / "infra" / "capacity.yaml").read_text(encoding="utf-8"))["tasks_needed"]
    assert str(needed) == row.split("|")[2].strip(), "write it again: omni capacity --write"
