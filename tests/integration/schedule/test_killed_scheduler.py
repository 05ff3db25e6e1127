"""A scheduler that is killed or stopped: its command ends with it, nothing is half-written, and the run is made up for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scheduled import job, make_scheduler

from service.kit.settings import REPO_ROOT

WAIT_S = 60.0  # guards against a hang alone
# Writes its pid, then waits for ever: only the first attempt does.
COMMAND = """
import os, pathlib, time
pids = pathlib.Path({pids!r})
before = pids.read_text() if pids.exists() else ""
pids.write_text(f"{{before}}{{os.getpid()}}\\n")
time.sleep(0 if before else 600)
"""
SCHEDULER = """
import pathlib, sys
from scheduled import job, make_scheduler
scheduler, _ = make_scheduler(pathlib.Path(sys.argv[1]), job(sys.argv[2]))
scheduler.turn()
"""


@pytest.fixture
def begun(tmp_path):
    """A scheduler in a process of its own whose command is running; its process, and the command's pid."""
    program = COMMAND.format(pids=str(tmp_path / "pids"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPO_ROOT), str(REPO_ROOT / "tests")])}
    process = subprocess.Popen(
        [sys.executable, "-c", SCHEDULER, str(tmp_path), program], env=environment, stderr=subprocess.DEVNULL
    )
    until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith("\n"))
    yield process, int((tmp_path / "pids").read_text()), program
    process.kill()
    process.wait()


def until(holds):
    ends = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.slow
def test_a_killed_scheduler_takes_its_command_along_and_the_run_is_made_up_for(tmp_path, begun):
    process, pid, program = begun
    scheduler, said = make_scheduler(tmp_path, job(program))
    assert scheduler.turn()
    assert "at work already" in said[0]
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: is_gone(pid))
    assert scheduler.runs.read("job").state == "running"
    assert scheduler.turn()
    record = scheduler.runs.read("job")
    assert (record.state, record.attempt) == ("done", 2)
    assert scheduler.turn()
    assert len((tmp_path / "pids").read_text().splitlines()) == 2
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.slow
@pytest.mark.cold
def test_ctrl_c_ends_the_command_and_is_recorded(tmp_path, begun):
    process, pid, _ = begun
    process.send_signal(signal.SIGINT)
    process.wait(WAIT_S)
    assert is_gone(pid)
    scheduler, _ = make_scheduler(tmp_path, job())
    assert scheduler.runs.read("job").state == "interrupted"
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.slow
def test_a_service_manager_that_stops_it_is_obeyed(tmp_path):
    """`systemctl stop` sends SIGTERM to `omni schedule run --follow`."""
    environment = os.environ | {
        "PYTHONPATH": str(REPO_ROOT),
        "OMNI_STATE_DIR": str(tmp_path),
        "OMNI_ROOT": str(tmp_path),
    }
    file = tmp_path / "schedule.yaml"
    file.write_text("jobs: [{id: far, what: waits, command: [verify], cron: '0 0 29 2 *', timeout: 1m, catch_up: 1m}]")
    process = subprocess.Popen(
        [sys.executable, "-m", "omni", "schedule", "run", "--follow", "--file", str(file)],
        env=environment, cwd=REPO_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "1 jobs; stop with Ctrl-C\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, errors) == (130, "interrupted\n")
