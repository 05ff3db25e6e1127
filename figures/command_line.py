"""Formats the commands that messages suggest as the next step."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

PROGRAM = "omni"
DEFAULT_TASK = "summarize"
NO_REASON = "why, in one sentence"  # what a suggested command says until somebody writes the reason
REASON = ("--why", f'"{NO_REASON}"')
_QUOTED = re.compile(r"""(?:'[^']*'|"[^"$`\\]*")+""")
_COMMAND = re.compile(r"`omni ([a-z][a-z-]*)")
SIMULATED = "OMNI_SIMULATED"  # as in `service.kit.frame.display.terminal`, of which this package knows nothing


def omni(*words: str, task: str = DEFAULT_TASK) -> str:
    """Return the command line that runs ``omni`` with ``words`` in the current folder's shell.

    The program is named by its path where the shell would not find it, as outside an activated virtual environment.
    ``task`` is added where it is not the default one, and ``--traffic`` where this command acts on the simulated weeks.
    A word that a shell would read as more than one word is quoted; a word in quotes stays as it is.
    """
    program = PROGRAM if shutil.which(PROGRAM) else _beside_python()
    traffic = ["--traffic"] if is_simulated() else []
    typed = [word if _QUOTED.fullmatch(word) else shlex.quote(word) for word in words]
    return " ".join([program, *traffic, *typed, *(["--task", shlex.quote(task)] if task != DEFAULT_TASK else [])])


def as_typed_here(message: str) -> str:
    """Return a message of the service, which knows no command line, with its commands in the form that ``omni`` gives them."""
    return _COMMAND.sub(lambda found: f"`{omni(found[1])}", message)


def is_simulated() -> bool:
    """Return True if this command acts on simulated weeks, so that whatever it writes has to say so."""
    return bool(os.environ.get(SIMULATED))


def _beside_python() -> str:
    path = Path(sys.executable).parent / PROGRAM
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
