"""The entry point of ``omni``: imports the commands, runs one, and ends the process with its exit code."""

import os
import sys
from typing import NoReturn

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line and end the process with its exit code; Ctrl-C is one line, also while modules are imported."""
    try:
        from omni.app import may_skip_shutdown, run

        code, skip = run(), may_skip_shutdown()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code, skip = _INTERRUPTED, True
    if skip:
        # Skip the interpreter's shutdown: freeing litellm's and sacrebleu's modules takes half a second, and the operating
        # system frees them anyway (mypy exits in the same way). Child processes and files are closed by this point. The
        # service's commands take the normal exit, because their threads may still be writing.
        _flush()
        os._exit(code)
    sys.exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader has closed the pipe
            continue
