"""Runs a command of ``omni`` as a child process, within a time, with its output in files."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from service.kit.settings import REPO_ROOT

# What a command gets between Ctrl-C and SIGKILL.
GRACE_S = 10.0
_KEEPER_MARGIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnd:
    """How a command ended: its exit code, None if it was ended at its timeout."""

    code: int | None


def omni_command(words: Sequence[str]) -> list[str]:
    """Return the command line that runs ``omni`` with ``words`` by this interpreter."""
    return [sys.executable, "-P", "-m", "omni", *words]


def run_command(
    command: Sequence[str], *, timeout: timedelta, out: Path, err: Path, grace_s: float = GRACE_S
) -> CommandEnd:
    """Run ``command`` with its output in the files ``out`` and ``err``, and return how it ended.

    At the timeout, on Ctrl-C here, and when this process is killed, the command and what it started get Ctrl-C, and SIGKILL
    after ``grace_s``.
    """
    path = os.pathsep.join(filter(None, [str(REPO_ROOT), os.environ.get("PYTHONPATH")]))
    with out.open("wb") as output, err.open("wb") as errors:
        keeper = subprocess.Popen(
            # -P, because the working directory may contain another package named `omni`.
            [sys.executable, "-P", "-m", "omni.schedule.keeper", str(grace_s), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C in the terminal reaches the scheduler alone, which then stops the command
        )
        try:
            return CommandEnd(code=keeper.wait(timeout.total_seconds()))
        except subprocess.TimeoutExpired:
            return CommandEnd(code=None)
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
