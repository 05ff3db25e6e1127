"""Runs a command of ``omni`` as a child process, within a time, with its output in files.

Between the two stands a keeper, this module as a program: it runs the command in a process group of its own and ends the whole
group when its standard input closes. The scheduler holds the other end of that pipe, which closes when the scheduler stops the
command and also when the scheduler is killed, so no command outlives the scheduler that would have to stop it.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]  # not from the settings, which a keeper needs not import
_SIGNALLED = 128  # as a shell reports it
# What a command gets between Ctrl-C and SIGKILL.
GRACE_S = 10.0
_KEEPER_MARGIN_S = 5.0


def omni_command(words: Sequence[str]) -> list[str]:
    """Return the command line that runs ``omni`` with ``words`` by this interpreter."""
    return [sys.executable, "-P", "-m", "omni", *words]


def run_command(
    command: Sequence[str], *, timeout: timedelta, out: Path, err: Path, grace_s: float = GRACE_S
) -> int | None:
    """Run ``command`` with its output in ``out`` and ``err``, and return its exit code, None if it was ended at its timeout.

    At the timeout, on Ctrl-C here, and when this process is killed, the command and what it started get Ctrl-C, and SIGKILL
    after ``grace_s``.
    """
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    with out.open("wb") as output, err.open("wb") as errors:
        keeper = subprocess.Popen(
            # -P, because the working directory may contain another package named `omni`.
            [sys.executable, "-P", "-m", "omni.schedule.child", str(grace_s), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C in the terminal reaches the scheduler alone, which then stops the command
        )
        try:
            return keeper.wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            return None
        finally:
            _stop(keeper, grace_s)


def _stop(keeper: "subprocess.Popen[bytes]", grace_s: float) -> None:
    assert keeper.stdin is not None
    with suppress(BrokenPipeError):
        keeper.stdin.close()
    try:
        keeper.wait(grace_s + _KEEPER_MARGIN_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def main() -> None:
    """Run ``GRACE_S COMMAND...`` from the command line; exit with the command's code, 128 + n after signal n."""
    grace_s, command = float(sys.argv[1]), sys.argv[2:]
    # A scheduler in the background of a shell ignores Ctrl-C, and a child would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    ended = threading.Event()

    def end_with_owner() -> None:
        os.read(0, 1)  # nothing is ever written to this pipe: it returns when the other end is closed
        _signal(child.pid, signal.SIGINT)
        if not ended.wait(grace_s):
            _signal(child.pid, signal.SIGKILL)

    threading.Thread(target=end_with_owner, daemon=True).start()
    # Not reaped yet: until then its number is nobody else's, and what it left running can be ended by group.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    ended.set()
    _signal(child.pid, signal.SIGKILL)
    code = child.wait()
    sys.exit(code if code >= 0 else _SIGNALLED - code)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    main()
