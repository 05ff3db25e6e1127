"""Ends what a test run started and left behind, however the run itself ended, also by SIGKILL."""

import os
import signal
import sys
import time
import uuid
from pathlib import Path

MARK = "OMNI_TEST_RUN"
_SOON_S = 0.5  # what is ending by itself may do so


def guard():
    """Mark this process's children by an environment variable, and have a process end them once this one has ended."""
    os.environ[MARK] = uuid.uuid4().hex
    reading, writing = os.pipe()  # the writing end closes with this process: no child inherits it
    actions = [
        (os.POSIX_SPAWN_DUP2, reading, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    argv = [sys.executable, "-S", "-E", str(Path(__file__).resolve()), os.environ[MARK]]
    os.posix_spawn(argv[0], argv, {}, file_actions=actions, setsid=True)
    os.close(reading)
    return writing


def marked(run):
    """Return the ids of the processes that were started with the mark ``run``."""
    wanted, found = f"{MARK}={run}".encode(), []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def main():
    """Wait for the end of standard input, then end what is marked."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 100):
        pass
    time.sleep(_SOON_S)
    while left := marked(sys.argv[1]):
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)


if __name__ == "__main__":
    main()
