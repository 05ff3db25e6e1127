"""What the end of a side's process means."""

import pytest

from eval.codegate.run import ABORTED, SideFailed, run_side
from eval.spine.errors import CodeGateError


def tree(tmp_path, code):
    folder = tmp_path / "eval" / "codegate"
    folder.mkdir(parents=True)
    for package in (folder.parent, folder):
        (package / "__init__.py").write_text("")
    (folder / "side.py").write_text(code)
    return tmp_path


def test_the_checkouts_own_code_runs_with_its_own_files(tmp_path):
    root = tree(tmp_path, "import os, sys; open(sys.argv[1], 'w').write(os.environ['OMNI_ROOT'])")
    run_side(root, tmp_path, str(tmp_path / "said"))
    assert (tmp_path / "said").read_text() == str(root)


def test_both_sides_have_one_cache_of_replies(tmp_path, monkeypatch):
    monkeypatch.delenv("OMNI_STATE_DIR", raising=False)
    root = tree(tmp_path, "import os, sys; open(sys.argv[1], 'w').write(os.environ['OMNI_STATE_DIR'])")
    run_side(root, tmp_path / "state", str(tmp_path / "said"))
    assert (tmp_path / "said").read_text() == str(tmp_path / "state")


def test_code_that_breaks_is_told_from_code_that_ended_itself(tmp_path):
    code = f"""
import sys
print("2026-11-22 17:00:00 [warning] noise", file=sys.stderr)
if sys.argv[1] == "aborted":
    print("error: the budget is spent", file=sys.stderr)
    sys.exit({ABORTED})
raise ValueError("no such pair")
"""
    root = tree(tmp_path, code)
    with pytest.raises(SideFailed, match=r"^ValueError: no such pair$"):
        run_side(root, tmp_path, "answers")
    with pytest.raises(CodeGateError, match=r"^the budget is spent$"):
        run_side(root, tmp_path, "aborted")
