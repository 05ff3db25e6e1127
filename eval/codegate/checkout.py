"""The base commit's files beside the working tree, and child processes that run the code of one of the two."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eval.spine.changes import git
from eval.spine.errors import CodeGateError, HarnessError
from service.kit.frame.display.inert import one_line

SIDE = "eval.codegate.side"
ABORTED = 3  # exit code of a side that ended itself, such as at the end of its budget: that says nothing of its code
_LONGEST_S = 3_000
# A line of a log is not what went wrong.
_LOG_LINE = re.compile(r"^(\d{4}-\d\d-\d\d |\s|\{)")


class SideFailed(HarnessError):
    """A checkout's code ended with an error; the message is its last line."""


@contextmanager
def base_files(root: Path, commit: str) -> Iterator[Path]:
    """Yield a folder with the files of ``commit``, as git has them; it is removed at the end.

    Raises:
        ChangesError: git cannot make it.
        CodeGateError: ``commit`` is older than this check.
    """
    with tempfile.TemporaryDirectory(prefix="omni-base-") as folder:
        tree = Path(folder) / "base"
        git(root, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            if not (tree / Path(*SIDE.split("."))).with_suffix(".py").exists():
                raise CodeGateError(
                    f"the base {commit[:12]} cannot be judged against: it is older than this check, which its own code has to "
                    "run. Rebase onto a later commit, or evaluate both by hand"
                )
            yield tree
        finally:
            git(root, "worktree", "remove", "--force", str(tree))


def run_side(tree: Path, state_dir: Path, *arguments: str) -> None:
    """Run one step of the check with the code and the files of ``tree``, and with this process's settings otherwise.

    Both sides have the same ``state_dir``, so that the second one finds the models' replies to the first one's questions.

    Raises:
        SideFailed: it ended with an error, or did not end.
        CodeGateError: it ended itself, such as at the end of its budget.
    """
    # Without what pytest or another tool put there: this process's packages, but not its code.
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "OMNI_ROOT": str(tree),
        "OMNI_STATE_DIR": str(state_dir),
        "OMNI_LOG_LEVEL": "ERROR",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", SIDE, *arguments],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise SideFailed(f"it did not end within {_LONGEST_S} s") from err
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip() and not _LOG_LINE.match(line)]
        said = lines[-1] if lines else f"exit code {done.returncode}"
        said = one_line(said.removeprefix("error: "), 300)
        raise CodeGateError(said) if done.returncode == ABORTED else SideFailed(said)
