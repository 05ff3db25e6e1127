"""docs/capacity.md is what the model makes of its figures."""

import subprocess
import sys

from service.kit.settings import REPO_ROOT


def test_the_committed_page_is_what_the_command_writes():
    done = subprocess.run(
        [sys.executable, "-m", "omni", "capacity"], cwd=REPO_ROOT, capture_output=True, text=True, check=True
    )
    kept = (REPO_ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    assert done.stdout.strip() == kept.strip(), "write it again: omni capacity --write"
