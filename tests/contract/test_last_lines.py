"""A test run ends in its own summary, with its own exit code, whatever a library says at the end of a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# An object of DuckDB that is never freed makes its binding list hundreds of names when the process ends.
RUN = """
import atexit
import ctypes
from pathlib import Path

def test_leak():
    import duckdb
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(duckdb.connect()))
    atexit.register(Path({marker!r}).write_text, "ran")

def test_outcome():
    assert {passes}
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize(("passes", "code", "last"), [(True, 0, "2 passed"), (False, 1, "1 failed, 1 passed")])
def test_a_run_ends_in_its_summary(tmp_path, processes, passes, code, last):
    (tmp_path / "test_run.py").write_text(RUN.format(marker=str(tmp_path / "marker"), passes=passes), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"-n{processes}"),
            *("-c", str(ROOT / "pyproject.toml"), "--confcutdir", str(ROOT), "-p", "conftest", str(tmp_path)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert done.stdout.splitlines()[-1].startswith(last), done.stdout[-500:]
    assert "nanobind" not in done.stdout
    assert (tmp_path / "marker").read_text() == "ran", "what was registered for the end of the process did not run"
