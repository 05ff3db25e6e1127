"""One process at a time does resumable work; the second is told who does it, and a killed holder stops nobody."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eval.spine.alone import working_alone
from eval.spine.errors import AlreadyRunning

ROOT = Path(__file__).resolve().parents[4]
HOLDER = """
import sys
from pathlib import Path
from eval.spine.alone import working_alone
with working_alone(Path(sys.argv[1]), "starting") as lock:
    lock.name("run 20261122T101500-1a2b")
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``tmp_path / "key.lock"``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "key.lock")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_by_name(tmp_path, holder):
    with (
        pytest.raises(AlreadyRunning, match=rf"run 20261122T101500-1a2b is at work already \(process {holder.pid}, "),
        working_alone(tmp_path / "key.lock", "the same run"),
    ):
        pytest.fail("the lock was given twice")


def test_other_work_is_not_held_up(tmp_path, holder):
    with working_alone(tmp_path / "other.lock", "another run"):
        pass


def test_a_lock_whose_holder_was_killed_is_taken_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads((tmp_path / "key.lock").read_text())["pid"] == holder.pid, "the dead holder's name is left behind"
    with working_alone(tmp_path / "key.lock", "the same run"):
        assert json.loads((tmp_path / "key.lock").read_text())["pid"] == os.getpid()


def test_a_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), working_alone(tmp_path / "key.lock", "work"):
        raise ZeroDivisionError
    with working_alone(tmp_path / "key.lock", "work"):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_a_holder_without_a_readable_name_still_holds(tmp_path, content):
    path = tmp_path / "key.lock"
    with working_alone(path, "work"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(AlreadyRunning, match="another process is at work"), working_alone(path, "work"):
            pytest.fail("the lock was given twice")
