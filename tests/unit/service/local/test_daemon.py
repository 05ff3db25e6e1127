"""Background processes: started once, recognised, stopped, and not confused with other programs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.kit.frame.errors import ConfigurationError
from service.local.daemon import Daemon, python_argv

SLEEP = "import signal, time; print('ready ' + __import__('os').environ.get('MARK', ''), flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    sleeper = Daemon(name="sleeper", argv=(sys.executable, "-c", SLEEP), run_dir=tmp_path / "run", env={"MARK": "blue"})
    yield sleeper
    sleeper.stop(grace_s=0.5)


def _wait_for(daemon: Daemon, text: str) -> None:
    for _ in range(500):
        if text in daemon.log_tail():
            return
        time.sleep(0.01)
    raise AssertionError(f"{text!r} is not in the log: {daemon.log_tail()!r}")


def test_start_stop_and_start_again(daemon: Daemon) -> None:
    assert daemon.pid() is None
    assert daemon.start() is True
    pid = daemon.pid()
    assert pid is not None
    assert pid != os.getpid()
    assert daemon.start() is False
    assert daemon.pid() == pid
    assert daemon.stop() is True
    assert _has_ended(pid)
    assert daemon.pid() is None
    assert daemon.stop() is False
    assert daemon.start() is True
    assert daemon.pid() != pid


def test_output_goes_to_the_log_and_the_environment_is_set(daemon: Daemon) -> None:
    daemon.start()
    _wait_for(daemon, "ready blue")


def test_it_is_detached_from_the_callers_session(daemon: Daemon) -> None:
    daemon.start()
    pid = daemon.pid()
    assert pid is not None
    _wait_for(daemon, "ready")
    assert os.getsid(pid) == pid


def test_a_program_that_ended_is_not_running(tmp_path: Path) -> None:
    short = Daemon(name="short", argv=(sys.executable, "-c", "print('bye')"), run_dir=tmp_path)
    short.start()
    for _ in range(500):
        if short.pid() is None:
            break
        time.sleep(0.01)
    assert short.pid() is None
    assert short.log_tail() == "bye"


def test_a_pid_that_belongs_to_another_program_is_left_alone(daemon: Daemon) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        daemon.run_dir.mkdir()
        daemon.pid_file.write_text(json.dumps({"pid": other.pid, "argv": list(daemon.argv), "env": {}}))
        if Path("/proc/self/cmdline").exists():
            assert daemon.pid() is None
            assert daemon.stop() is False
            assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def _has_ended(pid: int) -> bool:
    # A zombie has ended too: the process that inherits orphans may reap this one late. A killed program loses its command line
    # slightly before it becomes a zombie, and `stop` returns then.
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_sigkill_ends_a_program_that_ignores_sigterm(tmp_path: Path) -> None:
    stubborn = Daemon(name="stubborn", argv=(sys.executable, "-c", STUBBORN), run_dir=tmp_path)
    stubborn.start()
    _wait_for(stubborn, "ready")
    pid = stubborn.pid()
    assert pid is not None
    assert stubborn.stop(grace_s=0.2) is True
    assert _has_ended(pid)  # the pid file is gone either way


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "argv": []}', '{"pid": 1}'])
def test_a_broken_pid_file_means_not_running(daemon: Daemon, content: str) -> None:
    daemon.run_dir.mkdir()
    daemon.pid_file.write_text(content)
    assert daemon.pid() is None
    assert daemon.start() is True


def test_changed_settings_are_detected(daemon: Daemon) -> None:
    assert daemon.same_settings()
    daemon.start()
    assert daemon.same_settings()
    assert not replace(daemon, env={"MARK": "red"}).same_settings()


def test_missing_program_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no program"):
        Daemon(name="ghost", argv=(str(tmp_path / "nothing"),), run_dir=tmp_path).start()


def test_a_killed_program_is_detected(daemon: Daemon) -> None:
    daemon.start()
    pid = daemon.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for _ in range(500):
        if daemon.pid() is None:
            break
        time.sleep(0.01)
    assert daemon.pid() is None


def test_python_argv_runs_this_interpreter() -> None:
    assert python_argv("a.b", "--port", "1") == (sys.executable, "-P", "-m", "a.b", "--port", "1")
