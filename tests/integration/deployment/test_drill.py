"""The drill of a blue/green deployment: a failing version gets no traffic, a good one takes all of it without a loss."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.acceptance("operation-16", "operation-23")
def test_a_failing_version_gets_no_traffic_and_a_good_one_takes_it_without_a_loss(tmp_path):
    done = subprocess.run(
        [sys.executable, "tests/load/drill.py", str(tmp_path), "--only", "fails the smoke test", "--only", "good"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:] if "|" in line]
    failing, good = ({"outcome": row[1], "counts": [int(cell) for cell in row[2:]]} for row in rows)
    sent, old, new, lost, mixed, pairs = failing["counts"]
    assert (failing["outcome"], new, lost, mixed, pairs) == ("rolled back: smoke test", 0, 0, 0, 1)
    assert old == sent > 0
    sent, old, new, lost, mixed, pairs = good["counts"]
    assert (good["outcome"], lost, mixed, pairs) == ("deployed", 0, 0, 1)
    assert old > 0
    assert new > 0
    assert old + new == sent
