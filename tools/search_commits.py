"""Looks for secrets in each commit, also in what a later one takes out: ``python tools/search_commits.py BASE..HEAD``."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_ONLY_LINES_MOVED = 3


def found_in(commit: str, repository: Path, baseline: Path) -> str:
    """Return what detect-secrets finds in the files that a commit adds or changes; empty: nothing."""
    listed = ["diff-tree", "-r", "-z", "-m", "--root", "--no-commit-id", "--name-only", "--diff-filter=d", commit]
    names = sorted({name.decode() for name in _git(repository, *listed).split(b"\0") if name})
    with tempfile.TemporaryDirectory() as folder:
        _git(Path(folder), "init", "-q")  # the hook asks git whether its baseline has changed
        for name in names:
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_git(repository, "show", f"{commit}:{name}"))
        # It writes new line numbers into its baseline.
        known = shutil.copyfile(baseline, Path(folder, ".secrets.baseline"))
        command = [sys.executable, "-m", "detect_secrets.pre_commit_hook", "--baseline", str(known), *names]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode in (0, _ONLY_LINES_MOVED) else done.stdout + done.stderr


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, check=True).stdout


def main() -> int:
    """Print what was found; return 1 if anything was."""
    if len(sys.argv) != 2 or ".." not in sys.argv[1]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel").decode().strip())
    bad = 0
    for commit in _git(root, "rev-list", sys.argv[1]).decode().split():
        if text := found_in(commit, root, root / ".secrets.baseline"):
            bad += 1
            sys.stdout.write(
                f"{commit}\n{text}\nWhoever has the branch has it: make it invalid, then take it out of the history.\n"
            )
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
