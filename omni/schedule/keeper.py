"""Runs one command in a process group of its own and ends the whole group when standard input closes.

The scheduler holds the other end of that pipe. It closes when the scheduler stops the command, and also when the scheduler
itself is killed, so no command outlives the scheduler that would have to stop it.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_SIGNALLED = 128  # as a shell reports it


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
