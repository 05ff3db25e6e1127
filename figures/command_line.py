"""Formats the commands that messages suggest as the next step."""

import os
import shutil
import sys
from pathlib import Path

PROGRAM = "omni"
DEFAULT_TASK = "summarize"


def omni(*words: str, task: str = DEFAULT_TASK) -> str:
    """Return the command line that runs ``omni`` with ``words`` in the current folder's shell.

    The program is named by its path where the shell would not find it, as outside an activated virtual environment.
    ``task`` is added where it is not the default one.
    """
    program = PROGRAM if shutil.which(PROGRAM) else _beside_python()
    return " ".join([program, *words, *(["--task", task] if task != DEFAULT_TASK else [])])


def _beside_python() -> str:
    path = Path(sys.executable).parent / PROGRAM
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
