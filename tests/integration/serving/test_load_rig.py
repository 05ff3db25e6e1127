"""One fault scenario through the whole rig: locust, service process, stand-in, local AWS, registry, table and picture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_with_both_models_down_every_request_is_answered_from_the_digest(tmp_path):
    done = subprocess.run(
        [sys.executable, "tests/load/run.py", "chaos", "--only", "both models down", "--out", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(
        line for line in (tmp_path / "chaos.md").read_text().splitlines() if line.startswith("| both models down")
    )
    sent, in_time, late, degraded, failed, lost, double = (int(cell) for cell in row.split("|")[2:9])
    assert sent > 0
    assert (in_time, late, degraded, failed, lost, double) == (0, 0, sent, 0, 0, 0)
    # 20 agents ask every 2 s, each in his own moment: 20 in one second, and none in the next, would be a burst. A machine that
    # stalls makes one such second, not the usual one.
    note = next(
        line for line in (tmp_path / "chaos.md").read_text().splitlines() if line.startswith("- both models down")
    )
    assert int(note.partition("usual second ")[2].split()[0]) < 18
    assert "<svg" in (tmp_path / "chaos.svg").read_text()
