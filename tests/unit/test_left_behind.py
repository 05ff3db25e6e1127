"""A test run that ends in any way leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
RUN = f"""
import subprocess, sys, time
sys.path.insert(0, {str(TESTS)!r})
import left_behind, warm
held = left_behind.guard() if sys.argv[1] == "guarded" else None
warm.install()
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
children = [
    subprocess.Popen(sleep, start_new_session=True, stdout=subprocess.DEVNULL),
    subprocess.Popen(sleep, env={{}}, stdout=subprocess.DEVNULL),
]
print(*(child.pid for child in children), flush=True)
time.sleep(float(sys.argv[2]))
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def started(guarded, seconds):
    command = [sys.executable, "-c", RUN, guarded, seconds]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return run, [int(pid) for pid in run.stdout.readline().split()]


@pytest.mark.parametrize("ended", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_children_end_with_a_run_however_it_ends(ended):
    run, children = started("guarded", "600" if ended else "0.1")
    assert len(children) == 2
    if ended:
        run.send_signal(ended)
    run.communicate(timeout=30)
    deadline = time.monotonic() + 30
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in children if alive(pid)] == []


def test_without_the_guard_they_would_stay():
    run, children = started("alone", "0.1")
    run.communicate(timeout=30)
    time.sleep(1)
    assert all(map(alive, children))
    for pid in children:
        os.kill(pid, signal.SIGKILL)
